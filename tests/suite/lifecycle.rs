//! Start, load and end of the server, seen from the other end of its pipes.

use std::{process::Command, time::Duration};

use files::fs::{Lock, create_private_folder};
use serde_json::json;

use crate::{
    raw_client::{RawClient, until},
    workspace::Workspace,
};

#[test]
fn disconnect_without_a_message_is_no_failure() {
    let workspace = Workspace::new();
    let output = RawClient::open(&workspace).disconnect();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "", NO_POLICY));
    assert!(workspace.files().is_empty());
}

/// On a pipe, `serve` is the default; only a terminal needs the word.
#[test]
fn serve_is_the_default_command_on_a_pipe() {
    let workspace = Workspace::new();
    let mut client = RawClient::start(workspace.command(&[]));
    client.initialize_as("lines");
    assert_eq!(client.disconnect().code, 0);
}

#[test]
fn client_that_disconnects_early_is_still_answered() {
    let workspace = Workspace::new();
    let mut client = RawClient::initialize(&workspace);
    let ids: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| client.send_call("provision", &json!({ "name": name, "provider": "search", "spend_cap_usd": 1 })))
        .into();
    let output = client.disconnect();
    assert_eq!((output.code, output.stderr.as_str()), (0, NO_POLICY));
    for id in ids {
        let answer = output.response(id);
        assert_eq!(answer["result"]["structuredContent"]["status"], "active", "{answer}");
    }
}

/// A call that cannot finish is answered as well, and the process ends by itself.
#[test]
fn stuck_work_does_not_keep_the_process() {
    let workspace = Workspace::new();
    let held = lock_project(&workspace, "memory");
    let mut client = RawClient::initialize(&workspace);
    let id = client.send_call("rotate_key", &json!({ "name": "memory" }));
    let output = client.disconnect();
    assert_eq!(output.code, 0);
    assert_eq!(output.response(id)["result"]["structuredContent"]["code"], "stopping");
    drop(held);
}

#[cfg(unix)]
#[test]
fn signal_ends_the_server_cleanly() {
    for signal in ["-TERM", "-INT", "-HUP"] {
        let server = RawClient::initialize(&Workspace::new());
        let status = Command::new("kill").args([signal, &server.pid().to_string()]).status().unwrap();
        assert!(status.success());
        assert_eq!(server.wait().code, 0, "{signal}");
    }
}

#[test]
fn invalid_messages_are_survived() {
    let mut client = RawClient::initialize(&Workspace::new());
    let deep = "[".repeat(100_000);
    for line in ["", "not json", "{}", "[]", "null", "{\"jsonrpc\":\"2.0\"}", "\"\u{0}\"", "{", &deep] {
        client.write_line(line);
    }
    client.write_line(b"\xff\xfe\x00");
    assert_eq!(client.call("list_projects", &json!({}))["live_count"], 0);
    assert_eq!(client.disconnect().code, 0);
}

#[test]
fn no_log_level_logs_messages() {
    let workspace = Workspace::new();
    let mut command = workspace.command(&["serve"]);
    command.env("RUST_LOG", "trace,rmcp=trace,stripe_projects_mcp=trace");
    let mut client = RawClient::start(command);
    client.initialize_as("lines");
    client.call("provision", &json!({ "name": "confidential", "provider": "search" }));
    client.call("teardown", &json!({ "name": "confidential" }));
    assert_eq!(client.disconnect().stderr, NO_POLICY);
}

/// The test locks the project, so every accepted call keeps its slot.
#[test]
fn flood_of_calls_is_answered_completely() {
    let workspace = Workspace::new();
    let names: Vec<String> = (0..200).map(|number| format!("n{number}")).collect();
    let held: Vec<Lock> = names.iter().map(|name| lock_project(&workspace, name)).collect();
    let mut client = RawClient::initialize(&workspace);
    let ids: Vec<_> = names.iter().map(|name| client.send_call("rotate_key", &json!({ "name": name }))).collect();
    let answered = |client: &RawClient, code: &str| {
        let codes = client.messages().into_iter().map(|answer| answer["result"]["structuredContent"]["code"].clone());
        codes.filter(|value| value == code).count()
    };
    until("those that are too many", || (answered(&client, "busy") >= 200 - MOST_IN_FLIGHT).then_some(()));
    drop(held);
    until("all the others", || (answered(&client, "project_not_found") >= MOST_IN_FLIGHT).then_some(()));
    let output = client.disconnect();
    assert_eq!(output.code, 0);
    for id in ids {
        assert!(output.response(id)["result"]["structuredContent"]["hint"].is_string());
    }
}

/// The calls meet in a workspace that is not initialized yet.
#[test]
fn first_calls_may_arrive_concurrently() {
    for _ in 0..5 {
        let mut client = RawClient::initialize(&Workspace::new());
        let names = (0..MOST_IN_FLIGHT).map(|number| json!({ "name": format!("n{number}") }));
        let ids: Vec<_> = names.map(|named| client.send_call("teardown", &named)).collect();
        // Waits before it disconnects: answers after a disconnect are limited by a timeout, which a busy machine may
        // exceed.
        for id in ids {
            let answer = until("an answer", || client.messages().into_iter().find(|answer| answer["id"] == id));
            assert_eq!(answer["result"]["structuredContent"]["code"], "project_not_found");
        }
        assert_eq!(client.disconnect().code, 0);
    }
}

/// Takes the lock that every call on this project waits for.
fn lock_project(workspace: &Workspace, name: &str) -> Lock {
    let locks = workspace.state().join("locks");
    create_private_folder(&locks).unwrap();
    let workspace = workspace.ledger().register_workspace().unwrap();
    let lock = Lock::on_file(&locks.join(format!("{}.{name}.lock", workspace.as_str())), Duration::ZERO);
    lock.unwrap().expect("no other process uses this workspace")
}

const MOST_IN_FLIGHT: usize = 64;

/// The only line of a server that nothing happens to.
const NO_POLICY: &str = " INFO stripe_projects_mcp: no policy file counts; the built-in limits apply\n";
