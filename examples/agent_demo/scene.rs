//! What every story is made of: the agent, its app, every key that ever was, and how a line is told.

use std::{env, error::Error, ffi::OsString, fmt::Display, path::PathBuf};

use rmcp::{model::JsonObject, object};
use serde_json::Value;
use stripe_projects_mcp::{secret::Secret, settings::simulated_store};

use crate::{
    agent::Agent,
    app::App,
    memory_service,
    simulator::{self, Simulator},
};

pub type Told = Result<(), Box<dyn Error>>;

/// Where a story takes place.
pub struct Stage {
    /// The program.
    pub server: PathBuf,
    /// The workspace.
    pub folder: PathBuf,
    /// What the server is started with.
    pub flags: Vec<OsString>,
    /// Stripe, if it is played by a simulator.
    pub simulator: Option<Simulator>,
}

pub struct Scene {
    pub agent: Agent,
    pub app: App,
    /// Every key that ever was, newest last: what must not be found in the end.
    pub keys: Vec<Secret>,
}

impl Stage {
    pub async fn agent(&self) -> Result<Agent, Box<dyn Error>> {
        let mut flags = self.flags.clone();
        if let Some(simulator) = &self.simulator {
            flags.extend(["--stripe-api-base".into(), OsString::from(&simulator.base)]);
        }
        let key = self.simulator.as_ref().map(|_| simulator::KEY);
        Agent::start(&self.server, &self.folder, &flags, key).await
    }
}

impl Scene {
    pub async fn open(stage: &Stage) -> Result<Self, Box<dyn Error>> {
        let agent = stage.agent().await?;
        let service = memory_service::start(simulated_store(&stage.folder.join(".stripe-projects"))).await?;
        let app = App::new(stage.folder.join(".env"), service);
        Ok(Self { agent, app, keys: Vec::new() })
    }

    pub async fn the_agent_looks_around(&self) -> Told {
        chapter(1, "The agent looks around");
        let tools = self.agent.look_around().await?;
        check(tools.len() == 4, "there are four tools")?;
        line("tools", tools.join(", "));
        Ok(())
    }

    /// The agent hangs up, and what went through its pipes is searched.
    pub async fn what_the_model_saw(self, number: u8, keys: usize) -> Told {
        chapter(number, "What the model saw");
        let seen = self.agent.leave().await?;
        line("traffic", format_args!("{} MCP messages, {} bytes with the log", seen.messages(), seen.bytes()));
        // Masks that are found prove that the search would find a key.
        let masks: usize = self.keys.iter().map(|key| seen.count(key.mask().as_str())).sum();
        let all = self.keys.len() == keys && self.keys.iter().all(|key| seen.count(key.mask().as_str()) > 0);
        check(all, "every mask was seen")?;
        line("masks", masks);
        let leaks: usize = self.keys.iter().map(|key| seen.count(key.expose())).sum();
        line("full keys", leaks);
        check(leaks == 0, "the model saw no full key")?;
        // The key that can create and destroy is the server's alone.
        let root = env::var("STRIPE_API_KEY").ok().filter(|root| !root.is_empty());
        check(root.is_none_or(|root| seen.count(&root) == 0), "the model did not see Stripe's key")
    }

    /// Calls a tool that must do what it is asked.
    pub async fn done(&self, tool: &'static str, arguments: JsonObject) -> Result<Value, Box<dyn Error>> {
        let answer = self.agent.call(tool, arguments).await?;
        match &answer["code"] {
            Value::Null => Ok(answer),
            code => {
                let (message, hint) = (words(&answer["message"]), words(&answer["hint"]));
                Err(format!("{tool} says {}: {message}\nhint: {hint}", words(code)).into())
            }
        }
    }

    pub async fn listed(&self, name: &str) -> Result<Value, Box<dyn Error>> {
        let list = self.done("list_projects", object!({})).await?;
        let project = list["projects"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name));
        project.cloned().ok_or_else(|| format!("{name} is not listed").into())
    }

    pub fn load(&self, variable: &str) -> Result<Secret, Box<dyn Error>> {
        self.app.load(variable)?.ok_or_else(|| format!("{variable} is not in the env file").into())
    }
}

pub fn chapter(number: u8, title: &str) {
    println!("\n{number}. {title}");
}

pub fn line(label: &str, words: impl Display) {
    println!("   {label:<14}{words}");
}

pub fn check(kept: bool, promise: &str) -> Told {
    if kept { Ok(()) } else { Err(format!("it is not so that {promise}").into()) }
}

pub fn words(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
