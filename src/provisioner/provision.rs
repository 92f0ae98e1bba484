//! Provision: creates a capped project, and writes its key to the env file.

use std::{path::Path, sync::Arc, time::Duration};

use backends::Order;
use domain::{
    approval::{ApprovalError, ApprovalId, Subject},
    budget::{BudgetFacts, Committed, Excess},
    clock::Timestamp,
    lifetime::Lifetime,
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey},
    principal::Role,
    project::{Delivery, Project, ProjectId, Status},
};
use files::{
    env_file::{EnvFileError, Preflight, Replace},
    registry::{Policy, Provider},
};
use serde_json::json;
use storage::ledger::{Grant, Intent, LifetimeTerms, NewProject, Operation, OperationId, ProvisionTx, Verdict};

use super::{
    Approvals, Phase, Ports, Principal,
    cap_changes::CapChanges,
    observer::Observer,
    reconciler::{Reconciled, Reconciler},
    sessions::Sessions,
};
use crate::{
    error::Error,
    policy::{self, CapRequest, Decision},
    project_state::{Note, ProjectState},
};

/// A request for a new project.
#[derive(Clone, Debug)]
pub struct ProvisionRequest {
    pub name: ProjectName,
    pub provider: ProviderKey,
    /// Zero is the provider's default.
    pub cap: Cents,
    /// For how long; `None` is the provider's default, which may be forever.
    pub lifetime: Option<Lifetime>,
    pub replace: Replace,
}

impl ProvisionRequest {
    /// Returns whether an existing value of the variable may be replaced.
    pub fn replaces(&self) -> bool {
        self.replace == Replace::Foreign
    }
}

/// Creates projects.
pub(super) struct Provision {
    pub ports: Arc<Ports>,
    pub approvals: Arc<Approvals>,
    pub sessions: Arc<Sessions>,
    pub reconciler: Arc<Reconciler>,
    pub observer: Arc<Observer>,
    pub cap_changes: Arc<CapChanges>,
}

impl Provision {
    /// As [`super::Projects::provision`].
    pub(super) fn provision(&self, wanted: &ProvisionRequest, principal: &Principal) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(&wanted.name)?;
        let prepared = self.prepare(wanted, principal);
        let prepared = prepared.map_err(|error| self.ports.refused(principal, ACTION, &wanted.name, error))?;
        let (mut intent, order, excluded) = match prepared {
            Prepared::New { intent, order, excluded } => (*intent, *order, excluded),
            Prepared::Raise { project, cap } => return self.cap_changes.raise(&project, cap, principal),
        };
        self.ports.phase(Phase::Intended);
        if let Err(halted) = self.ports.check_not_halted(&intent.project) {
            self.reconciler.close_as_nothing(intent, &halted, principal)?;
            return Err(halted);
        }

        let answer = self.ports.call_backend(&mut intent, self.ports.backend.provision(&order));
        self.ports.phase(Phase::Acted);
        let project = match answer {
            Ok(service) => {
                self.reconciler.deliver(intent, &service.resource, &service.credentials, wanted.replace, principal)?
            }
            Err(error) => self.reconciler.resolve(intent, error, principal)?,
        };
        let state = self.observer.just_created(project);
        Ok(if excluded { state.with_note(Note::ExcludedFromGit) } else { state })
    }

    /// Does everything before money is spent, and records the intent.
    fn prepare(&self, wanted: &ProvisionRequest, principal: &Principal) -> Result<Prepared, Error> {
        let registry = self.ports.registry_to_buy()?;
        let provider = registry.get(&wanted.provider).ok_or_else(|| Error::UnknownProvider {
            closest: registry.closest(wanted.provider.as_str()).cloned(),
            known: registry.providers().map(|provider| provider.key.clone()).collect(),
        })?;
        if let Some(project) = self.ports.live(&wanted.name)? {
            // Reconcile first: a crashed process may have left the very project that is requested.
            if let Some(Reconciled::Open { why }) = self.reconciler.reconcile_open(&project, principal)? {
                return Err(why);
            }
            if let Some(project) = self.ports.live(&wanted.name)? {
                if asks_for_more(wanted, &project, principal) {
                    return Ok(Prepared::Raise { project: Box::new(project), cap: wanted.cap });
                }
                return Err(Error::AlreadyExists { state: Box::new(self.observer.at_hand(project)) });
            }
        }
        let env_file = self.ports.env_file_for(principal);
        self.check_delivered(&wanted.name, &env_file, principal)?;
        // Decided again inside the transaction; here so that a refusal comes before the preflight edits git's exclude file.
        let lifetime = policy::lifetime(wanted.lifetime, provider)?;
        let request = CapRequest {
            wanted: wanted.cap,
            role: principal.role,
            period: self.ports.backend.cap_period(),
            at: self.ports.ledger.budget().purchase_time(self.ports.clock.now())?,
            expires_at: lifetime.map(|lifetime| self.ports.expiry(lifetime)),
        };
        let grant = CapGrant { wanted, request, provider, policy: &registry.policy };
        let mut approval = self.approval_for(&grant, principal)?;
        let preflight = self.ports.delivery.preflight(&env_file)?;

        let draft = NewProject {
            op: OperationId::random()?,
            id: ProjectId::random()?,
            name: wanted.name.clone(),
            provider: provider.key.clone(),
            service: provider.service.clone(),
            backend: self.ports.backend.name().to_owned(),
            env_file,
        };
        let intent = loop {
            match self.begin(&draft, &grant, approval.as_ref(), &preflight, principal) {
                // Others have used the budget since it was decided that no approval is needed.
                Err(Error::Approval(ApprovalError::Expired)) if approval.is_none() => {
                    approval = self.approval_for(&grant, principal)?;
                }
                begun => break begun?,
            }
        };
        let order = order(&intent, provider, self.ports.accept_terms);
        let (intent, order, excluded) = (Box::new(intent), Box::new(order), preflight.excluded_now);
        Ok(Prepared::New { intent, order, excluded })
    }

    /// Decides from what is committed now, and returns the approval that the decision needs.
    fn approval_for(&self, grant: &CapGrant<'_>, principal: &Principal) -> Result<Option<ApprovalId>, Error> {
        let committed = self.ports.ledger.budget().committed(self.ports.money(), grant.theirs(), grant.request.at)?;
        match grant.decided(&committed)? {
            Granted::Freely { .. } => Ok(None),
            Granted::WithApproval { cap, without, excess } => {
                let period = grant.request.period;
                let budget = BudgetFacts { cap, period, raised_from: None, committed, excess };
                let subject = self.approvals.subject(grant.wanted, grant.provider, cap)?;
                self.approvals.human_approval(&subject, grant.policy, (without, budget), principal).map(Some)
            }
        }
    }

    /// Decides once more, in the transaction that records the intent.
    fn begin(
        &self,
        draft: &NewProject,
        grant: &CapGrant<'_>,
        approval: Option<&ApprovalId>,
        preflight: &Preflight,
        principal: &Principal,
    ) -> Result<Intent, Error> {
        let mut detail = json!({
            "provider": draft.provider.as_str(),
            "asked_cents": grant.wanted.cap.cents(),
            "decision": "allowed",
            "expires_in": grant.wanted.lifetime.map(|lifetime| lifetime.to_string()),
        });
        if let (Some(approval), Some(facts)) = (approval, detail.as_object_mut()) {
            facts.insert("approval".to_owned(), json!(approval.as_str()));
        }
        self.ports.ledger.halts().keep_reserve();
        let event = self.ports.event(principal, ACTION, Verdict::Intended, detail);
        self.ports.ledger.journal().begin_provision(draft, &event, |tx| {
            let committed = tx.committed(self.ports.money(), grant.theirs(), event.at)?;
            let cap = match grant.decided(&committed)? {
                Granted::Freely { cap } => cap,
                Granted::WithApproval { cap, .. } => {
                    let subject = self.approvals.subject(grant.wanted, grant.provider, cap)?;
                    spend(tx, &subject, approval, &draft.id, event.at)?;
                    cap
                }
            };
            self.grant(tx, grant, cap, preflight)
        })
    }

    /// Refuses a purchase while the key of an earlier one has not reached the same env file.
    ///
    /// An operation that a crashed process left open is reconciled first. One that is at work is left to its process.
    fn check_delivered(&self, name: &ProjectName, env_file: &Path, principal: &Principal) -> Result<(), Error> {
        for project in self.ports.ledger.projects().unsettled()? {
            let is_of_this_file = project.env_file == env_file && project.backend == self.ports.backend.name();
            if !is_of_this_file || project.name == *name || project.resource.is_none() {
                continue;
            }
            let Some(_lock) = self.ports.try_lock_project(&project.name, Duration::ZERO)? else { continue };
            let Some(intent) = self.ports.ledger.journal().open_intent(&project.id)? else { continue };
            if !matches!(intent.operation, Operation::Provision | Operation::Resume | Operation::Rotate) {
                intent.leave_open();
                continue;
            }
            if let Reconciled::Open { why } = self.reconciler.reconcile(intent, Replace::OursOnly, principal)? {
                return Err(Error::EarlierNotDelivered { name: project.name, why: Box::new(why) });
            }
        }
        Ok(())
    }

    /// Chooses the variables, inside the transaction that will hold them.
    fn grant(
        &self,
        tx: &ProvisionTx<'_>,
        grant: &CapGrant<'_>,
        cap: Cents,
        preflight: &Preflight,
    ) -> Result<Grant, Error> {
        let deliveries = grant.provider.deliveries.iter().map(|delivery| {
            let env_var = free_variable(tx, grant.wanted, &delivery.env_var, preflight)?;
            Ok(Delivery { env_var, credential: delivery.credential.clone() })
        });
        let deliveries = deliveries.collect::<Result<_, Error>>()?;
        let term = LifetimeTerms { expires_at: grant.request.expires_at, session: self.sessions.id()? };
        Ok(Grant { cap, period: grant.request.period, deliveries, term })
    }
}

/// What a request turned out to be, once it was granted.
enum Prepared {
    New {
        intent: Box<Intent>,
        order: Box<Order>,
        /// Whether the env file was excluded from git just now.
        excluded: bool,
    },
    /// A higher cap for a project that is live already.
    Raise { project: Box<Project>, cap: Cents },
}

/// Whether an agent asks for a higher cap of its project. A person has a command for that.
fn asks_for_more(wanted: &ProvisionRequest, project: &Project, principal: &Principal) -> bool {
    let is_changeable = matches!(project.status, Status::Active | Status::Suspended);
    principal.role == Role::Agent && is_changeable && wanted.provider == project.provider && wanted.cap > project.cap
}

/// The grant of the policy.
enum Granted {
    Freely { cap: Cents },
    WithApproval { cap: Cents, without: Option<Cents>, excess: Vec<Excess> },
}

/// A request with the rules that decide on it.
struct CapGrant<'a> {
    wanted: &'a ProvisionRequest,
    request: CapRequest,
    provider: &'a Provider,
    policy: &'a Policy,
}

impl CapGrant<'_> {
    /// Stripe's name of the provider.
    fn theirs(&self) -> &str {
        self.provider.service.provider()
    }

    fn decided(&self, committed: &Committed) -> Result<Granted, Error> {
        match policy::decide(&self.request, self.provider, self.policy, committed) {
            Decision::Allowed { cap } => Ok(Granted::Freely { cap }),
            Decision::NeedsApproval { cap, without, excess } => Ok(Granted::WithApproval { cap, without, excess }),
            Decision::Refused(rule) => Err(rule.into()),
        }
    }
}

/// Returns the registry's variable, or `<NAME>_<ENV_VAR>` when another live project uses that one.
fn free_variable(
    tx: &ProvisionTx<'_>,
    wanted: &ProvisionRequest,
    usual: &EnvVar,
    preflight: &Preflight,
) -> Result<EnvVar, Error> {
    let path = preflight.path();
    let taken = |variable: &EnvVar| EnvFileError::Taken { variable: variable.clone(), path: path.to_owned() };
    let variable = if tx.holds(path, usual)? { wanted.name.prefixed(usual)? } else { usual.clone() };
    if tx.holds(path, &variable)? {
        return Err(taken(&variable).into());
    }
    preflight.dry_run(&variable)?;
    match preflight.holds(&variable) {
        Some(value) if wanted.replace == Replace::OursOnly && !tx.is_spent(&value)? => Err(taken(&variable).into()),
        _ => Ok(variable),
    }
}

/// Uses the approval in the transaction of the intent: it counts once, and only for its subject.
pub(super) fn spend(
    tx: &ProvisionTx<'_>,
    subject: &Subject,
    approval: Option<&ApprovalId>,
    project: &ProjectId,
    now: Timestamp,
) -> Result<(), Error> {
    let granted = tx.asked(subject, now)?.filter(|granted| Some(&granted.id) == approval);
    match granted {
        Some(granted) if tx.spend(&granted.id, project, now)? => Ok(()),
        _ => Err(ApprovalError::Expired.into()),
    }
}

fn order(intent: &Intent, provider: &Provider, accept_terms: bool) -> Order {
    Order {
        id: intent.project.id.clone(),
        name: intent.project.name.clone(),
        service: provider.service.clone(),
        plan: provider.plan.clone(),
        config: provider.config.clone(),
        credentials: provider.deliveries.iter().filter_map(|delivery| delivery.credential.clone()).collect(),
        cap: intent.project.cap,
        paid: provider.paid,
        terms_accepted: accept_terms || provider.has_accepted_terms(),
    }
}

const ACTION: &str = "provision";
