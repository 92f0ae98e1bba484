//! Reads flags, environment and defaults once, and builds the services from them.
//!
//! A flag wins over a variable, a variable over a default.

mod backend;
mod cli_options;
mod detached_reaper;
mod dumps;
mod environment;
mod ledger_notes;
mod start;

use std::{
    ffi::OsString,
    fmt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

pub use backend::simulated_store;
use backend::{BackendConfig, payment_method};
pub use cli_options::CliOptions;
pub use detached_reaper::DetachedReaper;
pub use dumps::prevent_dumps;
pub use environment::{Colour, colour, homes, is_dumb, user};
pub use ledger_notes::LedgerNotes;
pub use start::Start;
use tokio::runtime::Handle;

use crate::{
    error::Error,
    provisioner::{Dependencies, Provisioner},
};
use backends::{simulated::PaymentMethod, stripe_cli};
use domain::clock::Clock;
use domain::workspace::{Place, WorkspaceId};
use environment::{home, path, search_path, secret, state_home, usual_state_home};
use files::{
    fs::{self, SearchPath},
    git,
    registry::{PolicyFiles, RegistryFiles, WorkspaceRegistry},
    state_folder::StateFolder,
};
#[cfg(feature = "simulator")]
use simulator::Simulator;
use storage::ledger::{Ledger, RegisteredWorkspace, Registration};

/// The resolved settings. Nothing is opened yet.
#[expect(clippy::struct_excessive_bools, reason = "each is one independent setting")]
pub struct Settings {
    /// The folder the agent works in.
    pub dir: PathBuf,
    /// As it was named, if there is no such folder.
    missing_dir: Option<PathBuf>,
    /// The label of another workspace, which a command names.
    workspace: Option<String>,
    serves_agent: bool,
    pub env_file: PathBuf,
    env_file_named: bool,
    pub registry: RegistryFiles,
    policies: PolicyFiles,
    state: StateFolder,
    /// Whether the state folder is the one that every terminal of the user finds without a flag.
    is_usual_state: bool,
    accept_terms: bool,
    backend: BackendConfig,
    payment_method: PaymentMethod,
    programs: SearchPath,
    flags: Vec<OsString>,
    ignored: Vec<&'static str>,
    by_host: bool,
}

impl Settings {
    /// Resolves the settings. Nothing is created, and only a file that holds the API key is opened.
    pub fn resolve(options: CliOptions) -> Result<Self, Error> {
        let dir = options.dir.clone().or_else(|| path("STRIPE_PROJECTS_DIR")).unwrap_or_else(|| PathBuf::from("."));
        let (dir, missing_dir) = match fs::real_folder(&dir) {
            Ok(real) => (real, None),
            Err(_) if dir.exists() => return Err(Error::NoFolder { path: dir }),
            Err(_) => (in_absolute_ancestor(&dir)?, Some(dir)),
        };
        let within = |path: PathBuf| fs::in_real_folder(&dir.join(path));
        let flags = [vec!["--dir".into(), dir.clone().into()], options.flags()].concat();
        let programs = search_path(&dir);
        git::resolve_program(&programs);
        let backend = BackendConfig::new(&options, &programs, within)?;
        let payment_method = payment_method(&options)?;
        let (by_host, ignored) =
            (options.by_host, if options.by_host { BackendConfig::ignored(&options) } else { Vec::new() });
        let env_file = options.env_file.or_else(|| path("STRIPE_PROJECTS_ENV_FILE"));
        let providers = options.providers.or_else(|| path("STRIPE_PROJECTS_PROVIDERS"));
        let env_file_named = env_file.is_some() && !options.by_host; // only a person may lead keys out of the workspace
        let home = home();
        let usual = home.as_deref().map(|home| fs::in_real_ancestor(&usual_state_home(home).join(FOLDER)));
        let state = match options.state_dir.or_else(|| path("STRIPE_PROJECTS_STATE_DIR")) {
            Some(named) => dir.join(named),
            None => state_home(home.as_deref()).ok_or(Error::NoHome)?.join(FOLDER),
        };
        let state = fs::in_real_ancestor(&state);
        let env_file = within(env_file.unwrap_or_else(|| PathBuf::from(".env")));
        if let Some(path) = [&env_file, &dir].into_iter().find(|path| path.to_str().is_none()) {
            return Err(Error::PathNotText { path: path.clone() });
        }
        if by_host && !is_below(&env_file, &dir) {
            return Err(Error::EnvFileOutside);
        }
        let folders = environment::config_folders();
        let workspace_registry = match providers {
            Some(path) => WorkspaceRegistry::Named(within(path)),
            None => WorkspaceRegistry::Own(within(PathBuf::from("providers.toml"))),
        };
        // No flag names a policy: flags are in the host's configuration, which is often in the workspace.
        let policy = path("STRIPE_PROJECTS_POLICY").map(within);
        Ok(Self {
            env_file,
            env_file_named,
            registry: RegistryFiles::new(&folders, workspace_registry, dir.clone()),
            policies: PolicyFiles::new(&folders, policy, dir.clone()),
            is_usual_state: usual.as_ref() == Some(&state),
            state: StateFolder::new(state, options.workspace.is_none().then(|| dir.clone()), home),
            accept_terms: options.accept_tos && !by_host,
            backend,
            payment_method,
            programs,
            flags,
            ignored,
            by_host,
            dir: dir.clone(),
            missing_dir,
            workspace: options.workspace,
            serves_agent: false,
        })
    }

    /// Serves an agent, whose workspace must not contain the state folder.
    #[must_use]
    pub fn for_agents(self) -> Self {
        Self { state: self.state.for_agents(), serves_agent: true, ..self }
    }

    /// Proves that the folder exists, for what needs more than its projects.
    ///
    /// # Errors
    /// [`Error::NoFolder`]
    pub fn ensure_folder(&self) -> Result<(), Error> {
        self.missing_dir.clone().map_or(Ok(()), |path| Err(Error::NoFolder { path }))
    }

    /// Returns a warning to print at the start.
    pub fn warning(&self) -> Option<&'static str> {
        self.backend.warning()
    }

    /// Removes what killed processes left in the state folder.
    pub fn sweep(&self) {
        stripe_cli::sweep(self.state.path());
    }

    /// Returns what to say about flags of a host's entry that do not count.
    pub fn ignored_flags(&self) -> Option<String> {
        let flags = self.ignored.join(", ");
        (!flags.is_empty()).then(|| format!("{flags} {IGNORED}"))
    }

    /// Returns the policy files that count.
    pub fn policies(&self) -> &PolicyFiles {
        &self.policies
    }

    /// Builds the services. Nothing is opened yet: that happens on first use.
    ///
    /// # Errors
    /// [`Error::NoFolder`] and [`Error::UnknownWorkspace`] where a workspace is named that is not registered, or when it
    /// cannot be looked at.
    pub fn provisioner(self, runtime: Handle) -> Result<Provisioner, Error> {
        let Self { dir, missing_dir, workspace, serves_agent, env_file, env_file_named, registry, policies, .. } = self;
        let Self { state, is_usual_state, accept_terms, backend, payment_method, programs, .. } = self;
        let (clock, state) = (Clock::system(), Arc::new(state));
        let ledger = Ledger::of(state.path()).in_state_folder(Arc::clone(&state));
        let (ledger, dir) = match (workspace, missing_dir) {
            (Some(label), _) => {
                let found = labelled(&ledger, &label)?.ok_or(Error::UnknownWorkspace)?;
                (ledger.in_workspace(found.id), found.path)
            }
            (None, Some(missing)) => {
                let found = labelled(&ledger, &dir.to_string_lossy())?.ok_or(Error::NoFolder { path: missing })?;
                (ledger.in_workspace(found.id), dir)
            }
            (None, None) => {
                let place = Place { path: dir.clone(), identity: Some(fs::folder_identity(&dir)?) };
                let (id, at) = (WorkspaceId::random()?, clock.now());
                (ledger.in_folder(Registration { place, id, at, for_agent: serves_agent }), dir)
            }
        };
        let ledger = Arc::new(ledger);
        let choice = backend.choice(&dir, accept_terms).filter(|_| !self.by_host);
        let backend = backend.build(state.path(), &ledger, payment_method, &clock);
        let provisioner = Provisioner::new(Dependencies {
            backend,
            ledger,
            registry,
            policies,
            env_file,
            state,
            is_usual_state,
            accept_terms,
            clock,
            runtime,
        });
        let provisioner = provisioner.in_workspace(dir).choosing(choice);
        let provisioner = provisioner.with_named_env_file(env_file_named).with_programs(programs);
        Ok(provisioner.signing_alerts_with(secret("STRIPE_PROJECTS_ALERT_SECRET")))
    }

    /// Returns the process that reaps after this one, with the same settings.
    pub fn detached_reaper(&self) -> DetachedReaper {
        DetachedReaper { flags: self.flags.clone() }
    }

    /// Returns the simulator of the same state folder, which is created.
    ///
    /// # Errors
    /// [`Error::StateFolder`]
    #[cfg(feature = "simulator")]
    pub fn simulator(self) -> Result<Simulator, Error> {
        self.state.create()?;
        Ok(Simulator::new(simulated_store(self.state.path()), self.payment_method, Clock::system()))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("env_file", &self.env_file)
            .field("state", &self.state.path())
            .finish_non_exhaustive()
    }
}

/// Returns the registered workspace of that label.
fn labelled(ledger: &Ledger, label: &str) -> Result<Option<RegisteredWorkspace>, Error> {
    if ledger.exists() { Ok(ledger.workspaces().labelled(label)?) } else { Ok(None) }
}

/// Returns where a folder that does not exist would be.
fn in_absolute_ancestor(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(|_| Error::NoFolder { path: path.to_owned() })?;
    Ok(fs::in_real_ancestor(&absolute).components().collect())
}

/// The name of our folder among those of other programs.
const FOLDER: &str = "stripe-projects";

/// Whether a path is below a folder, also if parts of it do not exist.
fn is_below(path: &Path, folder: &Path) -> bool {
    path.starts_with(folder) && !path.components().any(|part| part == Component::ParentDir)
}

const IGNORED: &str = "of a host's entry or of the environment do not count in a server: what `connect` has recorded for \
    this workspace does";
