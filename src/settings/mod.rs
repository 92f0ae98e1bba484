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
use environment::{path, search_path, secret};
use files::{
    fs::{self, SearchPath},
    git,
    registry::{RegistryFile, UserPolicyFile},
};
#[cfg(feature = "simulator")]
use simulator::Simulator;
use storage::ledger::Ledger;

/// The resolved settings. Nothing is opened yet.
pub struct Settings {
    /// The folder the agent works in.
    pub dir: PathBuf,
    pub env_file: PathBuf,
    env_file_named: bool,
    pub registry: RegistryFile,
    user_policy: UserPolicyFile,
    pub state: PathBuf,
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
        let state = options.state_dir.or_else(|| path("STRIPE_PROJECTS_STATE_DIR"));
        let env_file_named = env_file.is_some();
        let env_file = within(env_file.unwrap_or_else(|| PathBuf::from(".env")));
        if env_file.to_str().is_none() {
            return Err(Error::PathNotText { path: env_file });
        }
        Ok(Self {
            env_file,
            env_file_named,
            registry: match providers {
                Some(path) => RegistryFile::Named(within(path)),
                None => RegistryFile::OwnOrBuiltin(within(PathBuf::from("providers.toml"))),
            },
            user_policy: user_policy(within),
            state: within(state.unwrap_or_else(|| PathBuf::from(".stripe-projects"))),
            accept_terms: options.accept_tos,
            backend,
            payment_method,
            programs,
            flags,
            dir: dir.clone(),
        })
    }

    /// Returns a warning to print at the start.
    pub fn warning(&self) -> Option<&'static str> {
        self.backend.warning()
    }

    /// Removes what killed processes left in the state folder.
    pub fn sweep(&self) {
        stripe_cli::sweep(&self.state);
    }

    /// Builds the services. Still no unfinished operationed: that happens on first use.
    pub fn provisioner(self, runtime: Handle) -> Provisioner {
        let Self { dir, env_file, env_file_named, registry, user_policy, state, accept_terms, .. } = self;
        let (backend, payment_method, programs) = (self.backend, self.payment_method, self.programs);
        let clock = Clock::system();
        let ledger = Arc::new(Ledger::of(&state));
        let backend = backend.build(&state, &ledger, payment_method, &clock);
        Provisioner::new(Dependencies {
            backend,
            ledger,
            registry,
            user_policy,
            env_file,
            state,
            accept_terms,
            clock,
            runtime,
        })
        .in_workspace(dir)
        .with_named_env_file(env_file_named)
        .with_programs(programs)
        .signing_alerts_with(secret("STRIPE_PROJECTS_ALERT_SECRET"))
    }

    /// Returns the process that reaps after this one, with the same settings.
    pub fn detached_reaper(&self) -> DetachedReaper {
        DetachedReaper { flags: self.flags.clone() }
    }

    /// Returns the simulator of the same state folder.
    #[cfg(feature = "simulator")]
    pub fn simulator(self) -> Simulator {
        Simulator::new(simulated_store(&self.state), self.payment_method, Clock::system())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("env_file", &self.env_file).field("state", &self.state).finish_non_exhaustive()
    }
}

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
