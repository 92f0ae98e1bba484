//! The ledger's audit: a hash chain that shows where it was changed. A file of a newer version stays unchanged.

use std::fs;

use serde_json::{Value, json};

use crate::{
    client::{Client, ERAS},
    raw_client::{RawClient, until},
    workspace::Workspace,
};

#[test]
fn each_effect_has_its_intent_and_its_outcome() {
    let workspace = workspace_with_history();
    workspace.run(&["provision", "one", "search", "--cap", "99999"]);
    let mut rows = workspace.ledger().audit().rows().unwrap();
    rows.retain(|row| row.outcome != "called");
    let outcomes: Vec<(&str, &str)> = rows.iter().map(|row| (row.action.as_str(), row.outcome.as_str())).collect();
    let expected = [
        ("provision", "intended"),
        ("provision", "done"),
        ("rotate", "intended"),
        ("rotate", "done"),
        ("usage record", "intended"),
        ("usage record", "done"),
        ("teardown", "intended"),
        ("teardown", "done"),
        ("provision", "refused"),
    ];
    assert_eq!(outcomes, expected);
    let detail: Value = serde_json::from_str(&rows.last().unwrap().detail).unwrap();
    assert_eq!(detail["code"], "cap_above_maximum");
    assert!(rows.iter().all(|row| row.channel == "cli" && row.name.as_deref() == Some("one")));
}

#[test]
fn changed_chain_is_located() {
    for (change, broken) in [
        ("UPDATE audit SET outcome = 'refused' WHERE seq = 2", 2),
        ("UPDATE audit SET actor = actor || 'x' WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", 12),
        ("DELETE FROM audit", 1),
        ("DELETE FROM audit_head", 1),
        ("UPDATE audit_head SET seq = seq - 1", 12),
        ("UPDATE audit_head SET hash = 'x'", 13),
        // Cutting off the end and correcting the head record in the database still contradicts the file.
        (
            "DELETE FROM audit WHERE seq > 9; UPDATE audit_head SET seq = 9, hash = (SELECT hash FROM audit WHERE seq = 9)",
            10,
        ),
        ("UPDATE audit SET seq = seq + 100 WHERE seq = 4", 4),
        ("UPDATE audit SET detail = '{}' WHERE seq = 5", 5),
        (
            "INSERT INTO audit SELECT 13, at, door, actor, action, project, name, outcome, detail, hash, workspace FROM audit WHERE seq = 12",
            13,
        ),
    ] {
        let workspace = workspace_with_history();
        assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), None);
        workspace.sql(change);
        assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), Some(broken), "{change}");
        let response = workspace.json(&["audit", "--verify"]);
        assert_eq!(response["code"], "audit_broken", "{change}: {response}");
        assert!(response["message"].as_str().unwrap().starts_with(&format!("row {broken} of the audit")), "{response}");
    }
}

/// Forging the chain inside the database still contradicts the file beside it.
#[test]
fn older_ledger_in_place_is_detected() {
    let workspace = workspace_with_history();
    let ledger = workspace.state().join("ledger.db");
    workspace.checkpoint();
    let older = fs::read(&ledger).unwrap();
    workspace.ok(&["provision", "two", "search"]);
    workspace.checkpoint();
    assert_eq!(workspace.json(&["audit", "--verify"])["rows"], 15, "three rows more");

    restore(&workspace, &older);
    let response = workspace.json(&["audit", "--verify"]);
    assert_eq!(response["message"], "row 13 of the audit does not match `audit.head`, or is missing", "{response}");
    // Later rows take the places of the lost ones, and the loss stays visible.
    workspace.ok(&["provision", "three", "llm"]);
    workspace.ok(&["teardown", "three", "--yes"]);
    let response = workspace.json(&["audit", "--verify"]);
    assert_eq!(
        (&response["code"], workspace.run(&["audit", "--verify"]).code),
        (&json!("audit_broken"), 1),
        "{response}"
    );
    fs::remove_file(&ledger).unwrap();
    assert_eq!(workspace.json(&["audit", "--verify"])["code"], "audit_broken", "or no ledger at all");
}

#[test]
fn missing_or_altered_head_record_is_reported() {
    let workspace = workspace_with_history();
    let head = workspace.state().join("audit.head");
    let right = fs::read_to_string(&head).unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&head).unwrap().permissions()) & 0o777, 0o600);
    for (wrong, part) in [
        (String::new(), "last audit row, was changed"),
        ("v1 1\n".to_owned(), "last audit row, was changed"),
        (right.replace("v1", "v2"), "last audit row, was changed"),
        (right.replacen("v1 12", "v1 -1", 1), "last audit row, was changed"),
        (right.replacen("v1 12", "v1 11", 1), "row 11 of the audit"),
        (right.replacen("v1 12", "v1 99", 1), "does not match `audit.head`, or is missing"),
    ] {
        fs::write(&head, &wrong).unwrap();
        let response = workspace.json(&["audit", "--verify"])["message"].as_str().unwrap().to_owned();
        assert!(response.contains(part), "{wrong:?}: {response}");
        workspace.run(&["provision", "two", "nothing"]);
        assert_eq!(fs::read_to_string(&head).unwrap(), wrong, "the evidence stays");
    }
    fs::remove_file(&head).unwrap();
    workspace.run(&["provision", "two", "nothing"]);
    let response = workspace.json(&["audit", "--verify"]);
    assert_eq!(response["message"], "`audit.head`, which records the last audit row, is missing");
    fs::write(&head, right).unwrap();
    assert_eq!(workspace.json(&["audit", "--verify"])["whole"], true, "a head record that is behind is valid");
}

/// A crash between the rows and the file leaves the file behind, or missing.
#[test]
fn head_record_behind_the_ledger_is_no_alarm() {
    let workspace = workspace_with_history();
    let head = workspace.state().join("audit.head");
    let behind = fs::read(&head).unwrap();
    workspace.ok(&["provision", "two", "search"]);
    fs::write(&head, &behind).unwrap();
    assert_eq!(workspace.json(&["audit", "--verify"])["whole"], true);
    workspace.ok(&["rotate", "two"]);
    assert!(fs::read(&head).unwrap() != behind, "the next effect brings it up to date");
    assert_eq!(workspace.json(&["audit", "--verify"])["whole"], true);
}

#[test]
fn call_leaves_a_row_whatever_the_outcome() {
    let workspace = Workspace::new();
    let (long, canary) = ("x".repeat(64), "sk_live_51Canary0123456789abcdef");
    let mut client = RawClient::initialize(&workspace);
    for (tool, arguments) in [
        ("provision", json!({ "name": canary, "provider": canary, "spend_cap_usd": canary })),
        ("provision", json!({ "name": "web", "provider": "search", "spend_cap_usd": 2.5 })),
        ("provision", json!({ "name": "web2", "provider": "search", "spend_cap_usd": 9999 })),
        ("provision", json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 80 })),
        ("list_projects", json!({ "limit": 3, "cursor": canary })),
        ("list_projects", json!({})),
        ("rotate_key", json!({ canary: canary, "name": long })),
        (canary, json!({})),
        ("teardown", json!({ "name": "web" })),
    ] {
        client.call(tool, &arguments);
    }
    for uri in ["stripe-projects://audit", "stripe-projects://projects/web", canary] {
        client.request("resources/read", &json!({ "uri": uri }));
    }
    client.request("resources/read", &json!({}));
    client.request("prompts/get", &json!({ "name": "budget" }));
    client.request("prompts/get", &json!({ "name": canary, "arguments": { canary: canary } }));
    assert_eq!(client.disconnect().code, 0);
    workspace.run(&["provison", canary]);
    workspace.run(&["teardown", "web3"]);

    let rows = workspace.ledger().audit().rows().unwrap();
    let calls: Vec<Value> = rows
        .iter()
        .filter(|row| row.outcome == "called")
        .map(|row| {
            let detail: Value = serde_json::from_str(&row.detail).unwrap();
            assert!(detail["ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{detail}");
            assert!(!row.detail.contains("Canary"), "{detail}");
            json!([row.action, detail["answer"], detail["arguments"]])
        })
        .collect();
    let unreadable = json!({ "unreadable": ["name", "provider", "cap_cents"] });
    let expected = json!([
        ["provision", "invalid_arguments", unreadable],
        ["provision", "ok", { "cap_cents": 250, "name": "web", "provider": "search" }],
        ["provision", "cap_above_maximum", { "cap_cents": 999_900, "name": "web2", "provider": "search" }],
        ["provision", "approval_required", { "cap_cents": 8_000, "name": "memory", "provider": "supermemory" }],
        ["list_projects", "invalid_cursor", { "cursor": "given", "limit": 3 }],
        ["list_projects", "ok", {}],
        ["rotate_key", "invalid_arguments", { "unknown_arguments": 1, "unreadable": ["name"] }],
        ["unknown tool", "protocol_error_32602", {}],
        ["teardown", "ok", { "name": "web" }],
        ["resources/read", "ok", { "uri": "stripe-projects://audit" }],
        ["resources/read", "ok", { "name": "web" }],
        ["resources/read", "protocol_error_32002", { "unreadable": ["uri"] }],
        ["resources/read", "protocol_error_32602", {}],
        ["prompts/get", "ok", { "prompt": "budget" }],
        ["prompts/get", "protocol_error_32602", { "unknown_arguments": 1, "unreadable": ["prompt"] }],
        ["unreadable command", "usage", {}],
        ["teardown", "not_confirmed", { "name": "web3" }],
    ]);
    assert_eq!(json!(calls), expected, "{calls:#?}");
    let about: Vec<_> = rows.iter().filter(|row| row.outcome == "called" && row.project.is_some()).collect();
    assert_eq!(about.len(), 3, "what went well carries the project's id");
    assert!(rows.iter().filter(|row| row.channel == "mcp").all(|row| row.actor == "lines 1"));
    let decisions: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(serde_json::from_str::<Value>(&row.detail).unwrap()["decision"].as_str()?.to_owned()))
        .collect();
    assert_eq!(decisions, ["allowed", "refused", "needs_approval"]);
    let done = rows.iter().find(|row| row.outcome == "done").unwrap();
    assert!(done.detail.contains("\"resource\""), "{}", done.detail);
}

#[test]
fn reading_a_new_workspace_creates_no_files() {
    let workspace = Workspace::new();
    for arguments in [&["list"][..], &["audit"], &["audit", "--verify"], &["providers"], &["lst"]] {
        workspace.run(arguments);
    }
    let mut client = RawClient::initialize(&workspace);
    client.call("list_projects", &json!({}));
    client.call("buy", &json!({}));
    client.request("resources/read", &json!({ "uri": "stripe-projects://audit" }));
    client.request("prompts/get", &json!({ "name": "end-session" }));
    client.disconnect();
    assert!(workspace.files().is_empty(), "{:?}", workspace.files());
}

/// A call with an effect is recorded before its answer, so no client can lose the row.
#[test]
fn answered_call_is_in_the_audit() {
    let workspace = Workspace::new();
    let mut client = RawClient::initialize(&workspace);
    for (tool, arguments) in
        [("provision", json!({ "name": "web", "provider": "search" })), ("rotate_key", json!({ "name": 7 }))]
    {
        client.call(tool, &arguments);
        let rows = workspace.ledger().audit().rows().unwrap();
        assert_eq!((rows.last().unwrap().action.as_str(), rows.last().unwrap().outcome.as_str()), (tool, "called"));
    }
    // A read-only call is recorded within the second, without another call.
    client.call("list_projects", &json!({}));
    until("the row of the list", || {
        let rows = workspace.ledger().audit().rows().unwrap();
        (rows.last().unwrap().action == "list_projects").then_some(())
    });
    let head = workspace.state().join("audit.head");
    until("the seal", || fs::read_to_string(&head).is_ok_and(|text| text.starts_with("v1 5 ")).then_some(()));
}

#[test]
fn audit_write_failure_still_returns_the_answer() {
    let workspace = workspace_with_history();
    workspace.sql(BLOCK_AUDIT);
    let output = workspace.ok(&["list", "--all"]);
    assert!(output.stdout.contains("one"), "{output:?}");
    assert!(output.stderr.starts_with("warning: calls are missing from the audit"), "{output:?}");
    let mut client = RawClient::initialize(&workspace);
    assert_eq!(client.call("list_projects", &json!({}))["torn_down_count"], 1);
    let output = client.disconnect();
    assert!(output.stderr.contains("calls are missing from the audit"), "{output:?}");
}

#[test]
fn rows_are_filtered_by_project_actor_time_and_outcome() {
    let workspace = workspace_with_history();
    workspace.run(&["provision", "two", "search", "--cap", "99999"]);
    RawClient::initialize(&workspace).call("provision", &json!({ "name": "three", "provider": "llm" }));
    let search = |arguments: &[&str]| -> Vec<Value> {
        let output = workspace.ok(&[&["audit", "--json"], arguments].concat());
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = search(&["--limit", "0"]);
    assert_eq!(all.len(), 17);
    assert_eq!(search(&["--project", "two"]).len(), 2);
    assert!(search(&["--actor", "LINES", "--outcome", "called"]).iter().all(|row| row["door"] == "mcp"));
    assert_eq!(search(&["--actor", "lines", "--project", "three"]).len(), 3);
    assert_eq!(search(&["--outcome", "refused"]).len(), 1);
    assert_eq!(search(&["--outcome", "cap_above_maximum"]).len(), 2);
    assert_eq!(search(&["--outcome", "done", "--limit", "1"])[0]["project"], "three");
    assert_eq!(search(&["--since", "1h", "--until", "2099-01-01", "--project", "one"]).len(), 12);
    assert!(search(&["--until", "1h"]).is_empty() && search(&["--since", "2099-01-01"]).is_empty());
    for wrong in [&["--since", "tomorrow"][..], &["--until", "sk_live_0123456789abcdef"]] {
        let response = workspace.json(&[&["audit"], wrong].concat());
        assert_eq!(response["code"], "invalid_time", "{response}");
    }
}

#[tokio::test]
async fn resource_shows_the_last_fifty_rows() {
    let workspace = workspace_with_history();
    for _ in 0..50 {
        workspace.ledger().audit().note_calls(&[row()]).unwrap();
    }
    for era in ERAS {
        let client = Client::connect(&workspace, era).await;
        let request = rmcp::model::ReadResourceRequestParams::new("stripe-projects://audit");
        let read = client.0.read_resource(request).await.unwrap();
        let text = json!(read.contents[0])["text"].as_str().unwrap().to_owned();
        let entries: Value = serde_json::from_str(&text).unwrap();
        let entries = entries["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 50, "{era:?}");
        assert!(entries.iter().all(|entry| entry["hash"].as_str().unwrap().len() == 64));
        assert!(entries.windows(2).all(|two| two[0]["seq"].as_i64() < two[1]["seq"].as_i64()));
    }
}

fn row() -> storage::ledger::Answered {
    use storage::ledger::{Answered, Event, Verdict};
    let (at, detail) = (domain::clock::Timestamp::now(), json!({ "answer": "ok" }));
    let event =
        Event { at, channel: "cli", actor: "test".to_owned(), action: "list", verdict: Verdict::Called, detail };
    Answered { event, name: None, project: None, looks: 0 }
}

fn restore(workspace: &Workspace, older: &[u8]) {
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(workspace.state().join(format!("ledger.db{ending}")));
    }
    fs::write(workspace.state().join("ledger.db"), older).unwrap();
}

#[test]
fn effect_that_cannot_be_logged_is_not_done() {
    let workspace = workspace_with_history();
    workspace.sql(BLOCK_AUDIT);
    let error = workspace.json(&["provision", "two", "search"]);
    assert_eq!(error["code"], "ledger_unavailable", "{error:#}");
    assert!(workspace.world().observe_everything().unwrap().is_empty(), "nothing was bought");
    assert_eq!(workspace.read(".env"), "");
}

#[test]
fn ledger_of_a_newer_version_is_unchanged() {
    let workspace = workspace_with_history();
    workspace.sql("PRAGMA user_version = 99");
    for arguments in [&["list"][..], &["provision", "two", "search"], &["rotate", "one"]] {
        assert_eq!(workspace.json(arguments)["code"], "ledger_newer", "{arguments:?}");
    }
}

#[test]
fn foreign_file_in_place_of_the_ledger_is_an_error_and_kept() {
    let workspace = workspace_with_history();
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(workspace.state().join(format!("ledger.db{ending}")));
    }
    let other = "not a database, but another program's notes, long enough to be read".repeat(20);
    fs::write(workspace.state().join("ledger.db"), &other).unwrap();
    assert_eq!(workspace.json(&["list"])["code"], "ledger_damaged");
    assert_eq!(fs::read_to_string(workspace.state().join("ledger.db")).unwrap(), other);
}

/// A ledger that cannot be read may list what is billed.
#[test]
fn unreadable_ledger_is_not_treated_as_missing() {
    let workspace = Workspace::new();
    fs::write(workspace.root().join("workspace-file"), "").unwrap();
    let response = workspace.json(&["list", "--state-dir", "../workspace-file/state"]);
    assert_eq!(response["code"], "ledger_unavailable", "{response:#}");
}

fn workspace_with_history() -> Workspace {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "one", "search"]);
    workspace.ok(&["rotate", "one"]);
    workspace.ok(&["usage", "record", "one", "1"]);
    workspace.ok(&["teardown", "one", "--yes"]);
    workspace
}

/// Takes the number of the next row, so that no row can be written.
const BLOCK_AUDIT: &str =
    "INSERT INTO audit SELECT seq + 1, 0, '', '', '', NULL, NULL, '', '', '', NULL FROM audit_head";
