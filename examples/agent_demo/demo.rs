//! Shared parts of both demos: the agent, its app, all keys so far, and the output format.

use std::{env, error::Error, ffi::OsString, fmt::Display, path::PathBuf};

use domain::secret::Secret;
use rmcp::{model::JsonObject, object};
use serde_json::Value;
use stripe_projects_mcp::settings::simulated_store;

use crate::{
    agent::Agent,
    app::App,
    memory_service,
    simulator::{self, Simulator},
};

/// The outcome of a step.
pub type Step = Result<(), Box<dyn Error>>;

/// The setup of a demo.
pub struct Setup {
    /// The program.
    pub server: PathBuf,
    /// The workspace.
    pub folder: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// The server's flags.
    pub flags: Vec<OsString>,
    /// The simulator of Stripe's API, if one is used.
    pub simulator: Option<Simulator>,
}

pub struct Demo {
    pub agent: Agent,
    pub app: App,
    /// Every key so far, newest last; none may be in the traffic at the end.
    pub keys: Vec<Secret>,
}

impl Setup {
    pub async fn agent(&self) -> Result<Agent, Box<dyn Error>> {
        Agent::start(&self.server, &self.folder, &self.all_flags(), self.key()).await
    }

    /// Lets servers of the workspace use a real backend.
    pub async fn connect(&self, backend: &str) -> Step {
        Agent::connect(&self.server, &self.folder, &self.all_flags(), self.key(), backend).await
    }

    fn all_flags(&self) -> Vec<OsString> {
        let base = self.simulator.iter().flat_map(|simulator| ["--stripe-api-base".into(), (&simulator.base).into()]);
        self.flags.iter().cloned().chain(base).collect()
    }

    fn key(&self) -> Option<&'static str> {
        self.simulator.as_ref().map(|_| simulator::KEY)
    }
}

impl Demo {
    pub async fn start(setup: &Setup) -> Result<Self, Box<dyn Error>> {
        let agent = setup.agent().await?;
        let service = memory_service::start(simulated_store(&setup.state)).await?;
        let app = App::new(setup.folder.join(".env"), service);
        Ok(Self { agent, app, keys: Vec::new() })
    }

    pub async fn agent_lists_tools(&self) -> Step {
        step(1, "The agent lists the tools");
        let tools = self.agent.explore().await?;
        check(tools.len() == 4, "there are not exactly four tools")?;
        line("tools", tools.join(", "));
        Ok(())
    }

    /// Disconnects the agent and searches its traffic for keys.
    pub async fn search_traffic(self, number: u8, keys: usize) -> Step {
        step(number, "What the model received");
        let traffic = self.agent.disconnect().await?;
        line("traffic", format_args!("{} MCP messages, {} bytes with the log", traffic.messages(), traffic.bytes()));
        // Finding the masks proves that the search would find a key.
        let masks: usize = self.keys.iter().map(|key| traffic.count(key.mask().as_str())).sum();
        let all = self.keys.len() == keys && self.keys.iter().all(|key| traffic.count(key.mask().as_str()) > 0);
        check(all, "a mask is missing from the traffic")?;
        line("masks", masks);
        let leaks: usize = self.keys.iter().map(|key| traffic.count(key.expose())).sum();
        line("full keys", leaks);
        check(leaks == 0, "the model received a full key")?;
        // Only the server may have the Stripe API key.
        let stripe_key = env::var("STRIPE_API_KEY").ok().filter(|key| !key.is_empty());
        check(stripe_key.is_none_or(|key| traffic.count(&key) == 0), "the model received the Stripe API key")
    }

    /// Calls a tool; a tool error becomes an error.
    pub async fn call(&self, tool: &'static str, arguments: JsonObject) -> Result<Value, Box<dyn Error>> {
        let content = self.agent.call(tool, arguments).await?;
        match &content["code"] {
            Value::Null => Ok(content),
            code => {
                let (message, hint) = (text(&content["message"]), text(&content["hint"]));
                Err(format!("{tool} failed with {}: {message}\nhint: {hint}", text(code)).into())
            }
        }
    }

    pub async fn listed(&self, name: &str) -> Result<Value, Box<dyn Error>> {
        let list = self.call("list_projects", object!({})).await?;
        let project = list["projects"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name));
        project.cloned().ok_or_else(|| format!("{name} is not listed").into())
    }

    pub fn load(&self, variable: &str) -> Result<Secret, Box<dyn Error>> {
        self.app.load(variable)?.ok_or_else(|| format!("{variable} is not in the env file").into())
    }
}

pub fn step(number: u8, title: &str) {
    println!("\n{number}. {title}");
}

pub fn line(label: &str, value: impl Display) {
    println!("   {label:<14}{value}");
}

/// Fails with `failure` unless the condition holds.
pub fn check(condition: bool, failure: &str) -> Step {
    if condition { Ok(()) } else { Err(failure.into()) }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
