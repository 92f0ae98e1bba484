//! The story with real money: shorter than the simulated one, since nobody here can make usage happen, and never over
//! before what it bought is given back.

use std::{
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rmcp::object;
use serde_json::Value;

use crate::{
    scene::{Scene, Stage, Told, chapter, check, line, words},
    supermemory::Patience,
    terms::Terms,
};

/// Tells it on that stage; an error is a promise that was not kept.
pub async fn tell(stage: &Stage, terms: &Terms) -> Told {
    let mut scene = Scene::open(stage).await?;
    let memory = memory()?;
    let variable = terms.provider.deliveries.first().ok_or("the provider has no variable")?.env_var.to_string();
    scene.the_agent_looks_around().await?;
    it_asks_for_a_card(&mut scene, terms, &variable).await?;
    the_app_remembers(&scene, &variable, &memory).await?;
    a_key_leaks(&mut scene, &variable, &memory).await?;
    all_is_torn_down(&scene, &variable).await?;
    scene.what_the_model_saw(6, 2).await
}

/// Tears down whatever an unfinished story has left. `Ok` means that nothing is left that could bill.
///
/// The server is started anew: it settles by itself what the one before could not finish.
pub async fn give_back(stage: &Stage) -> Told {
    // An intent is in the ledger before anything is created. Without a ledger nothing was.
    if !stage.folder.join(".stripe-projects/ledger.db").exists() {
        return Ok(());
    }
    let agent = stage.agent().await?;
    let list = agent.call("list_projects", object!({})).await?;
    for project in list["projects"].as_array().into_iter().flatten() {
        let name = words(&project["name"]).to_owned();
        let project = agent.call("teardown", object!({ "name": name.clone() })).await?;
        line(&name, project["status"].as_str().unwrap_or_else(|| words(&project["message"])));
    }
    let list = agent.call("list_projects", object!({})).await?;
    agent.leave().await?;
    check(list["live_count"] == 0, "nothing is left that could bill")
}

async fn it_asks_for_a_card(scene: &mut Scene, terms: &Terms, variable: &str) -> Told {
    chapter(2, "It asks for a card");
    let (provider, cap) = (terms.provider.key.as_str(), terms.cap.usd());
    let order = object!({ "name": PROJECT, "provider": provider, "spend_cap_usd": cap });
    let project = scene.done("provision", order).await?;
    check(project["backend"] == terms.backend, "the backend is the one that was asked for")?;
    check(project["status"] == "active" && project["spend_cap_usd"] == cap, "the card is granted with its cap")?;
    let key = scene.load(variable)?;
    check(project["api_key_masked"] == key.mask().as_str(), "the mask is the key's")?;
    line("granted", format_args!("{} on {}, {} USD", words(&project["name"]), words(&project["provider"]), terms.cap));
    line("cap", format_args!("enforced by {}", words(&project["cap_enforced_by"])));
    line("key", format_args!("{variable} in .env; the agent sees {}", key.mask().as_str()));
    scene.keys.push(key);
    Ok(())
}

async fn the_app_remembers(scene: &Scene, variable: &str, memory: &str) -> Told {
    chapter(3, "The app loads .env and uses the service");
    let key = scene.load(variable)?;
    let service = scene.app.service(&key)?;
    line("service", service.base());
    service.store(&key, memory).await?;
    line("stored", memory);
    service.find(&key, QUESTION, memory, INGESTION).await?;
    line("recalled", format_args!("{QUESTION}: {memory}"));
    line("status", words(&scene.listed(PROJECT).await?["status"]));
    Ok(())
}

async fn a_key_leaks(scene: &mut Scene, variable: &str, memory: &str) -> Told {
    chapter(4, "The key may have leaked, so the agent rotates it");
    let old = scene.load(variable)?;
    let project = scene.done("rotate_key", object!({ "name": PROJECT })).await?;
    let new = scene.load(variable)?;
    check(old.fingerprint() != new.fingerprint() && project["key_version"] == 2, "the key is new")?;
    check(project["api_key_masked"] == new.mask().as_str(), "the mask is the new key's")?;
    scene.keys.push(new.clone());
    let refused = scene.app.service(&old)?.refusal(&old, REVOCATION).await?;
    line("old key", format_args!("{} is refused: {refused}", old.mask().as_str()));
    scene.app.service(&new)?.find(&new, QUESTION, memory, INGESTION).await?;
    line("new key", format_args!("{} works, and what was stored is still there", new.mask().as_str()));
    Ok(())
}

async fn all_is_torn_down(scene: &Scene, variable: &str) -> Told {
    chapter(5, "The task is done, and the card is given back");
    let project: Value = scene.done("teardown", object!({ "name": PROJECT })).await?;
    check(project["status"] == "torn_down", "the project is torn down")?;
    check(scene.app.load(variable)?.is_none(), "its variable is gone")?;
    line(PROJECT, format_args!("torn down; {variable} is out of .env"));
    let list = scene.done("list_projects", object!({})).await?;
    check(list["live_count"] == 0, "nothing is left that could bill")?;
    for key in &scene.keys {
        scene.app.service(key)?.refusal(key, REVOCATION).await?;
    }
    line("keys", format_args!("all {} that ever were are refused", scene.keys.len()));
    Ok(())
}

/// A sentence that no earlier story has stored, so that finding it proves this one.
fn memory() -> Result<String, Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(format!("the user takes {QUESTION} ({})", now.as_millis()))
}

const PROJECT: &str = "agent-memory";

const QUESTION: &str = "tea without sugar";

/// Supermemory takes a document in at once and makes it searchable when it gets to it.
const INGESTION: Patience = Patience { within: Duration::from_secs(180), every: Duration::from_secs(3) };

/// A service may keep what it knows of a key for a moment.
const REVOCATION: Patience = Patience { within: Duration::from_secs(60), every: Duration::from_secs(2) };
