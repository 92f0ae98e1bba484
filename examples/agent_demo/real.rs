//! The demo with real money: shorter than the simulated one, because real usage cannot be generated here.
//!
//! It ends only after everything that it bought is torn down.

use std::{
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rmcp::object;
use serde_json::Value;

use crate::{
    demo::{Demo, Setup, Step, check, line, step, text},
    purchase::Purchase,
    supermemory::Retry,
};

/// Runs the demo; an error is a failed check.
pub async fn run(setup: &Setup, purchase: &Purchase) -> Step {
    setup.connect(purchase.backend).await?;
    let mut demo = Demo::start(setup).await?;
    let memory = unique_memory()?;
    let variable = purchase.provider.deliveries.first().ok_or("the provider has no variable")?.env_var.to_string();
    demo.agent_lists_tools().await?;
    agent_provisions(&mut demo, purchase, &variable).await?;
    app_uses_service(&demo, &variable, &memory).await?;
    agent_rotates(&mut demo, &variable, &memory).await?;
    agent_tears_down(&demo, &variable).await?;
    demo.search_traffic(6, 2).await
}

/// Tears down everything that a failed demo has left. `Ok` means that nothing can cost money any more.
///
/// A new server is started, which first completes the unfinished operations of the previous one.
pub async fn tear_down(setup: &Setup) -> Step {
    // An intent is recorded before anything is created, so without a ledger nothing was created.
    if !setup.state.join("ledger.db").exists() {
        return Ok(());
    }
    let agent = setup.agent().await?;
    let list = agent.call("list_projects", object!({})).await?;
    for project in list["projects"].as_array().into_iter().flatten() {
        let name = text(&project["name"]).to_owned();
        let project = agent.call("teardown", object!({ "name": name.clone() })).await?;
        line(&name, project["status"].as_str().unwrap_or_else(|| text(&project["message"])));
    }
    let list = agent.call("list_projects", object!({})).await?;
    agent.disconnect().await?;
    check(list["live_count"] == 0, "a project is still live")
}

async fn agent_provisions(demo: &mut Demo, purchase: &Purchase, variable: &str) -> Step {
    step(2, "The agent provisions a project with a cap");
    let (provider, cap) = (purchase.provider.key.as_str(), purchase.cap.usd());
    let order = object!({ "name": PROJECT, "provider": provider, "spend_cap_usd": cap });
    let project = demo.call("provision", order).await?;
    check(project["backend"] == purchase.backend, "the project is on another backend than requested")?;
    check(project["status"] == "active" && project["spend_cap_usd"] == cap, "the project is not active with its cap")?;
    let key = demo.load(variable)?;
    check(project["api_key_masked"] == key.mask().as_str(), "the mask does not match the key")?;
    line(
        "provisioned",
        format_args!("{} on {}, {} USD", text(&project["name"]), text(&project["provider"]), purchase.cap),
    );
    line("cap", format_args!("enforced by {}", text(&project["cap_enforced_by"])));
    line("key", format_args!("{variable} in .env; the agent sees {}", key.mask().as_str()));
    demo.keys.push(key);
    Ok(())
}

async fn app_uses_service(demo: &Demo, variable: &str, memory: &str) -> Step {
    step(3, "The app loads .env and uses the service");
    let key = demo.load(variable)?;
    let service = demo.app.service(&key)?;
    line("service", service.base());
    service.store(&key, memory).await?;
    line("stored", memory);
    service.find(&key, QUESTION, memory, INGESTION).await?;
    line("recalled", format_args!("{QUESTION}: {memory}"));
    line("status", text(&demo.listed(PROJECT).await?["status"]));
    Ok(())
}

async fn agent_rotates(demo: &mut Demo, variable: &str, memory: &str) -> Step {
    step(4, "The key may have leaked, so the agent rotates it");
    let old = demo.load(variable)?;
    let project = demo.call("rotate_key", object!({ "name": PROJECT })).await?;
    let new = demo.load(variable)?;
    check(old.fingerprint() != new.fingerprint() && project["key_version"] == 2, "the key did not change")?;
    check(project["api_key_masked"] == new.mask().as_str(), "the mask does not match the new key")?;
    demo.keys.push(new.clone());
    let refused = demo.app.service(&old)?.refusal(&old, REVOCATION).await?;
    line("old key", format_args!("{} is refused: {refused}", old.mask().as_str()));
    demo.app.service(&new)?.find(&new, QUESTION, memory, INGESTION).await?;
    line("new key", format_args!("{} works, and the stored text is still there", new.mask().as_str()));
    Ok(())
}

async fn agent_tears_down(demo: &Demo, variable: &str) -> Step {
    step(5, "The task is done, and the agent tears the project down");
    let project: Value = demo.call("teardown", object!({ "name": PROJECT })).await?;
    check(project["status"] == "torn_down", "the project is not torn down")?;
    check(demo.app.load(variable)?.is_none(), "its variable is still in the env file")?;
    line(PROJECT, format_args!("torn down; {variable} is removed from .env"));
    let list = demo.call("list_projects", object!({})).await?;
    check(list["live_count"] == 0, "a project is still live")?;
    for key in &demo.keys {
        demo.app.service(key)?.refusal(key, REVOCATION).await?;
    }
    line("keys", format_args!("all {} keys of this demo are refused", demo.keys.len()));
    Ok(())
}

/// Returns a text that no earlier run has stored, so that a search result proves this run's write.
fn unique_memory() -> Result<String, Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(format!("the user takes {QUESTION} ({})", now.as_millis()))
}

const PROJECT: &str = "agent-memory";

const QUESTION: &str = "tea without sugar";

/// Supermemory accepts a document immediately and makes it searchable later.
const INGESTION: Retry = Retry { timeout: Duration::from_secs(180), interval: Duration::from_secs(3) };

/// A service may cache the validity of a key for a short time.
const REVOCATION: Retry = Retry { timeout: Duration::from_secs(60), interval: Duration::from_secs(2) };
