//! Prompts, as a host offers them to its user and fills them in.

use insta::assert_snapshot;
use rmcp::model::GetPromptRequestParams;
use serde_json::{Value, json};

use crate::{
    client::{Client, ERAS, code},
    workspace::Workspace,
};

#[tokio::test]
async fn three_prompts_declare_their_arguments() {
    for era in ERAS {
        let client = Client::connect(&Workspace::new(), era).await;
        let mut listed = json!(client.0.list_prompts(None).await.unwrap());
        snapshot("prompts", &serde_json::to_string_pretty(&listed["prompts"].take()).unwrap());
    }
}

#[tokio::test]
async fn prompts_contain_the_current_state() {
    for era in ERAS {
        let workspace = Workspace::new();
        let client = Client::connect(&workspace, era).await;
        for name in ["budget", "end-session"] {
            snapshot(&format!("prompt_{name}_of_nothing"), &text(&client, name, None).await);
        }
        assert!(workspace.files().is_empty(), "reading creates no files");
        client.ok("provision", json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 5 })).await;
        client.ok("provision", json!({ "name": "web", "provider": "search", "spend_cap_usd": 2.5 })).await;
        workspace.ok(&["usage", "record", "memory", "1.2345"]);
        for name in ["budget", "end-session"] {
            snapshot(&format!("prompt_{name}"), &text(&client, name, None).await);
        }
        let prompt = text(&client, "rotate-on-leak", Some(json!({ "name": "web" }))).await;
        let key = workspace.variable("EXA_API_KEY").unwrap();
        assert!(!prompt.contains(&key), "a mask is enough");
        let prompt = prompt.replace(workspace.path().to_str().unwrap(), "[DIR]");
        snapshot("prompt_rotate-on-leak", &prompt.replace(key.split_at(key.len() - 4).1, "[LAST]"));
    }
}

#[tokio::test]
async fn invalid_prompt_arguments_are_refused_without_quoting() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "gone", "search"]);
    workspace.ok(&["teardown", "gone", "--yes"]);
    let canary = "sk_live_51Canary0123456789abcdef";
    for era in ERAS {
        let client = Client::connect(&workspace, era).await;
        for (name, arguments) in [
            (canary, None),
            ("budget", Some(json!({ canary: canary }))),
            ("rotate-on-leak", None),
            ("rotate-on-leak", Some(json!({ canary: canary }))),
            ("rotate-on-leak", Some(json!({ "name": canary }))),
            ("rotate-on-leak", Some(json!({ "name": 7 }))),
            ("rotate-on-leak", Some(json!({ "name": "unknown" }))),
            ("rotate-on-leak", Some(json!({ "name": "gone" }))),
            ("rotate-on-leak", Some(json!({ "name": "gone", "key": canary }))),
        ] {
            let answer = get_prompt(&client, name, arguments.clone()).await;
            assert!(!format!("{answer:?}").contains("Canary"), "{answer:?}");
            assert_eq!(code(answer), -32602, "{name} {arguments:?}");
        }
    }
}

async fn text(client: &Client, name: &str, arguments: Option<Value>) -> String {
    let result = get_prompt(client, name, arguments).await.unwrap();
    assert!(result.description.is_some_and(|text| !text.is_empty()), "{name}");
    let message = json!(result.messages[0]);
    assert_eq!((result.messages.len(), &message["role"]), (1, &json!("user")));
    message["content"]["text"].as_str().unwrap().to_owned()
}

async fn get_prompt(
    client: &Client,
    name: &str,
    arguments: Option<Value>,
) -> Result<rmcp::model::GetPromptResult, rmcp::ServiceError> {
    let mut params = GetPromptRequestParams::new(name);
    params.arguments = arguments.map(|arguments| arguments.as_object().unwrap().clone());
    client.0.get_prompt(params).await
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| assert_snapshot!(name, text));
}
