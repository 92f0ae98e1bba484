//! Errors that an agent gets: a code to decide on, a message, and a hint.

use serde_json::{Value, json};

use crate::{
    client::{Client, ERAS, Era},
    workspace::Workspace,
};

#[tokio::test]
async fn each_refusal_has_a_code_message_and_hint() {
    for era in ERAS {
        let workspace = Workspace::new();
        workspace.write(".env", "EXA_API_KEY=mine\n");
        let client = Client::connect(&workspace, era).await;
        client.ok("provision", json!({ "name": "gone", "provider": "supermemory" })).await;
        client.ok("teardown", json!({ "name": "gone" })).await;
        client.ok("provision", json!({ "name": "memory", "provider": "supermemory" })).await;
        let before = (workspace.read(".env"), workspace.world().observe_everything().unwrap().len());
        for (tool, arguments, code, message, hint) in refusals() {
            let error = client.call_refused(tool, arguments.clone()).await;
            assert_eq!(error["code"], code, "{arguments}: {error}");
            assert_eq!(without_id(error["message"].as_str().unwrap()), message, "{arguments}");
            let actual_hint = error["hint"].as_str().unwrap();
            assert!(actual_hint.contains(hint), "{arguments}: {actual_hint}");
        }
        let after = (workspace.read(".env"), workspace.world().observe_everything().unwrap().len());
        assert_eq!(before, after, "a refusal changes nothing");
    }
}

#[tokio::test]
async fn taken_name_returns_its_project() {
    let workspace = Workspace::new();
    for era in ERAS {
        let client = Client::connect(&workspace, era).await;
        let arguments = json!({ "name": "memory", "provider": "supermemory" });
        let _ = client.call("provision", arguments.clone()).await.unwrap();
        let error = client.call_refused("provision", arguments).await;
        assert_eq!(error["code"], "already_exists");
        assert_eq!(error["project"], client.ok("list_projects", json!({})).await["projects"][0]);
    }
    assert_eq!(workspace.world().observe_everything().unwrap().len(), 1);
}

#[tokio::test]
async fn foreign_variable_is_never_overwritten() {
    let workspace = Workspace::new();
    workspace.write(".env", "EXA_API_KEY=mine\n");
    let client = Client::connect(&workspace, Era::Modern).await;
    let error = client.call_refused("provision", json!({ "name": "web", "provider": "search" })).await;
    assert_eq!(error["code"], "env_var_taken");
    assert!(error["hint"].as_str().unwrap().contains("--replace"), "only a person may overwrite it: {error}");
    assert_eq!(workspace.read(".env"), "EXA_API_KEY=mine\n");
    assert!(workspace.world().observe_everything().unwrap().is_empty(), "nothing was bought for it");
}

#[tokio::test]
async fn declined_card_leaves_nothing_behind() {
    let workspace = Workspace::new();
    for era in ERAS {
        let mut command = workspace.command(&["serve"]);
        command.env("STRIPE_PROJECTS_PAYMENT_METHOD", "pm_card_chargeDeclined");
        let client = Client::start(command, era).await;
        let error = client.call_refused("provision", json!({ "name": "memory", "provider": "supermemory" })).await;
        assert_eq!(error["code"], "card_declined");
        let gone = client.call_refused("teardown", json!({ "name": "memory" })).await;
        assert_eq!(gone["code"], "project_not_found", "what never came to be is not torn down");
        assert_eq!(client.ok("list_projects", json!({})).await["live_count"], 0);
        client.ok("provision", json!({ "name": "free", "provider": "search" })).await;
        client.ok("teardown", json!({ "name": "free" })).await;
    }
    assert_eq!(workspace.read(".env"), "");
}

/// An edit of the registry counts from the next call on; existing projects stay usable.
#[tokio::test]
async fn broken_registry_stops_provisioning_only() {
    for era in ERAS {
        let workspace = Workspace::new();
        let client = Client::connect(&workspace, era).await;
        client.ok("provision", json!({ "name": "memory", "provider": "supermemory" })).await;

        workspace.write("providers.toml", "version = 1\n[providers.x]\nlabel = \n");
        let error = client.call_refused("provision", json!({ "name": "web", "provider": "search" })).await;
        assert_eq!(error["code"], "invalid_registry");
        assert!(error["message"].as_str().unwrap().contains("providers.toml:3:"), "{error}");
        assert!(providers_named(&client).await.ends_with("stripe-projects://providers"));
        client.ok("list_projects", json!({})).await;
        client.ok("rotate_key", json!({ "name": "memory" })).await;
        client.ok("teardown", json!({ "name": "memory" })).await;

        workspace.write("providers.toml", REPAIRED);
        client.ok("provision", json!({ "name": "web", "provider": "almanac" })).await;
        assert!(workspace.owner_of(&workspace.variable("ALMANAC_KEY").unwrap()).is_some());
        assert!(providers_named(&client).await.contains(": almanac, browser, "));
    }
}

/// Returns the provider list of `tools/list`.
async fn providers_named(client: &Client) -> String {
    let tools = client.0.list_all_tools().await.unwrap();
    let provision = tools.iter().find(|tool| tool.name == "provision").unwrap();
    provision.input_schema["properties"]["provider"]["description"].as_str().unwrap().to_owned()
}

/// Replaces the random id of the request.
fn without_id(message: &str) -> String {
    match message.split_once("(request ap-") {
        Some((before, id)) => {
            format!("{before}(request [ID]{}", id.trim_start_matches(|c: char| c.is_ascii_alphanumeric()))
        }
        None => message.to_owned(),
    }
}

/// Tool, arguments, code, message, and a part of the hint.
fn refusals() -> Vec<(&'static str, Value, &'static str, &'static str, &'static str)> {
    let provision = |provider: &str, cap: Value| json!({ "name": "web", "provider": provider, "spend_cap_usd": cap });
    let rule = "a project name is 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit";
    vec![
        (
            "provision",
            provision("supermemory", json!(25.01)),
            "approval_required",
            "approval required: `web` on supermemory with a cap of 25.01 USD (request [ID])",
            "show this to the user, do not run it: `stripe-projects-mcp approve ap-",
        ),
        (
            "provision",
            provision("supermemory", json!(100.01)),
            "cap_above_maximum",
            "a cap of 100.01 USD exceeds the maximum of 100 USD for this provider",
            "ask for 100 USD or less",
        ),
        (
            "provision",
            provision("supermemry", json!(1)),
            "unknown_provider",
            "the registry has no such provider; did you mean `supermemory`?",
            "search, supermemory",
        ),
        ("provision", json!({ "name": "My Web", "provider": "search" }), "invalid_name", rule, "such as agent-memory"),
        ("rotate_key", json!({ "name": "../web" }), "invalid_name", rule, "such as agent-memory"),
        (
            "provision",
            provision("search", json!(-1)),
            "invalid_amount",
            "the amount is negative",
            "give 0 for the provider's default",
        ),
        (
            "provision",
            provision("search", json!(1.001)),
            "invalid_amount",
            "the amount has more decimals than can be billed",
            "round a cap to whole cents",
        ),
        ("provision", json!({ "name": "web" }), "invalid_arguments", "an argument is missing: provider", "tools/list"),
        (
            "provision",
            provision("search", json!("5")),
            "invalid_arguments",
            "`spend_cap_usd` has the wrong type: expected a JSON number",
            "tools/list",
        ),
        ("teardown", json!({ "name": "memory", "force": true }), "invalid_arguments", "unknown argument", "tools/list"),
        (
            "list_projects",
            json!({ "limit": -1 }),
            "invalid_arguments",
            "`limit` has the wrong type: expected a positive whole number",
            "tools/list",
        ),
        ("rotate_key", json!({ "name": "web" }), "project_not_found", "there is no such project", "list"),
        ("rotate_key", json!({ "name": "gone" }), "project_not_found", TORN_DOWN, "provision it again"),
        ("teardown", json!({ "name": "web" }), "project_not_found", "there is no such project", "list"),
    ]
}

const TORN_DOWN: &str = "there is no such project any more: it was torn down";

const REPAIRED: &str = "version = 1
[providers.almanac]
label = 'Almanac: last year'
service = 'almanac/api'
env_var = 'ALMANAC_KEY'
default_cap_usd = 5
docs = 'https://example.com'
";
