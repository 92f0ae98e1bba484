//! Flags, environment and defaults, once; and from them the house as it is lived in.
//!
//! The only reader of the process environment. A flag wins over a variable, a variable over a default.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::runtime::Handle;

use crate::{
    backend::{
        Backend,
        simulated::{PaymentMethod, Simulated},
    },
    clock::Clock,
    error::Error,
    fs,
    provisioner::{Parts, Provisioner},
    registry::RegistryFile,
    simulator::Simulator,
};

/// What was given on the command line; `None` is "not given".
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub dir: Option<PathBuf>,
    pub env_file: Option<PathBuf>,
    pub providers: Option<PathBuf>,
    pub state_dir: Option<PathBuf>,
    pub backend: Option<String>,
    pub payment_method: Option<String>,
    pub accept_tos: bool,
}

/// Everything decided, nothing opened yet.
pub struct Settings {
    pub env_file: PathBuf,
    pub registry: RegistryFile,
    pub state: PathBuf,
    pub backend: BackendKind,
    payment_method: PaymentMethod,
    accept_terms: bool,
}

/// Which backend is meant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BackendKind {
    #[default]
    Simulated,
}

impl Settings {
    /// Decides. Nothing is opened or created.
    ///
    /// # Errors
    /// When the folder is not there, or a word is not one of those that it could be.
    pub fn resolve(given: Given) -> Result<Self, Error> {
        let dir = given.dir.or_else(|| path("STRIPE_PROJECTS_DIR")).unwrap_or_else(|| PathBuf::from("."));
        let dir = fs::real_folder(&dir).map_err(|_| Error::NoFolder { path: dir })?;
        let within = |path: PathBuf| fs::in_real_folder(&dir.join(path));
        let env_file = given.env_file.or_else(|| path("STRIPE_PROJECTS_ENV_FILE"));
        let providers = given.providers.or_else(|| path("STRIPE_PROJECTS_PROVIDERS"));
        let state = given.state_dir.or_else(|| path("STRIPE_PROJECTS_STATE_DIR"));
        let backend = given.backend.or_else(|| word("STRIPE_PROJECTS_BACKEND"));
        let payment_method = given.payment_method.or_else(|| word("STRIPE_PROJECTS_PAYMENT_METHOD"));
        let env_file = within(env_file.unwrap_or_else(|| PathBuf::from(".env")));
        if env_file.to_str().is_none() {
            return Err(Error::PathNotText { path: env_file });
        }
        Ok(Self {
            env_file,
            registry: match providers {
                Some(path) => RegistryFile::Named(within(path)),
                None => RegistryFile::OwnOrBuiltin(within(PathBuf::from("providers.toml"))),
            },
            state: within(state.unwrap_or_else(|| PathBuf::from(".stripe-projects"))),
            backend: backend.map_or(Ok(BackendKind::default()), |word| BackendKind::parse(&word))?,
            accept_terms: given.accept_tos,
            payment_method: match payment_method {
                Some(token) => PaymentMethod::parse(&token)?,
                None => PaymentMethod::default(),
            },
        })
    }

    /// Puts the house together. Still nothing is opened: that happens on first use.
    pub fn provisioner(self, runtime: Handle) -> Provisioner {
        let clock = Clock::system();
        let backend: Arc<dyn Backend> = match self.backend {
            BackendKind::Simulated => {
                Arc::new(Simulated::new(simulated_world(&self.state), self.payment_method, clock.clone()))
            }
        };
        let Self { env_file, registry, state, accept_terms, .. } = self;
        Provisioner::new(Parts { backend, registry, env_file, state, accept_terms, clock, runtime })
    }

    /// The same simulated world, to be served over HTTP.
    pub fn simulator(self) -> Simulator {
        Simulator::new(simulated_world(&self.state), self.payment_method, Clock::system())
    }
}

impl BackendKind {
    fn parse(word: &str) -> Result<Self, Error> {
        match word {
            "simulated" => Ok(Self::Simulated),
            _ => Err(Error::UnknownBackend),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("env_file", &self.env_file).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Where the simulated world of a state folder is kept.
pub fn simulated_world(state: &Path) -> PathBuf {
    state.join("simulated.db")
}

/// The name of the person at the terminal, as far as the environment tells.
pub fn user() -> String {
    word("USER").or_else(|| word("USERNAME")).unwrap_or_else(|| "unknown user".to_owned())
}

fn path(variable: &str) -> Option<PathBuf> {
    read(variable).map(PathBuf::from)
}

fn word(variable: &str) -> Option<String> {
    read(variable).map(|value| value.to_string_lossy().into_owned())
}

/// An empty variable counts as none, as it does in a shell's `${VAR:-default}`.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment that the rule points to")]
fn read(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}
