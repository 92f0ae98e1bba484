//! The app that the agent works on: it loads the env file and uses the key, which is what the file is for.

use std::{env, error::Error, fs, io, net::SocketAddr, path::PathBuf, time::Duration};

use stripe_projects_mcp::secret::Secret;

use crate::supermemory::{Base, Failure, SUPERMEMORY, Supermemory};

pub struct App {
    env_file: PathBuf,
    local: SocketAddr,
}

impl App {
    /// With a service on this machine for simulated keys.
    pub fn new(env_file: PathBuf, local: SocketAddr) -> Self {
        Self { env_file, local }
    }

    /// A variable of the env file, read anew as at a start of the app.
    pub fn load(&self, variable: &str) -> Result<Option<Secret>, Box<dyn Error>> {
        let text = match fs::read_to_string(&self.env_file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        // What the parser says of a line that it does not understand may quote the line.
        let mut variables = dotenv_parser::parse_dotenv(&text).map_err(|_| "the env file does not parse")?;
        Ok(variables.remove(variable).map(Secret::new))
    }

    /// The service that this key is for.
    pub fn service(&self, key: &Secret) -> Result<Supermemory, Failure> {
        Supermemory::at(Base::of(key, given().as_deref(), self.local)?, ANSWER_WITHIN)
    }
}

/// The service as it is for a real key, so that what would go wrong there is known before anything is bought.
pub fn real_service() -> Result<Supermemory, Failure> {
    Supermemory::at(Base::parse(given().as_deref().unwrap_or(SUPERMEMORY))?, ANSWER_WITHIN)
}

/// The address that the environment gives; an empty one is none.
fn given() -> Option<String> {
    env::var("SUPERMEMORY_BASE_URL").ok().filter(|base| !base.is_empty())
}

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
