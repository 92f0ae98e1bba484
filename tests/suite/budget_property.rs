//! Whatever sequence of calls an agent makes, its projects spend no more in a month than the budget.
//!
//! The test keeps its own account of what each project spends, and every project spends all that its cap permits.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use backends::{
    Backend, BackendError, CapScope, Credentials, Metering, NewCap, Observed, Order, Scope, Service,
    simulated::{PaymentMethod, Simulated},
};
use domain::{
    approval::{Answer, ApprovalError},
    budget::{CapPeriod, Month},
    clock::{Clock, Timestamp},
    diagnostic::Diagnostic as _,
    lifetime::Lifetime,
    money::{Cents, MicroUsd, MoneyClass},
    name::{ProjectName, ProviderKey},
    project::{Project, ResourceId, Status},
    workspace::{Place, WorkspaceId},
};
use files::{
    env_file::Replace,
    fs::folder_identity,
    registry::{ConfigFolders, PolicyFiles, RegistryFiles, WorkspaceRegistry},
    state_folder::StateFolder,
};
use proptest::prelude::*;
use storage::ledger::{Ledger, Registration};
use stripe_projects_mcp::{
    error::Error,
    provisioner::{Dependencies, Phase, Principal, ProvisionRequest, Provisioner},
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

#[derive(Clone, Debug)]
enum Step {
    /// `approve`: a person approves, if one is asked.
    Provision {
        at: Spot,
        cap: u64,
        lifetime: Option<&'static str>,
        approve: bool,
    },
    Rotate(Spot),
    /// The programs that use the keys spend what their caps permit.
    SpendAll,
    Teardown(Spot),
    Wait {
        hours: i64,
    },
    /// The next call dies at this point.
    Crash(usize),
}

/// A backend, a workspace and a name.
#[derive(Clone, Copy, Debug)]
struct Spot {
    backend: usize,
    workspace: usize,
    name: usize,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agent_spends_no_more_than_the_budget(steps in prop::collection::vec(step(), 1..45)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            world.check(step);
        }
        // The months after the last call: renewals only.
        for _ in 0..3 {
            world.run(&Step::SpendAll);
            world.run(&Step::Wait { hours: 24 * 10 });
            world.check(&Step::SpendAll);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0..BACKENDS.len(), 0..WORKSPACES, 0..4_usize).prop_map(|(backend, workspace, name)| Spot {
        backend,
        workspace,
        name,
    });
    let cap = prop_oneof![Just(0), 1_u64..2_500, 2_000_u64..10_500];
    let lifetime = prop_oneof![4 => Just(None), 1 => Just(Some("8h")), 1 => Just(Some("9d")), 1 => Just(Some("45d"))];
    prop_oneof![
        8 => (place.clone(), cap, lifetime, prop::bool::weighted(0.15))
            .prop_map(|(at, cap, lifetime, approve)| Step::Provision { at, cap, lifetime, approve }),
        3 => place.clone().prop_map(Step::Teardown),
        1 => place.prop_map(Step::Rotate),
        4 => Just(Step::SpendAll),
        3 => (1_i64..24 * 20).prop_map(|hours| Step::Wait { hours }),
        1 => (0..Phase::ALL.len()).prop_map(Step::Crash),
    ]
}

/// Backends by name: the first spends simulated money, the others real money.
const BACKENDS: [(&str, CapPeriod, Metering); 4] = [
    ("simulated", CapPeriod::Total, Metering::Local),
    ("real-monthly", CapPeriod::Month, Metering::None),
    ("real-metered", CapPeriod::Month, Metering::Remote),
    ("real-daily", CapPeriod::Day, Metering::None),
];

const WORKSPACES: usize = 3;

/// The built-in monthly budget.
const BUDGET: u64 = 10_000;

struct World {
    folder: TempDir,
    workspaces: Vec<PathBuf>,
    now: Arc<AtomicI64>,
    backends: Vec<Arc<PeriodicBackend>>,
    runtime: Runtime,
    crash: Option<Phase>,
    /// Projects that a person approved.
    approved: BTreeSet<String>,
    /// Cents by project and day.
    spent: BTreeMap<String, (MoneyClass, BTreeMap<i64, u64>)>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The 26th, so that daily caps meet the end of a month soon.
        let now = Arc::new(AtomicI64::new("2026-11-26T09:00:00Z".parse::<Timestamp>().unwrap().as_millisecond()));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let backends = BACKENDS.iter().map(|(name, period, metering)| {
            let path = folder.path().join(format!("{name}.db"));
            let inner = Simulated::new(path, PaymentMethod::Succeeds, clock(&now));
            Arc::new(PeriodicBackend {
                inner,
                name,
                period: *period,
                metering: *metering,
                now: Arc::clone(&now),
                usage: Mutex::default(),
            })
        });
        let backends = backends.collect();
        let root = folder.path().canonicalize().unwrap();
        let workspaces: Vec<PathBuf> = (0..WORKSPACES).map(|number| root.join(format!("w{number}"))).collect();
        for workspace in &workspaces {
            std::fs::create_dir(workspace).unwrap();
        }
        std::fs::create_dir(root.join("home")).unwrap();
        let (approved, spent) = (BTreeSet::new(), BTreeMap::new());
        Self { folder, workspaces, now, backends, runtime, crash: None, approved, spent }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Provision { at, cap, lifetime, approve } => self.provision(*at, *cap, *lifetime, *approve),
            Step::Rotate(at) => {
                let _ = self.call(*at, |services| services.projects.rotate(&name(*at), &agent()).map(drop));
            }
            Step::SpendAll => self.spend_all(),
            Step::Teardown(at) => {
                let _ = self.call(*at, |services| services.projects.teardown(&name(*at), &agent()).map(drop));
            }
            Step::Wait { hours } => self.wait(*hours),
            Step::Crash(phase) => self.crash = Some(Phase::ALL[*phase]),
        }
    }

    fn provision(&mut self, at: Spot, cap: u64, lifetime: Option<&str>, approve: bool) {
        let request = ProvisionRequest {
            name: name(at),
            provider: ProviderKey::parse(["llm", "supermemory", "vector-db", "postgres"][at.name]).unwrap(),
            cap: Cents::sum_of(cap),
            lifetime: lifetime.map(|text| Lifetime::parse(text).unwrap()),
            replace: Replace::OursOnly,
        };
        let attempt = |world: &mut Self| {
            world.call(at, |services| services.projects.provision(&request, &agent()).map(|state| state.project.id))
        };
        let Some(Err(Error::Approval(ApprovalError::Required(question)))) = attempt(self) else { return };
        if approve {
            let services = self.services(at);
            let person = Principal::person("a person");
            services.approvals.decide(&question.approval.id, Answer::Accepted, &person).unwrap();
            if let Some(Ok(id)) = attempt(self) {
                self.approved.insert(id.as_str().to_owned());
            } else {
                // It may have died after the approval was used, or leave the approval to a later call.
                let id = services.projects.show(&name(at)).ok().flatten().map(|state| state.project.id);
                self.approved.extend(id.map(|id| id.as_str().to_owned()));
                self.expire_approvals();
            }
        }
    }

    fn expire_approvals(&self) {
        let ledger = rusqlite::Connection::open(self.state().join("ledger.db")).unwrap();
        ledger.execute("UPDATE approvals SET expires_at = created_at", []).unwrap();
    }

    /// Calls as a new process would, which first finishes what another left, and ends what has expired.
    fn call<T>(&mut self, at: Spot, work: impl FnOnce(&Provisioner) -> Result<T, Error>) -> Option<Result<T, Error>> {
        let mut services = self.services(at);
        services.projects.recover().unwrap();
        services.lifetimes.reap(&Principal::recovery()).unwrap();
        if let Some(crash) = self.crash.take() {
            services = services.with_phase_hook(Arc::new(move |phase| {
                if phase == crash {
                    panic::resume_unwind(Box::new("the process died"));
                }
            }));
        }
        let result = panic::catch_unwind(AssertUnwindSafe(|| work(&services))).ok();
        if let Some(Err(error)) = &result {
            assert!(EXPECTED.contains(&error.code()), "{}: {error:?}", error.code());
        }
        result
    }

    fn services(&self, at: Spot) -> Provisioner {
        let workspace = &self.workspaces[at.workspace];
        let home = self.state().ancestors().nth(1).unwrap().to_owned();
        let folders = ConfigFolders { home: Some(home.clone()), ..ConfigFolders::default() };
        let state = StateFolder::new(self.state(), Some(workspace.clone()), Some(home));
        Provisioner::new(Dependencies {
            backend: Arc::clone(&self.backends[at.backend]) as Arc<dyn Backend>,
            registry: RegistryFiles::new(
                &folders,
                WorkspaceRegistry::Own(workspace.join("providers.toml")),
                workspace.clone(),
            ),
            policies: PolicyFiles::new(&folders, None, workspace.clone()),
            ledger: Arc::new(self.ledger(at.workspace)),
            env_file: workspace.join(".env"),
            state: Arc::new(state),
            is_usual_state: true,
            accept_terms: true,
            clock: clock(&self.now),
            runtime: self.runtime.handle().clone(),
        })
    }

    fn state(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("home/state")
    }

    fn ledger(&self, workspace: usize) -> Ledger {
        let path = self.workspaces[workspace].clone();
        let place = Place { identity: Some(folder_identity(&path).unwrap()), path };
        let registration =
            Registration { place, id: WorkspaceId::random().unwrap(), at: clock(&self.now).now(), for_agent: false };
        Ledger::of(&self.state()).in_folder(registration)
    }

    /// Does what servers do unprompted, where there is anything to do.
    fn reap_everywhere(&self) {
        let (ledger, now) = (self.ledger(0), clock(&self.now).now());
        let is_due = |project: &Project| {
            let is_settled = matches!(project.status, Status::Active | Status::Suspended);
            !is_settled || project.expires_at.is_some_and(|expires_at| expires_at <= now)
        };
        if !ledger.exists() || !ledger.projects().all_live_everywhere().unwrap().iter().any(is_due) {
            return;
        }
        for backend in 0..BACKENDS.len() {
            for workspace in 0..WORKSPACES {
                let services = self.services(Spot { backend, workspace, name: 0 });
                services.projects.recover().unwrap();
                services.lifetimes.reap(&Principal::recovery()).unwrap();
            }
        }
    }

    fn wait(&mut self, hours: i64) {
        // Programs spend on each day, and servers end what expires.
        let ledger = self.ledger(0);
        let live = if ledger.exists() { ledger.projects().all_live_everywhere().unwrap() } else { Vec::new() };
        let ends: Vec<i64> =
            live.iter().filter_map(|project| project.expires_at).map(Timestamp::as_millisecond).collect();
        for _ in 0..hours {
            let before = self.now.fetch_add(3_600_000, Ordering::SeqCst);
            if ends.iter().any(|end| (before + 1..=before + 3_600_000).contains(end)) {
                self.reap_everywhere();
            }
            if self.now.load(Ordering::SeqCst) / 3_600_000 % 24 == 7 {
                self.spend_all();
            }
        }
        self.reap_everywhere();
    }

    /// Lets each live project spend the rest of its cap.
    fn spend_all(&mut self) {
        let now = self.now.load(Ordering::SeqCst);
        let (today, month) = (now / DAY, month_of(now));
        let ledger = self.ledger(0);
        if !ledger.exists() {
            return;
        }
        self.reap_everywhere();
        for project in ledger.projects().all_live_everywhere().unwrap() {
            let (Status::Active, Some(resource)) = (project.status, &project.resource) else { continue };
            let backend = self.backends.iter().find(|backend| backend.name == project.backend).unwrap();
            let id = project.id.as_str().to_owned();
            let (_, days) = self.spent.entry(id).or_insert_with(|| (project.money(), BTreeMap::new()));
            let within = |counts: &dyn Fn(i64) -> bool| -> u64 {
                days.iter().filter(|(day, _)| counts(**day)).map(|(_, cents)| cents).sum()
            };
            let used = match backend.period {
                CapPeriod::Day => within(&|day| day == today),
                CapPeriod::Month => within(&|day| month_of(day * DAY) == month),
                CapPeriod::Total => within(&|_| true),
            };
            let rest = project.cap.cents().saturating_sub(used);
            *days.entry(today).or_default() += rest;
            backend.usage.lock().unwrap().insert(resource.as_str().to_owned(), (month, used + rest));
            if rest > 0 && backend.metering == Metering::Local {
                let amount = MicroUsd::new(rest * 10_000);
                let billed = self.runtime.block_on(backend.inner.record_usage(resource, amount));
                billed.unwrap();
            }
        }
    }

    fn check(&self, step: &Step) {
        let mut sums: BTreeMap<(MoneyClass, Month), u64> = BTreeMap::new();
        for (id, (money, days)) in &self.spent {
            if self.approved.contains(id) {
                continue;
            }
            for (day, cents) in days {
                *sums.entry((*money, month_of(day * DAY))).or_default() += cents;
            }
        }
        for ((money, month), cents) in sums {
            assert!(cents <= BUDGET, "{cents} cents of {money:?} money were spent in {month} after {step:?}");
        }
        let ledger = self.ledger(0);
        if !ledger.exists() {
            return;
        }
        let now = clock(&self.now).now();
        let listed = ledger.budget().projects(ledger.budget().month(now).unwrap(), now).unwrap();
        for money in MoneyClass::ALL {
            let of_class = listed.iter().filter(|listed| listed.project.money() == money);
            let ours = of_class.filter(|listed| !self.approved.contains(listed.project.id.as_str()));
            let committed: u64 = ours.map(|listed| listed.committed.cents()).sum();
            assert!(committed <= BUDGET, "{committed} cents of {money:?} money are committed after {step:?}");
            let all: u64 =
                listed.iter().filter(|listed| listed.project.money() == money).map(|l| l.committed.cents()).sum();
            let sum = ledger.budget().committed(money, "", now).unwrap().this_month.cents();
            assert_eq!(sum, all, "the sum and the list differ after {step:?}");
        }
        // What is spent this month is committed to it.
        for listed in &listed {
            let id = listed.project.id.as_str();
            let spent = self.spent.get(id).map_or(0, |(_, days)| {
                let month = Month::of(now);
                days.iter().filter(|(day, _)| month_of(**day * DAY) == month).map(|(_, cents)| cents).sum()
            });
            assert!(spent <= listed.committed.cents(), "{id} spent {spent} of {listed:?} after {step:?}");
        }
    }
}

/// The simulated backend under another name, with caps of any period.
struct PeriodicBackend {
    inner: Simulated,
    name: &'static str,
    period: CapPeriod,
    metering: Metering,
    now: Arc<AtomicI64>,
    /// Cents that a resource has used of its cap, and the month of the last use.
    usage: Mutex<BTreeMap<String, (Month, u64)>>,
}

#[async_trait]
impl Backend for PeriodicBackend {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cap_scope(&self) -> CapScope {
        CapScope::Project
    }

    fn cap_period(&self) -> CapPeriod {
        self.period
    }

    fn metering(&self) -> Metering {
        self.metering
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        self.inner.provision(order).await
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.inner.reveal(resource).await
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.inner.rotate(resource).await
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.inner.teardown(resource).await
    }

    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError> {
        self.inner.set_cap(new).await
    }

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.inner.suspend(resource).await
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.inner.resume(resource).await
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        let mut observed = self.inner.observe(scope).await?;
        for seen in &mut observed {
            match self.metering {
                Metering::Local => {}
                Metering::None => seen.usage = None,
                Metering::Remote => {
                    let month = month_of(self.now.load(Ordering::SeqCst));
                    let usage = self.usage.lock().unwrap().get(seen.resource.as_str()).copied();
                    let cents = usage.filter(|(used_in, _)| *used_in == month).map_or(0, |(_, cents)| cents);
                    seen.usage = Some(MicroUsd::new(cents * 10_000));
                }
            }
        }
        Ok(observed)
    }
}

fn clock(now: &Arc<AtomicI64>) -> Clock {
    let now = Arc::clone(now);
    Clock::new(move || Timestamp::from_millisecond(now.load(Ordering::SeqCst)).unwrap())
}

fn month_of(milliseconds: i64) -> Month {
    Month::of(Timestamp::from_millisecond(milliseconds).unwrap())
}

fn name(at: Spot) -> ProjectName {
    ProjectName::parse(&format!("p{}-{}", at.backend, at.name)).unwrap()
}

fn agent() -> Principal {
    Principal::agent("an agent")
}

/// Codes with which a call of this test may end.
const EXPECTED: [&str; 8] = [
    "already_exists",
    "approval_required",
    "budget_exhausted",
    "cap_above_maximum",
    "project_not_found",
    "suspended",
    "too_many_approvals",
    "wrong_status",
];

/// In milliseconds.
const DAY: i64 = 86_400_000;
