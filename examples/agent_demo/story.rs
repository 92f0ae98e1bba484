//! The story. What a chapter says has happened has been checked on the line before.

use std::{error::Error, fmt::Display, path::Path};

use reqwest::StatusCode;
use rmcp::object;
use serde_json::Value;
use stripe_projects_mcp::{secret::Secret, settings::simulated_world};

use crate::{
    agent::{Agent, Seen},
    app::App,
    memory_service::{self, price_of_a_write},
};

type Told = Result<(), Box<dyn Error>>;

/// Tells it in that folder, with that server; an error is a promise that was not kept.
pub async fn tell(server: &Path, folder: &Path) -> Told {
    println!("\nAn agent, a capped card, and an app that spends from it. Nothing here costs money.");
    let agent = Agent::start(server, folder).await?;
    let service = memory_service::start(simulated_world(&folder.join(".stripe-projects"))).await?;
    let app = App::new(folder.join(".env"), service)?;
    let mut story = Story { agent, app, keys: Vec::new() };
    story.the_agent_looks_around().await?;
    story.it_asks_for_a_card().await?;
    story.the_app_remembers().await?;
    story.a_key_leaks().await?;
    story.a_cap_is_reached().await?;
    story.all_is_torn_down().await?;
    let Story { agent, keys, .. } = story;
    what_the_model_saw(&agent.leave().await?, &keys)
}

struct Story {
    agent: Agent,
    app: App,
    /// Every key that ever was, newest last: what must not be found in the end.
    keys: Vec<Secret>,
}

impl Story {
    async fn the_agent_looks_around(&self) -> Told {
        chapter(1, "The agent looks around");
        let tools = self.agent.look_around().await?;
        check(tools.len() == 4, "there are four tools")?;
        line("tools", tools.join(", "));
        Ok(())
    }

    async fn it_asks_for_a_card(&mut self) -> Told {
        chapter(2, "It asks for a card");
        let refused = self.provision("agent-memory", "supermemory", 500).await?;
        check(refused["code"] == "cap_above_maximum", "500 USD are too much")?;
        line("500 USD", format_args!("refused: {}", words(&refused["message"])));
        let project = self.provision("agent-memory", "supermemory", 15).await?;
        check(project["status"] == "active" && project["spend_cap_usd"] == 15.0, "15 USD are granted")?;
        let key = self.load(MEMORY_KEY)?;
        check(project["api_key_masked"] == key.mask().as_str(), "the mask is the key's")?;
        line("15 USD", format_args!("granted: {} on {}", words(&project["name"]), words(&project["provider"])));
        line("key", format_args!("{MEMORY_KEY} in .env; the agent sees {}", key.mask().as_str()));
        self.keys.push(key);
        Ok(())
    }

    async fn the_app_remembers(&self) -> Told {
        chapter(3, "The app loads .env and spends");
        let key = self.load(MEMORY_KEY)?;
        for memory in [TEA, LAUNCH] {
            check(self.app.remember(&key, memory).await? == StatusCode::CREATED, "a memory is stored")?;
            line("stored", format_args!("{memory} ({} USD)", price_of_a_write()));
        }
        for (word, memory) in [("tea", TEA), ("launch", LAUNCH)] {
            check(self.app.recall(&key, word).await? == [memory], "a memory is recalled")?;
            line("recalled", format_args!("{word}: {memory}"));
        }
        let project = self.listed("agent-memory").await?;
        check(project["usage_usd"] == 0.5 && project["remaining_usd"] == 14.5, "two writes are billed")?;
        line("used", usage(&project));
        Ok(())
    }

    async fn a_key_leaks(&mut self) -> Told {
        chapter(4, "The key may have leaked, so the agent rotates it");
        let old = self.load(MEMORY_KEY)?;
        let project = self.agent.call("rotate_key", object!({ "name": "agent-memory" })).await?;
        let new = self.load(MEMORY_KEY)?;
        check(project["key_version"] == 2 && project["api_key_masked"] == new.mask().as_str(), "the key is new")?;
        let refused = self.app.remember(&old, "a thief was here").await?;
        check(refused == StatusCode::UNAUTHORIZED, "the old key is dead")?;
        line("old key", format_args!("{} is refused: {refused}", old.mask().as_str()));
        check(self.app.recall(&new, "tea").await? == [TEA], "the new key works")?;
        line("new key", format_args!("{} works, and what was stored is still there", new.mask().as_str()));
        self.keys.push(new);
        Ok(())
    }

    async fn a_cap_is_reached(&mut self) -> Told {
        chapter(5, "A second project runs into its cap");
        let project = self.provision("agent-notes", "vector-db", 1).await?;
        check(project["status"] == "active", "a second project is provisioned")?;
        let key = self.load(NOTES_KEY)?;
        for _ in 0..4 {
            check(self.app.remember(&key, "a note").await? == StatusCode::CREATED, "four writes are within the cap")?;
        }
        line("4 writes", format_args!("stored, {} USD each, of a cap of 1 USD", price_of_a_write()));
        let refused = self.app.remember(&key, "one too many").await?;
        check(refused == StatusCode::UNAUTHORIZED, "the fifth write is refused")?;
        line("5th write", format_args!("refused: {refused}"));
        let project = self.listed("agent-notes").await?;
        check(project["status"] == "suspended" && project["remaining_usd"] == 0.0, "the cap suspends")?;
        line("status", format_args!("{}, {}", words(&project["status"]), usage(&project)));
        self.keys.push(key);
        Ok(())
    }

    async fn all_is_torn_down(&self) -> Told {
        chapter(6, "The task is done, and the card is given back");
        for (name, variable) in [("agent-memory", MEMORY_KEY), ("agent-notes", NOTES_KEY)] {
            let project = self.agent.call("teardown", object!({ "name": name })).await?;
            check(project["status"] == "torn_down", "a project is torn down")?;
            check(self.app.load(variable)?.is_none(), "its variable is gone")?;
            line(name, format_args!("torn down; {variable} is out of .env"));
        }
        for key in &self.keys {
            let status = self.app.remember(key, "anybody there?").await?;
            check(status == StatusCode::UNAUTHORIZED, "no key works any more")?;
        }
        line("keys", format_args!("all {} that ever were are refused", self.keys.len()));
        let list = self.agent.call("list_projects", object!({})).await?;
        check(list["live_count"] == 0, "nothing is left that could bill")
    }

    async fn provision(&self, name: &str, provider: &str, cap: u32) -> Result<Value, Box<dyn Error>> {
        let arguments = object!({ "name": name, "provider": provider, "spend_cap_usd": cap });
        self.agent.call("provision", arguments).await
    }

    async fn listed(&self, name: &str) -> Result<Value, Box<dyn Error>> {
        let list = self.agent.call("list_projects", object!({})).await?;
        let project = list["projects"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name));
        project.cloned().ok_or_else(|| format!("{name} is not listed").into())
    }

    fn load(&self, variable: &str) -> Result<Secret, Box<dyn Error>> {
        self.app.load(variable)?.ok_or_else(|| format!("{variable} is not in the env file").into())
    }
}

fn what_the_model_saw(seen: &Seen, keys: &[Secret]) -> Told {
    chapter(7, "What the model saw");
    line("traffic", format_args!("{} MCP messages, {} bytes with the log", seen.messages(), seen.bytes()));
    // Masks that are found prove that the search would find a key.
    let masks: usize = keys.iter().map(|key| seen.count(key.mask().as_str())).sum();
    check(keys.len() == 3 && keys.iter().all(|key| seen.count(key.mask().as_str()) > 0), "every mask was seen")?;
    line("masks", masks);
    let leaks: usize = keys.iter().map(|key| seen.count(key.expose())).sum();
    line("full keys", leaks);
    check(leaks == 0, "the model saw no full key")
}

fn chapter(number: u8, title: &str) {
    println!("\n{number}. {title}");
}

fn line(label: &str, words: impl Display) {
    println!("   {label:<14}{words}");
}

fn check(kept: bool, promise: &str) -> Told {
    if kept { Ok(()) } else { Err(format!("it is not so that {promise}").into()) }
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn usage(project: &Value) -> String {
    let amount = |field: &str| project[field].as_f64().unwrap_or(f64::NAN);
    let (used, cap, left) = (amount("usage_usd"), amount("spend_cap_usd"), amount("remaining_usd"));
    format!("{used:.2} of {cap:.2} USD, {left:.2} left")
}

const MEMORY_KEY: &str = "SUPERMEMORY_API_KEY";
const NOTES_KEY: &str = "CHROMA_API_KEY";

const TEA: &str = "the user takes tea without sugar";
const LAUNCH: &str = "the launch is on Friday";
