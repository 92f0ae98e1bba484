//! The ports of the use cases: backend, ledger, delivery, locks, registry and clock.

use std::{
    fmt,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use backends::{Backend, BackendError, Metering, Observed, Scope, collect_request_ids};
use domain::{
    clock::{Clock, Timestamp},
    diagnostic::Diagnostic as _,
    lifetime::Lifetime,
    money::{MicroUsd, MoneyClass},
    name::ProjectName,
    project::{Project, ResourceId, Status},
    secret::Fingerprint,
};
use files::{
    env_file::{EnvFile, EnvFileError, Replace, Surroundings},
    fs::{SearchPath, Stamp},
    registry::{Policy, PolicyFiles, Registry, RegistryFiles},
    state_folder::StateFolder,
};
use serde_json::{Value, json};
use storage::ledger::{Event, Intent, Ledger, Verdict};
use tokio::runtime::Handle;

use super::{
    BackendWait, ConnectionChoice, Deliver, EnvFiles, LockFiles, Locks, Principal, locks::ProjectLock,
    refusals::Refusals,
};
use crate::error::Error;

/// The ports of one workspace, shared by its services.
#[derive(Clone)]
pub struct Ports {
    pub backend: Arc<dyn Backend>,
    pub ledger: Arc<Ledger>,
    pub delivery: Arc<dyn Deliver>,
    pub locks: Arc<dyn Locks>,
    pub registry_files: RegistryFiles,
    pub policy_files: PolicyFiles,
    /// Where keys of new projects go.
    pub env_file: PathBuf,
    /// Whether the caller named the env file, and did not leave it to the default.
    pub env_file_named: bool,
    /// Where the programs are that may be started.
    pub programs: SearchPath,
    /// The folder of the ledger and the locks.
    pub state: Arc<StateFolder>,
    /// Whether a terminal of the user finds that folder without a flag.
    pub is_usual_state: bool,
    /// The folder that the agent works in, and can edit.
    pub workspace: PathBuf,
    pub accept_terms: bool,
    /// What a person's flags choose for a connection; `None` in a server, and for the simulation.
    pub connection_choice: Option<ConnectionChoice>,
    pub clock: Clock,
    pub(super) runtime: Handle,
    pub(super) backend_wait: BackendWait,
    pub(super) phase_hook: PhaseHook,
    pub(super) refusals: Refusals,
}

/// The parts that a [`super::Provisioner`] is built from.
pub struct Dependencies {
    pub backend: Arc<dyn Backend>,
    /// The one ledger of this process, which the backend's notes share.
    pub ledger: Arc<Ledger>,
    pub registry: RegistryFiles,
    /// The policies outside the workspace, which no registry can loosen.
    pub policies: PolicyFiles,
    pub env_file: PathBuf,
    /// The folder of the ledger and the locks; made on first use.
    pub state: Arc<StateFolder>,
    /// Whether a terminal of the user finds that folder without a flag.
    pub is_usual_state: bool,
    /// Whether the user accepts the terms of service of every provider in the registry.
    pub accept_terms: bool,
    pub clock: Clock,
    /// Drives the backend while a call waits for it.
    pub runtime: Handle,
}

/// Identifies the current versions of the registry and policy files without reading them.
pub type RegistryStamp = Vec<Option<Stamp>>;

/// A point between two effects of an operation; see the module's first lines.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Phase {
    Locked,
    /// All checks are done, and something is about to be written. The first time in a call, nothing was written before;
    /// it is reported again before each further row.
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

/// Called at each phase as it is reached.
pub type PhaseHook = Arc<dyn Fn(Phase) + Send + Sync>;

impl Ports {
    pub(super) fn new(dependencies: Dependencies) -> Self {
        let Dependencies { backend, ledger, registry, policies, env_file, state, .. } = dependencies;
        let Dependencies { is_usual_state, accept_terms, clock, runtime, .. } = dependencies;
        let workspace = env_file.parent().unwrap_or(&env_file).to_owned();
        Self {
            backend_wait: BackendWait::new(backend.name()),
            backend,
            ledger,
            delivery: env_files(&workspace, state.path()),
            locks: Arc::new(LockFiles::new(Arc::clone(&state))),
            registry_files: registry,
            policy_files: policies,
            workspace,
            env_file,
            env_file_named: false,
            programs: SearchPath::default(),
            state,
            is_usual_state,
            accept_terms,
            connection_choice: None,
            clock,
            runtime,
            phase_hook: Arc::new(|_| ()),
            refusals: Refusals::default(),
        }
    }

    /// Names the folder that the agent works in, which no link of an env file may lead out of.
    pub(super) fn in_workspace(self, workspace: PathBuf) -> Self {
        Self { delivery: env_files(&workspace, self.state.path()), workspace, ..self }
    }

    /// Returns an env file of this workspace.
    pub fn env_file_at(&self, path: &Path) -> EnvFile {
        EnvFile::new(path.to_owned(), &surroundings(&self.workspace, self.state.path()))
    }

    /// Reads the registry, restricted by every policy outside the workspace.
    ///
    /// # Errors
    /// [`Error::Registry`] or [`Error::UserPolicy`] says which file is wrong, and where.
    pub fn registry(&self) -> Result<Registry, Error> {
        let policies = self.policy_files.read().map_err(Error::UserPolicy)?;
        Ok(self.registry_files.read(&policies)?)
    }

    /// Returns the limits that hold for what goes on without a valid registry, such as a rotation.
    pub(super) fn limits(&self) -> Policy {
        match self.registry() {
            Ok(registry) => registry.policy,
            Err(_) => Policy::of_files(&self.policy_files.read().unwrap_or_default()),
        }
    }

    /// As [`Self::registry`], for a purchase: where the user has no home, limits could not be found.
    ///
    /// # Errors
    /// [`Error::NoHome`] in addition.
    pub(super) fn registry_to_buy(&self) -> Result<Registry, Error> {
        if self.policy_files.has_home() { self.registry() } else { Err(Error::NoHome) }
    }

    /// Returns a stamp that changes with every edit of the files that [`Self::registry`] reads.
    pub fn registry_stamp(&self) -> RegistryStamp {
        [self.registry_files.stamps(), self.policy_files.stamps()].concat()
    }

    /// Returns the class of money that the backend spends.
    pub fn money(&self) -> MoneyClass {
        MoneyClass::of_backend(self.backend.name())
    }

    /// The time by the clock that dates every row.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns a handle that shows whether a call waits for the backend.
    pub fn backend_wait(&self) -> BackendWait {
        self.backend_wait.clone()
    }

    /// Returns the name and version of the program that the backend runs, if it runs one.
    pub fn backend_version(&self) -> Result<Option<String>, BackendError> {
        self.wait(self.backend.version())
    }

    /// Asks the backend about resources.
    pub fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        self.wait(self.backend.observe(scope))
    }

    /// Tells whether a running process is changing a project.
    pub fn is_busy(&self, name: &ProjectName) -> Result<bool, Error> {
        Ok(self.try_lock_project(name, Duration::ZERO)?.is_none())
    }

    /// Locks a project of the workspace. `None`: another call or process held it for the whole `timeout`.
    pub(super) fn try_lock_project(&self, name: &ProjectName, timeout: Duration) -> Result<Option<ProjectLock>, Error> {
        self.locks.prepare()?;
        let held = self.locks.project(&self.ledger.register_workspace()?, name, timeout)?;
        Ok(held.map(|held| ProjectLock::new(held, Arc::clone(&self.ledger), name.clone())))
    }

    pub(super) fn phase(&self, phase: Phase) {
        (self.phase_hook)(phase);
    }

    pub(super) fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        let _waiting = self.backend_wait.begin();
        self.runtime.block_on(answer)
    }

    /// Waits for what the backend does about an intent, and keeps the ids of the requests for its audit row.
    pub(super) fn call_backend<T>(
        &self,
        intent: &mut Intent,
        answer: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let (answer, ids) = self.wait(collect_request_ids(answer));
        intent.request_ids.extend(ids);
        answer
    }

    /// Asks for the usage of a resource; `None` where the backend does not know or does not answer.
    pub(super) fn reported_usage(&self, resource: &ResourceId) -> Option<MicroUsd> {
        if self.backend.metering() == Metering::None {
            return None;
        }
        let scope = [resource.clone()];
        let observed = self.wait(self.backend.observe(Scope::Resources(&scope))).ok()?;
        observed.into_iter().find(|observed| observed.resource == *resource)?.usage
    }

    /// Lowers the provider limits that the end of a project leaves too high. A failure does not change that end: it is
    /// recorded, and the next end or start tries again.
    pub(super) fn reconcile_limits(&self, principal: &Principal) -> Result<(), Error> {
        let (settled, ids) = self.wait(collect_request_ids(self.backend.reconcile_limits()));
        if let Err(error) = settled {
            let detail = json!({ "code": Error::from(error).code(), "request_ids": ids });
            self.ledger.audit().note(&self.event(principal, "settle limits", Verdict::Failed, detail), None)?;
        }
        Ok(())
    }

    /// Locks a project, and waits for another call that is changing it.
    pub(super) fn lock_project(&self, name: &ProjectName) -> Result<ProjectLock, Error> {
        let lock = self.try_lock_project(name, LOCK_TIMEOUT)?.ok_or(Error::ProjectBusy)?;
        let _ = self.delivery.sweep(&self.env_file); // what cannot be removed does no harm, and `doctor` shows it
        self.phase(Phase::Locked);
        Ok(lock)
    }

    /// Records that a call was refused before anything was done, unless the same was recorded a moment ago, and returns the
    /// refusal.
    pub(super) fn refused(
        &self,
        principal: &Principal,
        action: &'static str,
        name: &ProjectName,
        error: Error,
    ) -> Error {
        if matches!(&error, Error::Ledger(error) if error.is_locked()) {
            return error; // do not wait for the same process again
        }
        let mut detail = json!({ "code": error.code() });
        if let (Some(decision), Some(facts)) = (decision(&error), detail.as_object_mut()) {
            facts.insert("decision".to_owned(), json!(decision));
        }
        let (channel, actor) = (principal.channel.as_str(), principal.actor());
        if !self.refusals.is_new(format!("{channel}\n{actor}\n{action}\n{name}\n{detail}")) {
            return error;
        }
        let event = self.event(principal, action, Verdict::Refused, detail);
        match self.ledger.audit().note_refusal(&event, Some(name)) {
            Ok(()) => error,
            Err(unlogged) => unlogged.into(),
        }
    }

    /// Creates an audit row that is about to be written. Nothing is written without one, so every use case reports
    /// here that it can no longer be cancelled.
    pub(super) fn event(&self, principal: &Principal, action: &'static str, verdict: Verdict, detail: Value) -> Event {
        self.phase(Phase::Checked);
        Event {
            at: self.clock.now(),
            channel: principal.channel.as_str(),
            actor: principal.actor().to_owned(),
            action,
            verdict,
            detail,
        }
    }

    /// Returns the live project of that name.
    ///
    /// # Errors
    /// [`Error::WrongBackend`] when another backend holds it.
    pub(super) fn live(&self, name: &ProjectName) -> Result<Option<Project>, Error> {
        let Some(project) = self.ledger.projects().live(name)? else {
            return Ok(None);
        };
        if project.backend != self.backend.name() {
            return Err(Error::WrongBackend { theirs: project.backend, ours: self.backend.name() });
        }
        Ok(Some(project))
    }

    /// Checks that no kill of the project is waiting to be recorded or resumed; every operation that may enable its key
    /// or deliver it asks this after locking, and again before it acts.
    ///
    /// # Errors
    /// [`Error::Suspended`].
    pub fn check_not_halted(&self, project: &Project) -> Result<(), Error> {
        if self.ledger.halts().is_requested(&project.id)? {
            return Err(Error::Suspended { name: project.name.clone() });
        }
        Ok(())
    }

    /// Returns the error for a name that no live project has.
    pub(super) fn missing(&self, name: &ProjectName) -> Error {
        match self.ledger.exists().then(|| self.ledger.projects().newest(name)).transpose() {
            Ok(newest) => {
                let newest = newest.flatten();
                Error::ProjectNotFound { torn_down: newest.is_some_and(|project| project.status == Status::TornDown) }
            }
            Err(error) => error.into(),
        }
    }

    /// Proves that every variable can take a key, and that none holds a value of the user's own by now, unless that may
    /// be replaced.
    pub(super) fn can_deliver(&self, project: &Project, replace: Replace) -> Result<(), Error> {
        let preflight = self.delivery.preflight(&project.env_file)?;
        for delivery in &project.deliveries {
            preflight.dry_run(&delivery.env_var)?;
            if replace == Replace::OursOnly
                && let Some(value) = preflight.holds(&delivery.env_var)
                && self.recognise(&[value])?.is_empty()
            {
                let (variable, path) = (delivery.env_var.clone(), project.env_file.clone());
                return Err(EnvFileError::Taken { variable, path }.into());
            }
        }
        Ok(())
    }

    /// Returns those of the fingerprints that are of credentials that we ever delivered.
    pub(super) fn recognise(&self, fingerprints: &[Fingerprint]) -> Result<Vec<Fingerprint>, Error> {
        Ok(self.ledger.issued_keys().ours(fingerprints)?)
    }

    /// When a lifetime that begins now is over.
    pub(super) fn expiry(&self, lifetime: Lifetime) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond().saturating_add(lifetime.milliseconds())).unwrap_or(now)
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.backend.name();
        f.debug_struct("Ports").field("backend", &name).field("state", &self.state.path()).finish_non_exhaustive()
    }
}

fn env_files(workspace: &Path, state: &Path) -> Arc<dyn Deliver> {
    Arc::new(EnvFiles::new(surroundings(workspace, state)))
}

fn surroundings(workspace: &Path, state: &Path) -> Surroundings {
    Surroundings { workspace: workspace.to_owned(), state: state.to_owned() }
}

/// Returns the decision of the policy, if the policy refused.
fn decision(error: &Error) -> Option<&'static str> {
    match error {
        Error::Approval(_) => Some("needs_approval"),
        Error::Rule(_) => Some("refused"),
        _ => None,
    }
}

/// How long a call waits for another one on the same project.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
