//! The use cases, and the only place that knows the order of effects.
//!
//! Every operation has the same shape, one straight line on one thread:
//!
//! 1. lock the project, and settle what an earlier process may have left open;
//! 2. check everything that can be checked without spending;
//! 3. write the intent and its audit row, in one transaction;
//! 4. let the backend act;
//! 5. record what it handed out;
//! 6. write the env file;
//! 7. close the entry, with the audit row of the outcome.
//!
//! A process may die between any two of these. What it leaves is an open entry, and `settle.rs` turns every open
//! entry into one of: done, nothing happened, or not known yet.
//!
//! The methods block; they are called from a thread that may, with the runtime that drives the backend at hand.

mod abandon;
mod alerts;
mod approve;
mod audit;
mod audit_facts;
mod backend_wait;
mod batch;
mod caps;
mod inspect;
mod lifetimes;
mod list;
mod provision;
mod reconcile;
mod recover;
mod rotate;
mod scan;
mod session;
mod suspend;
mod teardown;
mod usage;

use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    iter,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use abandon::UnresolvedOrder;
pub use alerts::Listener;
pub use audit::{Access, AuditFilter, Called, OK};
pub use audit_facts::AuditFacts;
pub use backend_wait::BackendWait;
pub use batch::Outcome;
pub use list::{LARGEST_PAGE, Listing, USUAL_PAGE};
pub use provision::ProvisionRequest;
pub use recover::Recovered;
pub use scan::{ScanEvent, Search};
use serde_json::{Value, json};
pub use session::Session;
use tokio::runtime::Handle;

use crate::{
    backend::{Backend, BackendError, CapScope, Scope, collect_request_ids},
    clock::{Clock, Timestamp},
    env_file::EnvFile,
    error::Error,
    fs::{self, Lock, Stamp},
    ledger::{Event, Intent, Ledger, Verdict},
    name::ProjectName,
    policy::Asker,
    project::{Project, Status},
    registry::{CeilingFile, Registry, RegistryFile},
    secret::Fingerprint,
    view::{ProjectView, Sight},
};

/// Provisions, lists, rotates and tears down, for both doors.
pub struct Provisioner {
    backend: Arc<dyn Backend>,
    registry: RegistryFile,
    ceiling: CeilingFile,
    ledger: Arc<Ledger>,
    env_file: EnvFile,
    state: PathBuf,
    workspace: PathBuf,
    accept_terms: bool,
    session: Option<Session>,
    clock: Clock,
    runtime: Handle,
    waiting: BackendWait,
    watch: PhaseHook,
    alerts: alerts::Alerts,
    exhausted_caps: caps::ExhaustedCaps,
}

/// What a provisioner is made of.
pub struct Dependencies {
    pub backend: Arc<dyn Backend>,
    /// The one ledger of this process; the backend may hold it too.
    pub ledger: Arc<Ledger>,
    pub registry: RegistryFile,
    /// The policy outside the workspace, which the registry cannot loosen.
    pub ceiling: CeilingFile,
    pub env_file: PathBuf,
    /// The folder of the ledger and the locks; made on first use.
    pub state: PathBuf,
    /// Whether the human accepts the terms of service of whatever the registry has.
    pub accept_terms: bool,
    pub clock: Clock,
    /// Drives the backend while a call waits for it.
    pub runtime: Handle,
}

/// Who is calling, through which door.
#[derive(Clone, Debug)]
pub struct Principal {
    /// `mcp`, `cli`, `recovery`, or `alerts`.
    pub door: &'static str,
    /// A client's name and version, or a user's name.
    pub actor: String,
    pub asker: Asker,
}

/// What the registry's file and the policy outside the workspace are known by, without reading them.
pub type RegistryStamp = [Option<Stamp>; 2];

/// A point between two effects of an operation; see the module's first lines.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Phase {
    Locked,
    /// Everything that can be checked has been, and something is about to be written: the first time of a call, nothing
    /// has been so far. Told again before each further row.
    Checked,
    Intended,
    Acted,
    Recorded,
    Delivered,
    Closed,
}

impl Phase {
    pub const ALL: [Self; 7] =
        [Self::Locked, Self::Checked, Self::Intended, Self::Acted, Self::Recorded, Self::Delivered, Self::Closed];
}

/// Is told of each phase as it is reached.
pub type PhaseHook = Arc<dyn Fn(Phase) + Send + Sync>;

impl Provisioner {
    pub fn new(parts: Dependencies) -> Self {
        Self {
            waiting: BackendWait::new(parts.backend.name()),
            backend: parts.backend,
            registry: parts.registry,
            ceiling: parts.ceiling,
            ledger: parts.ledger,
            workspace: parts.env_file.parent().unwrap_or(&parts.env_file).to_owned(),
            env_file: EnvFile::new(parts.env_file),
            state: parts.state,
            accept_terms: parts.accept_terms,
            session: None,
            alerts: alerts::Alerts::new(parts.clock.now()),
            exhausted_caps: caps::ExhaustedCaps::default(),
            clock: parts.clock,
            runtime: parts.runtime,
            watch: Arc::new(|_| ()),
        }
    }

    /// Names the folder that the agent works in, where that is not the env file's.
    #[must_use]
    pub fn in_workspace(self, workspace: PathBuf) -> Self {
        Self { workspace, ..self }
    }

    /// Has every phase told to `watch`, on the thread that does the work.
    #[must_use]
    pub fn with_phase_hook(self, watch: PhaseHook) -> Self {
        Self { watch, ..self }
    }

    /// The registry as it is now, under the policy outside the workspace.
    ///
    /// # Errors
    /// [`Error::Registry`] or [`Error::Ceiling`] says which file is wrong, and where.
    pub fn registry(&self) -> Result<Registry, Error> {
        let registry = self.registry.read()?;
        let ceiling = self.ceiling.read().map_err(Error::Ceiling)?;
        Ok(match ceiling {
            Some(ceiling) => registry.under(&ceiling),
            None => registry,
        })
    }

    /// Something that changes when a file that [`Self::registry`] is read from does, however it is edited.
    pub fn registry_stamp(&self) -> RegistryStamp {
        [self.registry.stamp(), self.ceiling.stamp()]
    }

    /// Whether the newest project of that name was changed at that time or later.
    pub fn changed_since(&self, name: &ProjectName, at: Timestamp) -> bool {
        let newest = self.ledger.exists().then(|| self.ledger.projects().newest(name).ok().flatten()).flatten();
        newest.is_some_and(|project| project.updated_at >= at)
    }

    /// The time by the clock that dates every row.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The ledger, for what only reads it.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Tells, from any thread, whether the backend is being waited for.
    pub fn backend_wait(&self) -> BackendWait {
        self.waiting.clone()
    }

    fn phase(&self, phase: Phase) {
        (self.watch)(phase);
    }

    fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        let _waiting = self.waiting.begin();
        self.runtime.block_on(answer)
    }

    /// BackendWaitGuard for what the backend does about an intent, and keeps the ids of the requests for its audit row.
    fn call_backend<T>(
        &self,
        intent: &mut Intent,
        answer: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let (answer, ids) = self.wait(collect_request_ids(answer));
        intent.request_ids.extend(ids);
        answer
    }

    /// Has the backend lower the limits that a project's end leaves too high. That project's end is no less true when
    /// this fails, so it is written down, and the next end or start tries again.
    fn reconcile_limits(&self, principal: &Principal) -> Result<(), Error> {
        let (settled, ids) = self.wait(collect_request_ids(self.backend.reconcile_limits()));
        if let Err(error) = settled {
            let detail = json!({ "code": Error::from(error).code(), "request_ids": ids });
            self.ledger.audit().note(&self.event(principal, "settle limits", Verdict::Failed, detail), None)?;
        }
        Ok(())
    }

    /// Locks one project, in the state folder. `None`: somebody else holds it.
    fn lock(&self, name: &ProjectName, timeout: Duration) -> Result<Option<Lock>, Error> {
        let locks = self.state.join("locks");
        let ignore = self.state.join(".gitignore");
        if !ignore.exists() || !locks.is_dir() {
            make_state_folder(&locks, &ignore)?;
        }
        Ok(Lock::on_file(&locks.join(format!("{name}.lock")), timeout)?)
    }

    fn lock_project(&self, name: &ProjectName) -> Result<Lock, Error> {
        let lock = self.lock(name, TIMEOUT)?.ok_or(Error::ProjectBusy)?;
        self.phase(Phase::Locked);
        Ok(lock)
    }

    /// Writes down that a rule refused a call before anything was done, and passes the refusal on.
    fn refused(&self, principal: &Principal, action: &'static str, name: &ProjectName, error: Error) -> Error {
        if matches!(&error, Error::Ledger(error) if error.is_locked()) {
            return error; // nobody waits for the same process twice
        }
        let mut detail = json!({ "code": error.code() });
        if let (Some(decision), Some(facts)) = (decision(&error), detail.as_object_mut()) {
            facts.insert("decision".to_owned(), json!(decision));
        }
        let event = self.event(principal, action, Verdict::Refused, detail);
        match self.ledger.audit().note(&event, Some(name)) {
            Ok(()) => error,
            Err(unlogged) => unlogged.into(),
        }
    }

    /// A row of the audit that is about to be written. Nothing is written without one, so this is where every use case
    /// passes the point up to which it can be called off, and none can be written that forgets to.
    fn event(&self, principal: &Principal, action: &'static str, verdict: Verdict, detail: Value) -> Event {
        self.phase(Phase::Checked);
        Event { at: self.clock.now(), channel: principal.door, actor: principal.actor.clone(), action, verdict, detail }
    }

    /// The live project of that name, provided that our backend is the one that holds it.
    fn live(&self, name: &ProjectName) -> Result<Option<Project>, Error> {
        let Some(project) = self.ledger.projects().live(name)? else {
            return Ok(None);
        };
        if project.backend != self.backend.name() {
            return Err(Error::WrongBackend { theirs: project.backend, ours: self.backend.name() });
        }
        Ok(Some(project))
    }

    /// What to say of a name that no live project has.
    fn missing(&self, name: &ProjectName) -> Error {
        match self.ledger.projects().newest(name) {
            Ok(newest) => {
                Error::ProjectNotFound { torn_down: newest.is_some_and(|project| project.status == Status::TornDown) }
            }
            Err(error) => error.into(),
        }
    }

    /// A project as outsiders may see it, with what the backend says of it now.
    fn view(&self, project: &Project) -> ProjectView {
        let asked: Vec<_> = project.resource.iter().filter(|_| project.status.is_live()).cloned().collect();
        let answer =
            if asked.is_empty() { None } else { self.wait(self.backend.observe(Scope::Resources(&asked))).ok() };
        let sight = match &answer {
            None => Sight::Unknown,
            Some(observed) => observed.first().map_or(Sight::Gone, Sight::Seen),
        };
        if let Sight::Seen(observed) = sight {
            self.observe_usage(iter::once((project, observed)));
        }
        let shares = self.sharing().is_ok_and(|sharing| sharing.contains(project.service.provider()));
        ProjectView::new(project, sight, &*self.backend, shares)
    }

    /// Stripe's providers whose limit is shared by several live projects.
    fn sharing(&self) -> Result<BTreeSet<String>, Error> {
        match self.backend.cap_scope() {
            CapScope::Project => Ok(BTreeSet::new()),
            CapScope::ProviderAndMonth => Ok(self.ledger.projects().shared_providers(self.backend.name())?),
        }
    }

    fn recognise(&self, fingerprints: &[Fingerprint]) -> Result<Vec<Fingerprint>, Error> {
        Ok(self.ledger.issued_keys().ours(fingerprints)?)
    }
}

impl fmt::Debug for Provisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.backend.name();
        f.debug_struct("Provisioner").field("backend", &name).field("state", &self.state).finish_non_exhaustive()
    }
}

/// What policy said, where it was policy that said no.
fn decision(error: &Error) -> Option<&'static str> {
    match error {
        Error::Approval(_) => Some("needs_approval"),
        Error::Rule(_) => Some("refused"),
        _ => None,
    }
}

/// Private, and ignored by git as a whole.
fn make_state_folder(locks: &Path, ignore: &Path) -> Result<(), Error> {
    fs::create_private_folder(locks)?;
    let _lock = Lock::on_folder_of(ignore, TIMEOUT)?.ok_or(Error::ProjectBusy)?;
    Ok(fs::replace(ignore, b"*\n", fs::Privacy::Unchanged)?)
}

/// How long a call waits for another one on the same project.
const TIMEOUT: Duration = Duration::from_secs(30);
