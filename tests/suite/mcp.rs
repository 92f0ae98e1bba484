//! The MCP server, as an ordinary client uses it, in both protocol eras.

use rmcp::model::{
    ArgumentInfo, CallToolRequestParams, CompleteRequestParams, GetPromptRequestParams, PaginatedRequestParams,
    ReadResourceRequestParams, Reference, ResourceContents,
};
use serde_json::{Value, json};

use crate::{
    client::{Client, ERAS, Era, code},
    raw_client::RawClient,
    workspace::Workspace,
};

#[tokio::test]
async fn tools_are_four_in_a_fixed_order() {
    let workspace = Workspace::new();
    for era in ERAS {
        let client = Client::connect(&workspace, era).await;
        for _ in 0..2 {
            let tools = client.0.list_all_tools().await.unwrap();
            let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
            assert_eq!(names, ["list_projects", "provision", "rotate_key", "teardown"], "{era:?}");
        }
    }
    assert!(workspace.files().is_empty(), "reading creates no files");
}

/// Runs a project through its lifecycle, and checks the key at each step.
#[tokio::test]
async fn project_runs_through_its_lifecycle() {
    for era in ERAS {
        let workspace = Workspace::new();
        workspace.write(".env", "USER_LINES=1\n");
        let client = Client::connect(&workspace, era).await;

        let arguments = json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 12.5 });
        let response = client.ok("provision", arguments).await;
        let first = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        assert!(workspace.owner_of(&first).is_some());
        assert_eq!((&response["status"], &response["spend_cap_usd"]), (&json!("active"), &json!(12.5)));
        assert_eq!(response["api_key_masked"], masked(&first));
        assert_eq!(response["env_written_to"], json!(workspace.file(".env")));

        let listed = client.ok("list_projects", json!({})).await;
        assert_eq!(listed["projects"], json!([response]));

        let rotated = client.ok("rotate_key", json!({ "name": "memory" })).await;
        let second = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        assert_eq!(rotated["key_version"], 2);
        assert_eq!(rotated["api_key_masked"], masked(&second));
        assert!(workspace.owner_of(&first).is_none() && workspace.owner_of(&second).is_some());

        let gone = client.ok("teardown", json!({ "name": "memory" })).await;
        assert_eq!(gone["status"], "torn_down");
        assert!(workspace.owner_of(&second).is_none());
        assert_eq!(workspace.read(".env"), "USER_LINES=1\n");

        let live = client.ok("list_projects", json!({})).await;
        assert_eq!((&live["projects"], &live["torn_down_count"]), (&json!([]), &json!(1)));
        let all = client.ok("list_projects", json!({ "include_torn_down": true })).await;
        assert_eq!(all["projects"], json!([gone]));
    }
}

#[tokio::test]
async fn resources_agree_with_tools() {
    let workspace = Workspace::new();
    let response = workspace.json(&["provision", "memory", "supermemory"]);
    for era in ERAS {
        let client = Client::connect(&workspace, era).await;
        let uris: Vec<_> =
            client.0.list_all_resources().await.unwrap().into_iter().map(|resource| resource.uri).collect();
        assert_eq!(uris, ["stripe-projects://providers", "stripe-projects://projects", "stripe-projects://audit"]);
        let templates = client.0.list_all_resource_templates().await.unwrap();
        assert_eq!(templates[0].uri_template, "stripe-projects://projects/{name}");

        assert_eq!(read(&client, "stripe-projects://providers").await, workspace.json(&["providers"]));
        let projects = read(&client, "stripe-projects://projects").await;
        assert_eq!(projects, client.ok("list_projects", json!({})).await);
        assert_eq!(read(&client, "stripe-projects://projects/memory").await, response);

        let missing = match era {
            Era::Legacy => -32002,
            Era::Modern => -32602,
        };
        for uri in ["stripe-projects://projects/other", "stripe-projects://nothing", "file:///etc/passwd"] {
            assert_eq!(code(client.0.read_resource(ReadResourceRequestParams::new(uri)).await), missing, "{uri}");
        }
    }
}

#[tokio::test]
async fn unknown_tools_prompts_and_cursors_are_refused() {
    let workspace = Workspace::new();
    for era in ERAS {
        let client = Client::connect(&workspace, era).await;
        let peer = &client.0;
        assert_eq!(code(peer.call_tool(CallToolRequestParams::new("buy")).await), -32602);
        assert_eq!(code(peer.get_prompt(GetPromptRequestParams::new("sell")).await), -32602);
        let argument = ArgumentInfo::new("name", "m");
        let completion = CompleteRequestParams::new(Reference::for_resource("stripe-projects://projects"), argument);
        assert_eq!(code(peer.complete(completion).await), -32601);
        let somewhere = || Some(PaginatedRequestParams::default().with_cursor(Some("somewhere".to_owned())));
        assert_eq!(code(peer.list_tools(somewhere()).await), -32602);
        assert_eq!(code(peer.list_prompts(somewhere()).await), -32602);
        assert_eq!(code(peer.list_resources(somewhere()).await), -32602);
        assert_eq!(code(peer.list_resource_templates(somewhere()).await), -32602);
    }
}

/// No library would send these.
#[test]
fn malformed_requests_differ_from_unknown_methods() {
    let mut client = RawClient::initialize(&Workspace::new());
    for (method, params, code) in [
        ("tools/call", json!({}), -32602),
        ("tools/call", json!({ "arguments": {} }), -32602),
        ("tools/call", json!({ "name": 7 }), -32602),
        ("tools/call", json!({ "name": "list_projects", "arguments": [] }), -32602),
        ("resources/read", json!({}), -32602),
        ("resources/read", json!({ "uri": null }), -32602),
        ("resources/subscribe", json!({}), -32602),
        ("prompts/get", json!({ "name": [] }), -32602),
        ("tools/sell", json!({}), -32601),
    ] {
        let answer = client.request(method, &params);
        assert_eq!(answer["error"]["code"], code, "{method} {params}: {answer}");
    }
}

/// A second `initialize` may ask for any version; the session has the version that the response names.
#[test]
fn session_keeps_the_version_of_the_response() {
    let workspace = Workspace::new();
    let mut client = RawClient::initialize(&workspace);
    let info = json!({ "name": "lines", "version": "1" });
    for requested in ["2025-06-18", "2026-07-28", "2099-01-01", "cursor", "../", ""] {
        let params = json!({ "protocolVersion": requested, "capabilities": {}, "clientInfo": info });
        let response = client.request("initialize", &params);
        let negotiated = if requested == "2025-06-18" { requested } else { "2025-11-25" };
        assert_eq!(response["result"]["protocolVersion"], negotiated, "{requested}: {response}");
        assert_eq!(client.request("ping", &json!({}))["result"], json!({}), "{requested}");
        let prompts = client.request("prompts/list", &json!({}));
        assert_eq!(prompts["result"].get("resultType"), None, "{requested}: a field of the modern era");
    }
}

/// A method of one era is unknown in the other, with any parameters.
#[test]
fn method_of_the_other_era_is_unknown() {
    let workspace = Workspace::new();
    let (mut legacy, mut modern) = (RawClient::initialize(&workspace), RawClient::open(&workspace));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "lines", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let providers = "stripe-projects://providers";
    for (method, fitting) in [
        ("initialize", None),
        ("ping", Some(json!({ "_meta": meta }))),
        ("resources/subscribe", Some(json!({ "_meta": meta, "uri": providers }))),
        ("resources/unsubscribe", Some(json!({ "_meta": meta, "uri": providers }))),
    ] {
        for params in [Some(json!({ "_meta": meta })), Some(json!({ "_meta": meta, "uri": 7 })), fitting] {
            let Some(params) = params else { continue };
            let answer = modern.request(method, &params);
            assert_eq!(answer["error"]["code"], -32601, "{method} {params}: {answer}");
        }
    }
    for params in [json!({}), json!({ "notifications": 7 }), json!({ "notifications": { "toolsListChanged": true } })] {
        let answer = legacy.request("subscriptions/listen", &params);
        assert_eq!(answer["error"]["code"], -32601, "{params}: {answer}");
    }
    // In its own era, the same parameters are invalid.
    assert_eq!(legacy.request("resources/unsubscribe", &json!({ "uri": 7 }))["error"]["code"], -32602);
    let listen = json!({ "_meta": meta, "notifications": 7 });
    assert_eq!(modern.request("subscriptions/listen", &listen)["error"]["code"], -32602);
}

#[tokio::test]
async fn long_list_is_paged() {
    let workspace = Workspace::new();
    let client = Client::connect(&workspace, Era::Modern).await;
    for name in ["a", "b", "c", "d", "e"] {
        client.ok("provision", json!({ "name": name, "provider": "search", "spend_cap_usd": 1 })).await;
    }
    let (mut pages, mut cursor) = (Vec::new(), json!(null));
    loop {
        let mut arguments = json!({ "limit": 2 });
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let page = client.ok("list_projects", arguments).await;
        assert_eq!(page["live_count"], 5);
        let names = page["projects"].as_array().unwrap().iter().map(|project| project["name"].clone());
        pages.push(names.collect::<Value>());
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(json!(pages), json!([["a", "b"], ["c", "d"], ["e"]]));
    for limit in [0, 201] {
        assert_eq!(client.call_refused("list_projects", json!({ "limit": limit })).await["code"], "invalid_limit");
    }
    for cursor in ["3", "after-0"] {
        assert_eq!(client.call_refused("list_projects", json!({ "cursor": cursor })).await["code"], "invalid_cursor");
    }
}

/// The modern era has no handshake that names the server, so each result does.
#[tokio::test]
async fn modern_result_names_its_server() {
    let workspace = Workspace::new();
    for (era, name) in [(Era::Legacy, None), (Era::Modern, Some("stripe-projects"))] {
        let client = Client::connect(&workspace, era).await;
        for (tool, arguments) in [("list_projects", json!({})), ("teardown", json!({ "name": "nothing" }))] {
            let meta = json!(client.call(tool, arguments).await.unwrap().meta);
            assert_eq!(meta["io.modelcontextprotocol/serverInfo"]["name"].as_str(), name, "{era:?} {tool}");
        }
        let read = ReadResourceRequestParams::new("stripe-projects://providers");
        for meta in [
            json!(client.0.list_tools(None).await.unwrap().meta),
            json!(client.0.list_prompts(None).await.unwrap().meta),
            json!(client.0.list_resources(None).await.unwrap().meta),
            json!(client.0.list_resource_templates(None).await.unwrap().meta),
            json!(client.0.read_resource(read).await.unwrap().meta),
        ] {
            assert_eq!(meta["io.modelcontextprotocol/serverInfo"]["name"].as_str(), name, "{era:?}");
        }
    }
}

async fn read(client: &Client, uri: &str) -> Value {
    let result = client.0.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
    match &result.contents[..] {
        [ResourceContents::TextResourceContents { text, .. }] => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn masked(key: &str) -> String {
    let (_, last) = key.split_at(key.len() - 4);
    format!("sk_proj_sim_…{last}")
}
