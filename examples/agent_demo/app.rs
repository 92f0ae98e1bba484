//! The app that the agent works on: it loads the env file and uses the key, which is what the file is for.

use std::{error::Error, fs, io, net::SocketAddr, path::PathBuf};

use reqwest::{Client, StatusCode};
use stripe_projects_mcp::secret::Secret;

pub struct App {
    env_file: PathBuf,
    http: Client,
    memories: String,
}

impl App {
    pub fn new(env_file: PathBuf, service: SocketAddr) -> Result<Self, Box<dyn Error>> {
        // A proxy that the shell names has no business between two ends of one machine.
        let http = Client::builder().no_proxy().build()?;
        Ok(Self { env_file, http, memories: format!("http://{service}/memories") })
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

    pub async fn remember(&self, key: &Secret, text: &str) -> Result<StatusCode, reqwest::Error> {
        let answer = self.http.post(&self.memories).bearer_auth(key.expose()).json(text).send().await?;
        Ok(answer.status())
    }

    pub async fn recall(&self, key: &Secret, word: &str) -> Result<Vec<String>, reqwest::Error> {
        let request = self.http.get(format!("{}/{word}", self.memories)).bearer_auth(key.expose());
        request.send().await?.error_for_status()?.json().await
    }
}
