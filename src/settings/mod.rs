//! Reads flags, environment and defaults once, and builds the services from them.
//!
//! A flag wins over a variable, a variable over a default.

mod backend;
mod cli_options;
mod detached_reaper;
mod environment;
mod ledger_notes;
mod start;

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc};

pub use backend::simulated_store;
use backend::{BackendConfig, payment_method};
pub use cli_options::CliOptions;
pub use detached_reaper::DetachedReaper;
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
    registry::{RegistryFile, UserPolicyFile},
    state_folder::StateFolder,
};
#[cfg(feature = "simulator")]
use simulator::Simulator;
use storage::ledger::{Ledger, Registration};

/// The resolved settings. Nothing is opened yet.
pub struct Settings {
    /// The folder the agent works in.
    pub dir: PathBuf,
    pub env_file: PathBuf,
    env_file_named: bool,
    pub registry: RegistryFile,
    user_policy: UserPolicyFile,
    state: StateFolder,
    /// Whether the state folder is the one that every terminal of the user finds without a flag.
    is_usual_state: bool,
    accept_terms: bool,
    backend: BackendConfig,
    payment_method: PaymentMethod,
    programs: SearchPath,
    flags: Vec<OsString>,
}

impl Settings {
    /// Resolves the settings. Nothing is created, and only a file that holds the API key is opened.
    pub fn resolve(options: CliOptions) -> Result<Self, Error> {
        let dir = options.dir.clone().or_else(|| path("STRIPE_PROJECTS_DIR")).unwrap_or_else(|| PathBuf::from("."));
        let dir = fs::real_folder(&dir).map_err(|_| Error::NoFolder { path: dir })?;
        let within = |path: PathBuf| fs::in_real_folder(&dir.join(path));
        let flags = [vec!["--dir".into(), dir.clone().into()], options.flags()].concat();
        let programs = search_path(&dir);
        git::resolve_program(&programs);
        let backend = BackendConfig::new(&options, &programs, within)?;
        let payment_method = payment_method(&options)?;
        let env_file = options.env_file.or_else(|| path("STRIPE_PROJECTS_ENV_FILE"));
        let providers = options.providers.or_else(|| path("STRIPE_PROJECTS_PROVIDERS"));
        let env_file_named = env_file.is_some();
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
        Ok(Self {
            env_file,
            env_file_named,
            registry: match providers {
                Some(path) => RegistryFile::Named(within(path)),
                None => RegistryFile::OwnOrBuiltin(within(PathBuf::from("providers.toml"))),
            },
            user_policy: user_policy(within),
            is_usual_state: usual.as_ref() == Some(&state),
            state: StateFolder::new(state, dir.clone(), home),
            accept_terms: options.accept_tos,
            backend,
            payment_method,
            programs,
            flags,
            dir: dir.clone(),
        })
    }

    /// Serves an agent, whose workspace must not contain the state folder.
    #[must_use]
    pub fn for_agents(self) -> Self {
        Self { state: self.state.for_agents(), ..self }
    }

    /// Returns a warning to print at the start.
    pub fn warning(&self) -> Option<&'static str> {
        self.backend.warning()
    }

    /// Removes what killed processes left in the state folder.
    pub fn sweep(&self) {
        stripe_cli::sweep(self.state.path());
    }

    /// Builds the services. Nothing is opened yet: that happens on first use.
    ///
    /// # Errors
    /// [`Error::NoRandomness`], or when the workspace cannot be looked at.
    pub fn provisioner(self, runtime: Handle) -> Result<Provisioner, Error> {
        let Self { dir, env_file, env_file_named, registry, user_policy, state, is_usual_state, .. } = self;
        let Self { accept_terms, backend, payment_method, programs, .. } = self;
        let (clock, state) = (Clock::system(), Arc::new(state));
        let place = Place { path: dir.clone(), identity: Some(fs::folder_identity(&dir)?) };
        let registration = Registration { place, id: WorkspaceId::random()?, at: clock.now() };
        let ledger = Ledger::of(state.path()).in_state_folder(Arc::clone(&state)).in_folder(registration);
        let ledger = Arc::new(ledger);
        let backend = backend.build(state.path(), &ledger, payment_method, &clock);
        let provisioner = Provisioner::new(Dependencies {
            backend,
            ledger,
            registry,
            user_policy,
            env_file,
            state,
            is_usual_state,
            accept_terms,
            clock,
            runtime,
        });
        let provisioner = provisioner.in_workspace(dir).with_named_env_file(env_file_named).with_programs(programs);
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

/// The name of our folder among those of other programs.
const FOLDER: &str = "stripe-projects";

/// No flag sets it: flags are in the host's configuration, which is often in the workspace.
fn user_policy(within: impl Fn(PathBuf) -> PathBuf) -> UserPolicyFile {
    if let Some(named) = path("STRIPE_PROJECTS_POLICY") {
        return UserPolicyFile::Named(within(named));
    }
    let configured = path("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
    let home = || path("HOME").or_else(|| path("USERPROFILE")).map(|home| home.join(".config"));
    match configured.or_else(home) {
        Some(folder) => UserPolicyFile::Default(folder.join("stripe-projects").join("policy.toml")),
        None => UserPolicyFile::NoFolder,
    }
}
