//! The ledger: what was done is written down in a chain that shows where it was changed, and a file of a newer
//! version is left alone.

use std::fs;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    client::{Client, ERAS},
    lines::{Lines, until},
    workspace::Workspace,
};

#[test]
fn every_effect_has_its_intent_and_its_outcome() {
    let workspace = worked_in();
    workspace.run(&["provision", "one", "search", "--cap", "99999"]);
    let mut rows = workspace.ledger().audit().rows().unwrap();
    rows.retain(|row| row.outcome != "called");
    let told: Vec<(&str, &str)> = rows.iter().map(|row| (row.action.as_str(), row.outcome.as_str())).collect();
    let done = [
        ("provision", "intended"),
        ("provision", "done"),
        ("rotate", "intended"),
        ("rotate", "done"),
        ("usage record", "intended"),
        ("teardown", "intended"),
        ("teardown", "done"),
        ("provision", "refused"),
    ];
    assert_eq!(told, done);
    let detail: Value = serde_json::from_str(&rows.last().unwrap().detail).unwrap();
    assert_eq!(detail["code"], "cap_above_maximum");
    assert!(rows.iter().all(|row| row.channel == "cli" && row.name.as_deref() == Some("one")));
}

#[test]
fn a_changed_chain_shows_where() {
    for (change, broken) in [
        ("UPDATE audit SET outcome = 'refused' WHERE seq = 2", 2),
        ("UPDATE audit SET actor = actor || 'x' WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", 11),
        ("DELETE FROM audit", 1),
        ("DELETE FROM audit_head", 1),
        ("UPDATE audit_head SET seq = seq - 1", 11),
        ("UPDATE audit_head SET hash = 'x'", 12),
        // Whoever cuts the end off and corrects the head record in the database has the file against him.
        (
            "DELETE FROM audit WHERE seq > 9; UPDATE audit_head SET seq = 9, hash = (SELECT hash FROM audit WHERE seq = 9)",
            10,
        ),
        ("UPDATE audit SET seq = seq + 100 WHERE seq = 4", 4),
        ("UPDATE audit SET detail = '{}' WHERE seq = 5", 5),
        (
            "INSERT INTO audit SELECT 12, at, door, actor, action, project, name, outcome, detail, hash FROM audit WHERE seq = 11",
            12,
        ),
    ] {
        let workspace = worked_in();
        assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), None);
        Connection::open(workspace.state().join("ledger.db")).unwrap().execute_batch(change).unwrap();
        assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), Some(broken), "{change}");
        let said = workspace.json(&["audit", "--verify"]);
        assert_eq!(said["code"], "audit_broken", "{change}: {said}");
        assert!(said["message"].as_str().unwrap().starts_with(&format!("row {broken} of the audit")), "{said}");
    }
}

/// Whoever forges the chain inside the database as well still has the file beside it against him.
#[test]
fn an_older_ledger_in_its_place_is_found_out() {
    let workspace = worked_in();
    let ledger = workspace.state().join("ledger.db");
    checkpoint(&workspace);
    let older = fs::read(&ledger).unwrap();
    workspace.ok(&["provision", "two", "search"]);
    checkpoint(&workspace);
    assert_eq!(workspace.json(&["audit", "--verify"])["rows"], 14, "three rows more");

    restore(&workspace, &older);
    let said = workspace.json(&["audit", "--verify"]);
    assert_eq!(said["message"], "row 12 of the audit is not the one that `audit.head` knows, or is missing", "{said}");
    // To go on as if nothing had happened does not wipe it away: other rows take the places of the lost ones.
    workspace.ok(&["provision", "three", "llm"]);
    workspace.ok(&["teardown", "three", "--yes"]);
    let said = workspace.json(&["audit", "--verify"]);
    assert_eq!((&said["code"], workspace.run(&["audit", "--verify"]).code), (&json!("audit_broken"), 1), "{said}");
    fs::remove_file(&ledger).unwrap();
    assert_eq!(workspace.json(&["audit", "--verify"])["code"], "audit_broken", "or no ledger at all");
}

#[test]
fn the_head_record_beside_the_ledger_is_missed_and_trusted_only_whole() {
    let workspace = worked_in();
    let head = workspace.state().join("audit.head");
    let right = fs::read_to_string(&head).unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&head).unwrap().permissions()) & 0o777, 0o600);
    for (wrong, word) in [
        (String::new(), "not what was written"),
        ("v1 1\n".to_owned(), "not what was written"),
        (right.replace("v1", "v2"), "not what was written"),
        (right.replacen("v1 11", "v1 -1", 1), "not what was written"),
        (right.replacen("v1 11", "v1 10", 1), "row 10 of the audit"),
        (right.replacen("v1 11", "v1 99", 1), "`audit.head` knows, or is missing"),
    ] {
        fs::write(&head, &wrong).unwrap();
        let said = workspace.json(&["audit", "--verify"])["message"].as_str().unwrap().to_owned();
        assert!(said.contains(word), "{wrong:?}: {said}");
        workspace.run(&["provision", "two", "nothing"]);
        assert_eq!(fs::read_to_string(&head).unwrap(), wrong, "the evidence stays");
    }
    fs::remove_file(&head).unwrap();
    workspace.run(&["provision", "two", "nothing"]);
    let said = workspace.json(&["audit", "--verify"]);
    assert_eq!(said["message"], "`audit.head`, which knows how far the audit had come, is missing");
    fs::write(&head, right).unwrap();
    assert_eq!(workspace.json(&["audit", "--verify"])["whole"], true, "behind is no crime");
}

/// A crash between the rows and the file leaves the file behind, or not there yet.
#[test]
fn a_head_record_that_is_behind_is_no_alarm() {
    let workspace = worked_in();
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
fn a_call_leaves_a_row_whatever_came_of_it() {
    let workspace = Workspace::new();
    let (long, canary) = ("x".repeat(64), "sk_live_51Canary0123456789abcdef");
    let mut lines = Lines::greet(&workspace);
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
        lines.call(tool, &arguments);
    }
    for uri in ["stripe-projects://audit", "stripe-projects://projects/web", canary] {
        lines.ask("resources/read", &json!({ "uri": uri }));
    }
    lines.ask("resources/read", &json!({}));
    lines.ask("prompts/get", &json!({ "name": "budget" }));
    lines.ask("prompts/get", &json!({ "name": canary, "arguments": { canary: canary } }));
    assert_eq!(lines.leave().code, 0);
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
fn to_look_where_nothing_is_leaves_nothing() {
    let workspace = Workspace::new();
    for arguments in [&["list"][..], &["audit"], &["audit", "--verify"], &["providers"], &["lst"]] {
        workspace.run(arguments);
    }
    let mut lines = Lines::greet(&workspace);
    lines.call("list_projects", &json!({}));
    lines.call("buy", &json!({}));
    lines.ask("resources/read", &json!({ "uri": "stripe-projects://audit" }));
    lines.ask("prompts/get", &json!({ "name": "end-session" }));
    lines.leave();
    assert!(workspace.files().is_empty(), "{:?}", workspace.files());
}

/// What had an effect is written before its answer leaves, so that no client can kill the row.
#[test]
fn a_call_that_was_answered_is_in_the_audit() {
    let workspace = Workspace::new();
    let mut lines = Lines::greet(&workspace);
    for (tool, arguments) in
        [("provision", json!({ "name": "web", "provider": "search" })), ("rotate_key", json!({ "name": 7 }))]
    {
        lines.call(tool, &arguments);
        let rows = workspace.ledger().audit().rows().unwrap();
        assert_eq!((rows.last().unwrap().action.as_str(), rows.last().unwrap().outcome.as_str()), (tool, "called"));
    }
    // A look follows within the second, without anything else happening.
    lines.call("list_projects", &json!({}));
    until("the row of the list", || {
        let rows = workspace.ledger().audit().rows().unwrap();
        (rows.last().unwrap().action == "list_projects").then_some(())
    });
    let head = workspace.state().join("audit.head");
    until("the seal", || fs::read_to_string(&head).is_ok_and(|text| text.starts_with("v1 5 ")).then_some(()));
}

#[test]
fn an_audit_that_cannot_be_written_hides_no_answer() {
    let workspace = worked_in();
    let ledger = Connection::open(workspace.state().join("ledger.db")).unwrap();
    ledger
        .execute_batch("CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let ran = workspace.ok(&["list", "--all"]);
    assert!(ran.stdout.contains("one"), "{ran:?}");
    assert!(ran.stderr.starts_with("warning: this call is missing from the audit"), "{ran:?}");
    let mut lines = Lines::greet(&workspace);
    assert_eq!(lines.call("list_projects", &json!({}))["torn_down_count"], 1);
    let ran = lines.leave();
    assert!(ran.stderr.contains("calls are missing from the audit"), "{ran:?}");
}

#[test]
fn rows_are_found_by_project_actor_time_and_outcome() {
    let workspace = worked_in();
    workspace.run(&["provision", "two", "search", "--cap", "99999"]);
    Lines::greet(&workspace).call("provision", &json!({ "name": "three", "provider": "llm" }));
    let found = |arguments: &[&str]| -> Vec<Value> {
        let ran = workspace.ok(&[&["audit", "--json"], arguments].concat());
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = found(&["--limit", "0"]);
    assert_eq!(all.len(), 16);
    assert_eq!(found(&["--project", "two"]).len(), 2);
    assert!(found(&["--actor", "LINES", "--outcome", "called"]).iter().all(|row| row["door"] == "mcp"));
    assert_eq!(found(&["--actor", "lines", "--project", "three"]).len(), 3);
    assert_eq!(found(&["--outcome", "refused"]).len(), 1);
    assert_eq!(found(&["--outcome", "cap_above_maximum"]).len(), 2);
    assert_eq!(found(&["--outcome", "done", "--limit", "1"])[0]["project"], "three");
    assert_eq!(found(&["--since", "1h", "--until", "2099-01-01", "--project", "one"]).len(), 11);
    assert!(found(&["--until", "1h"]).is_empty() && found(&["--since", "2099-01-01"]).is_empty());
    for wrong in [&["--since", "tomorrow"][..], &["--until", "sk_live_0123456789abcdef"]] {
        let said = workspace.json(&[&["audit"], wrong].concat());
        assert_eq!(said["code"], "invalid_time", "{said}");
    }
}

#[tokio::test]
async fn the_resource_shows_the_last_fifty_rows() {
    let workspace = worked_in();
    for _ in 0..50 {
        workspace.ledger().audit().note_calls(&[row()]).unwrap();
    }
    for era in ERAS {
        let client = Client::connect(&workspace, era).await;
        let asked = rmcp::model::ReadResourceRequestParams::new("stripe-projects://audit");
        let read = client.0.read_resource(asked).await.unwrap();
        let text = json!(read.contents[0])["text"].as_str().unwrap().to_owned();
        let entries: Value = serde_json::from_str(&text).unwrap();
        let entries = entries["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 50, "{era:?}");
        assert!(entries.iter().all(|entry| entry["hash"].as_str().unwrap().len() == 64));
        assert!(entries.windows(2).all(|two| two[0]["seq"].as_i64() < two[1]["seq"].as_i64()));
    }
}

fn row() -> stripe_projects_mcp::ledger::Answered {
    use stripe_projects_mcp::ledger::{Answered, Event, Verdict};
    let (at, detail) = (stripe_projects_mcp::clock::Timestamp::now(), json!({ "answer": "ok" }));
    let event =
        Event { at, channel: "cli", actor: "test".to_owned(), action: "list", verdict: Verdict::Called, detail };
    Answered { event, name: None, project: None }
}

/// Takes everything into the one file, as the last process that closes it does.
fn checkpoint(workspace: &Workspace) {
    let ledger = Connection::open(workspace.state().join("ledger.db")).unwrap();
    ledger.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn restore(workspace: &Workspace, older: &[u8]) {
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(workspace.state().join(format!("ledger.db{ending}")));
    }
    fs::write(workspace.state().join("ledger.db"), older).unwrap();
}

#[test]
fn what_cannot_be_logged_is_not_done() {
    let workspace = worked_in();
    let ledger = Connection::open(workspace.state().join("ledger.db")).unwrap();
    ledger
        .execute_batch("CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let error = workspace.json(&["provision", "two", "search"]);
    assert_eq!(error["code"], "ledger_unavailable", "{error:#}");
    assert!(workspace.world().observe_everything().unwrap().is_empty(), "nothing was bought");
    assert_eq!(workspace.read(".env"), "");
}

#[test]
fn a_ledger_of_a_newer_version_is_left_alone() {
    let workspace = worked_in();
    let ledger = Connection::open(workspace.state().join("ledger.db")).unwrap();
    ledger.pragma_update(None, "user_version", 99).unwrap();
    drop(ledger);
    for arguments in [&["list"][..], &["provision", "two", "search"], &["rotate", "one"]] {
        assert_eq!(workspace.json(arguments)["code"], "ledger_newer", "{arguments:?}");
    }
}

#[test]
fn something_else_in_its_place_is_an_error_and_stays() {
    let workspace = worked_in();
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(workspace.state().join(format!("ledger.db{ending}")));
    }
    let other = "not a database, but somebody's notes, long enough to be looked at".repeat(20);
    workspace.write(".stripe-projects/ledger.db", &other);
    assert_eq!(workspace.json(&["list"])["code"], "ledger_damaged");
    assert_eq!(workspace.read(".stripe-projects/ledger.db"), other);
}

/// What we may not see might be billed.
#[test]
fn a_ledger_that_cannot_be_looked_for_is_not_taken_for_none() {
    let workspace = Workspace::new();
    workspace.write("file", "");
    let said = workspace.json(&["list", "--state-dir", "file/state"]);
    assert_eq!(said["code"], "ledger_unavailable", "{said:#}");
}

fn worked_in() -> Workspace {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "one", "search"]);
    workspace.ok(&["rotate", "one"]);
    workspace.ok(&["usage", "record", "one", "1"]);
    workspace.ok(&["teardown", "one", "--yes"]);
    workspace
}
