//! The simulated demo. Each printed line is checked before it is printed.

use std::error::Error;

use domain::secret::Secret;
use reqwest::StatusCode;
use rmcp::object;
use serde_json::Value;

use crate::{
    demo::{Demo, Setup, Step, check, line, step, text},
    memory_service::price_of_a_write,
    supermemory::Failure,
};

/// Runs the demo; an error is a failed check.
pub async fn run(setup: &Setup) -> Step {
    println!("\nAn agent, a capped card, and an app that spends from it. Nothing here costs money.");
    let mut run = Simulated { demo: Demo::start(setup).await? };
    run.demo.agent_lists_tools().await?;
    run.agent_provisions().await?;
    run.app_uses_service().await?;
    run.agent_rotates().await?;
    run.project_reaches_cap().await?;
    run.agent_tears_down().await?;
    run.demo.search_traffic(7, 3).await
}

struct Simulated {
    demo: Demo,
}

impl Simulated {
    async fn agent_provisions(&mut self) -> Step {
        step(2, "The agent provisions a project with a cap");
        let refused = self.provision("agent-memory", "supermemory", 500).await?;
        check(refused["code"] == "cap_above_maximum", "a cap of 500 USD was not refused")?;
        line("500 USD", format_args!("refused: {}", text(&refused["message"])));
        let project = self.provision("agent-memory", "supermemory", 15).await?;
        check(project["status"] == "active" && project["spend_cap_usd"] == 15.0, "a cap of 15 USD was not granted")?;
        let key = self.demo.load(MEMORY_KEY)?;
        check(project["api_key_masked"] == key.mask().as_str(), "the mask does not match the key")?;
        line("15 USD", format_args!("granted: {} on {}", text(&project["name"]), text(&project["provider"])));
        line("key", format_args!("{MEMORY_KEY} in .env; the agent sees {}", key.mask().as_str()));
        self.demo.keys.push(key);
        Ok(())
    }

    async fn app_uses_service(&self) -> Step {
        step(3, "The app loads .env and spends");
        let key = self.demo.load(MEMORY_KEY)?;
        for memory in [TEA, LAUNCH] {
            self.remember(&key, memory).await?;
            line("stored", format_args!("{memory} ({} USD)", price_of_a_write()));
        }
        for (query, memory) in [("tea", TEA), ("launch", LAUNCH)] {
            check(self.recall(&key, query).await? == [memory], "a stored text was not found")?;
            line("recalled", format_args!("{query}: {memory}"));
        }
        let project = self.demo.listed("agent-memory").await?;
        check(project["usage_usd"] == 0.5 && project["remaining_usd"] == 14.5, "two writes are not billed correctly")?;
        line("used", usage(&project));
        Ok(())
    }

    async fn agent_rotates(&mut self) -> Step {
        step(4, "The key may have leaked, so the agent rotates it");
        let old = self.demo.load(MEMORY_KEY)?;
        let project = self.demo.call("rotate_key", object!({ "name": "agent-memory" })).await?;
        let new = self.demo.load(MEMORY_KEY)?;
        check(
            project["key_version"] == 2 && project["api_key_masked"] == new.mask().as_str(),
            "the key did not change",
        )?;
        check(self.remember(&old, "written with the old key").await == Err(UNAUTHORIZED), "the old key still works")?;
        line("old key", format_args!("{} is refused: {}", old.mask().as_str(), StatusCode::UNAUTHORIZED));
        check(self.recall(&new, "tea").await? == [TEA], "the new key does not work")?;
        line("new key", format_args!("{} works, and the stored text is still there", new.mask().as_str()));
        self.demo.keys.push(new);
        Ok(())
    }

    async fn project_reaches_cap(&mut self) -> Step {
        step(5, "A second project reaches its cap");
        let project = self.provision("agent-notes", "vector-db", 1).await?;
        check(project["status"] == "active", "the second project is not active")?;
        let key = self.demo.load(NOTES_KEY)?;
        for _ in 0..4 {
            self.remember(&key, "a note").await?;
        }
        line("4 writes", format_args!("stored, {} USD each; the cap is 1 USD", price_of_a_write()));
        check(self.remember(&key, "one too many").await == Err(UNAUTHORIZED), "the fifth write was not refused")?;
        line("5th write", format_args!("refused: {}", StatusCode::UNAUTHORIZED));
        let project = self.demo.listed("agent-notes").await?;
        check(
            project["status"] == "suspended" && project["remaining_usd"] == 0.0,
            "the cap did not suspend the project",
        )?;
        line("status", format_args!("{}, {}", text(&project["status"]), usage(&project)));
        self.demo.keys.push(key);
        Ok(())
    }

    async fn agent_tears_down(&self) -> Step {
        step(6, "The task is done, and the agent tears both projects down");
        for (name, variable) in [("agent-memory", MEMORY_KEY), ("agent-notes", NOTES_KEY)] {
            let project = self.demo.call("teardown", object!({ "name": name })).await?;
            check(project["status"] == "torn_down", "a project is not torn down")?;
            check(self.demo.app.load(variable)?.is_none(), "its variable is still in the env file")?;
            line(name, format_args!("torn down; {variable} is removed from .env"));
        }
        for key in &self.demo.keys {
            check(self.remember(key, "is the key valid?").await == Err(UNAUTHORIZED), "a key still works")?;
        }
        line("keys", format_args!("all {} keys of this demo are refused", self.demo.keys.len()));
        let list = self.demo.call("list_projects", object!({})).await?;
        check(list["live_count"] == 0, "a project is still live")
    }

    async fn provision(&self, name: &str, provider: &str, cap: u32) -> Result<Value, Box<dyn Error>> {
        let arguments = object!({ "name": name, "provider": provider, "spend_cap_usd": cap });
        self.demo.agent.call("provision", arguments).await
    }

    async fn remember(&self, key: &Secret, memory: &str) -> Result<(), Failure> {
        self.demo.app.service(key)?.store(key, memory).await
    }

    async fn recall(&self, key: &Secret, query: &str) -> Result<Vec<String>, Failure> {
        self.demo.app.service(key)?.search(key, query).await
    }
}

fn usage(project: &Value) -> String {
    let amount = |field: &str| project[field].as_f64().unwrap_or(f64::NAN);
    let (used, cap, left) = (amount("usage_usd"), amount("spend_cap_usd"), amount("remaining_usd"));
    format!("{used:.2} of {cap:.2} USD, {left:.2} left")
}

const UNAUTHORIZED: Failure = Failure::Refused(StatusCode::UNAUTHORIZED);

const MEMORY_KEY: &str = "SUPERMEMORY_API_KEY";
const NOTES_KEY: &str = "CHROMA_API_KEY";

const TEA: &str = "the user takes tea without sugar";
const LAUNCH: &str = "the launch is on Friday";
