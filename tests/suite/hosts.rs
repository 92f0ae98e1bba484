//! The example files: a host that is configured with one starts the server.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    raw_client::RawClient,
    workspace::{BINARY, Workspace},
};

#[test]
fn cursor_example_starts_the_server() {
    assert_starts("cursor_mcp.json.example", &json("cursor_mcp.json.example"), "mcpServers");
}

#[test]
fn claude_desktop_example_starts_the_server() {
    let file = "examples/claude_desktop_config.json.example";
    assert_starts(file, &json(file), "mcpServers");
}

#[test]
fn claude_code_example_starts_the_server() {
    let file = "examples/claude_code_mcp.json.example";
    assert_starts(file, &json(file), "mcpServers");
}

#[test]
fn vscode_example_starts_the_server() {
    let file = "examples/vscode_mcp.json.example";
    assert_starts(file, &json(file), "servers");
}

#[test]
fn codex_example_starts_the_server() {
    let file = "examples/codex_config.toml.example";
    let config = toml::from_str(&read(file)).unwrap();
    assert_starts(file, &config, "mcp_servers");
}

/// Starts the configured command, with a test folder in place of the placeholder.
fn assert_starts(file: &str, config: &Value, section: &str) {
    let sections = config.as_object().unwrap();
    assert_eq!(sections.keys().collect::<Vec<_>>(), [section], "{file}");
    let servers = sections[section].as_object().unwrap();
    assert_eq!(servers.keys().collect::<Vec<_>>(), ["stripe-projects"], "{file}");
    let server = &servers["stripe-projects"];
    assert_eq!(server["command"], *Path::new(BINARY).file_stem().unwrap().to_str().unwrap(), "{file}");
    let kind = server.get("type").unwrap_or(&Value::Null);
    assert!(kind.is_null() || kind == "stdio", "{file}");

    let workspace = Workspace::new();
    let folder = workspace.path();
    let arguments: Vec<&str> =
        server["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()).collect();
    let [command, flag, placeholder] = arguments[..] else { panic!("{file}: {arguments:?}") };
    assert!(["${workspaceFolder}", "/absolute/path/to/your/project"].contains(&placeholder), "{file}");
    let answer = initialize(&workspace, &[command, flag, folder.to_str().unwrap()]);
    assert_eq!(answer["result"]["serverInfo"]["name"], "stripe-projects", "{file}: {answer}");
}

/// Returns the response of the real binary to `initialize`. The binary exits when the client disconnects.
fn initialize(workspace: &Workspace, arguments: &[&str]) -> Value {
    let mut client = RawClient::start(workspace.command(arguments));
    let info = json!({ "name": "a host", "version": "1" });
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info });
    let response = client.request("initialize", &params);
    client.disconnect();
    response
}

fn json(file: &str) -> Value {
    serde_json::from_str(&read(file)).unwrap()
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}
