//! The app that the agent works on: it loads the env file and uses the key in it.

use std::{env, error::Error, fs, io, net::SocketAddr, path::PathBuf, time::Duration};

use domain::secret::Secret;

use crate::supermemory::{Base, Failure, SUPERMEMORY, Supermemory};

pub struct App {
    env_file: PathBuf,
    local: SocketAddr,
}

impl App {
    /// Creates the app; `local` is the memory service for simulated keys.
    pub fn new(env_file: PathBuf, local: SocketAddr) -> Self {
        Self { env_file, local }
    }

    /// Reads a variable of the env file, as the app does at its start.
    pub fn load(&self, variable: &str) -> Result<Option<Secret>, Box<dyn Error>> {
        let text = match fs::read_to_string(&self.env_file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        // The parser's error may quote the line, which may contain a key.
        let mut variables = dotenv_parser::parse_dotenv(&text).map_err(|_| "the env file is invalid")?;
        Ok(variables.remove(variable).map(Secret::new))
    }

    /// Returns the service that this key belongs to.
    pub fn service(&self, key: &Secret) -> Result<Supermemory, Failure> {
        Supermemory::at(Base::for_key(key, configured_base().as_deref(), self.local)?, RESPONSE_TIMEOUT)
    }
}

/// Returns the service for a real key, so that a wrong address fails before anything is bought.
pub fn real_service() -> Result<Supermemory, Failure> {
    Supermemory::at(Base::parse(configured_base().as_deref().unwrap_or(SUPERMEMORY))?, RESPONSE_TIMEOUT)
}

/// Returns the address in the environment; an empty one counts as unset.
fn configured_base() -> Option<String> {
    env::var("SUPERMEMORY_BASE_URL").ok().filter(|base| !base.is_empty())
}

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
