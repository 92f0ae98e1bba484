//! The simulated story. What a chapter says has happened has been checked on the line before.

use std::error::Error;

use reqwest::StatusCode;
use rmcp::object;
use serde_json::Value;
use stripe_projects_mcp::secret::Secret;

use crate::{
    memory_service::price_of_a_write,
    scene::{Scene, Stage, Told, chapter, check, line, words},
    supermemory::Failure,
};

/// Tells it on that stage; an error is a promise that was not kept.
pub async fn tell(stage: &Stage) -> Told {
    println!("\nAn agent, a capped card, and an app that spends from it. Nothing here costs money.");
    let mut story = Story { scene: Scene::open(stage).await? };
    story.scene.the_agent_looks_around().await?;
    story.it_asks_for_a_card().await?;
    story.the_app_remembers().await?;
    story.a_key_leaks().await?;
    story.a_cap_is_reached().await?;
    story.all_is_torn_down().await?;
    story.scene.what_the_model_saw(7, 3).await
}

struct Story {
    scene: Scene,
}

impl Story {
    async fn it_asks_for_a_card(&mut self) -> Told {
        chapter(2, "It asks for a card");
        let refused = self.provision("agent-memory", "supermemory", 500).await?;
        check(refused["code"] == "cap_above_maximum", "500 USD are too much")?;
        line("500 USD", format_args!("refused: {}", words(&refused["message"])));
        let project = self.provision("agent-memory", "supermemory", 15).await?;
        check(project["status"] == "active" && project["spend_cap_usd"] == 15.0, "15 USD are granted")?;
        let key = self.scene.load(MEMORY_KEY)?;
        check(project["api_key_masked"] == key.mask().as_str(), "the mask is the key's")?;
        line("15 USD", format_args!("granted: {} on {}", words(&project["name"]), words(&project["provider"])));
        line("key", format_args!("{MEMORY_KEY} in .env; the agent sees {}", key.mask().as_str()));
        self.scene.keys.push(key);
        Ok(())
    }

    async fn the_app_remembers(&self) -> Told {
        chapter(3, "The app loads .env and spends");
        let key = self.scene.load(MEMORY_KEY)?;
        for memory in [TEA, LAUNCH] {
            self.remember(&key, memory).await?;
            line("stored", format_args!("{memory} ({} USD)", price_of_a_write()));
        }
        for (word, memory) in [("tea", TEA), ("launch", LAUNCH)] {
            check(self.recall(&key, word).await? == [memory], "a memory is recalled")?;
            line("recalled", format_args!("{word}: {memory}"));
        }
        let project = self.scene.listed("agent-memory").await?;
        check(project["usage_usd"] == 0.5 && project["remaining_usd"] == 14.5, "two writes are billed")?;
        line("used", usage(&project));
        Ok(())
    }

    async fn a_key_leaks(&mut self) -> Told {
        chapter(4, "The key may have leaked, so the agent rotates it");
        let old = self.scene.load(MEMORY_KEY)?;
        let project = self.scene.done("rotate_key", object!({ "name": "agent-memory" })).await?;
        let new = self.scene.load(MEMORY_KEY)?;
        check(project["key_version"] == 2 && project["api_key_masked"] == new.mask().as_str(), "the key is new")?;
        check(self.remember(&old, "a thief was here").await == Err(UNAUTHORIZED), "the old key is dead")?;
        line("old key", format_args!("{} is refused: {}", old.mask().as_str(), StatusCode::UNAUTHORIZED));
        check(self.recall(&new, "tea").await? == [TEA], "the new key works")?;
        line("new key", format_args!("{} works, and what was stored is still there", new.mask().as_str()));
        self.scene.keys.push(new);
        Ok(())
    }

    async fn a_cap_is_reached(&mut self) -> Told {
        chapter(5, "A second project runs into its cap");
        let project = self.provision("agent-notes", "vector-db", 1).await?;
        check(project["status"] == "active", "a second project is provisioned")?;
        let key = self.scene.load(NOTES_KEY)?;
        for _ in 0..4 {
            self.remember(&key, "a note").await?;
        }
        line("4 writes", format_args!("stored, {} USD each, of a cap of 1 USD", price_of_a_write()));
        check(self.remember(&key, "one too many").await == Err(UNAUTHORIZED), "the fifth write is refused")?;
        line("5th write", format_args!("refused: {}", StatusCode::UNAUTHORIZED));
        let project = self.scene.listed("agent-notes").await?;
        check(project["status"] == "suspended" && project["remaining_usd"] == 0.0, "the cap suspends")?;
        line("status", format_args!("{}, {}", words(&project["status"]), usage(&project)));
        self.scene.keys.push(key);
        Ok(())
    }

    async fn all_is_torn_down(&self) -> Told {
        chapter(6, "The task is done, and the card is given back");
        for (name, variable) in [("agent-memory", MEMORY_KEY), ("agent-notes", NOTES_KEY)] {
            let project = self.scene.done("teardown", object!({ "name": name })).await?;
            check(project["status"] == "torn_down", "a project is torn down")?;
            check(self.scene.app.load(variable)?.is_none(), "its variable is gone")?;
            line(name, format_args!("torn down; {variable} is out of .env"));
        }
        for key in &self.scene.keys {
            check(self.remember(key, "anybody there?").await == Err(UNAUTHORIZED), "no key works any more")?;
        }
        line("keys", format_args!("all {} that ever were are refused", self.scene.keys.len()));
        let list = self.scene.done("list_projects", object!({})).await?;
        check(list["live_count"] == 0, "nothing is left that could bill")
    }

    async fn provision(&self, name: &str, provider: &str, cap: u32) -> Result<Value, Box<dyn Error>> {
        let arguments = object!({ "name": name, "provider": provider, "spend_cap_usd": cap });
        self.scene.agent.call("provision", arguments).await
    }

    async fn remember(&self, key: &Secret, text: &str) -> Result<(), Failure> {
        self.scene.app.service(key)?.store(key, text).await
    }

    async fn recall(&self, key: &Secret, word: &str) -> Result<Vec<String>, Failure> {
        self.scene.app.service(key)?.search(key, word).await
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
