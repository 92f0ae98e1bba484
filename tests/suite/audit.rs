//! The ledger: what was done is written down in a chain that shows where it was changed, and a file of a newer
//! version is left alone.

use rusqlite::Connection;
use serde_json::Value;

use crate::workspace::Workspace;

#[test]
fn every_effect_has_its_intent_and_its_outcome() {
    let workspace = worked_in();
    workspace.run(&["provision", "one", "search", "--cap", "99999"]);
    let rows = workspace.ledger().audit().unwrap();
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
    assert!(rows.iter().all(|row| row.door == "cli" && row.name.as_deref() == Some("one")));
}

#[test]
fn a_changed_chain_shows_where() {
    for (change, broken) in [
        ("UPDATE audit SET outcome = 'refused' WHERE seq = 2", 2),
        ("UPDATE audit SET actor = actor || 'x' WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", 7),
        ("DELETE FROM audit", 1),
        ("UPDATE audit SET seq = seq + 100 WHERE seq = 4", 4),
        ("UPDATE audit SET detail = '{}' WHERE seq = 5", 5),
        (
            "INSERT INTO audit SELECT 8, at, door, actor, action, project, name, outcome, detail, hash FROM audit WHERE seq = 7",
            8,
        ),
    ] {
        let workspace = worked_in();
        assert_eq!(workspace.ledger().first_broken_row().unwrap(), None);
        Connection::open(workspace.state().join("ledger.db")).unwrap().execute_batch(change).unwrap();
        assert_eq!(workspace.ledger().first_broken_row().unwrap(), Some(broken), "{change}");
    }
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
        let _ = std::fs::remove_file(workspace.state().join(format!("ledger.db{ending}")));
    }
    let other = "not a database, but somebody's notes, long enough to be looked at".repeat(20);
    workspace.write(".stripe-projects/ledger.db", &other);
    assert_eq!(workspace.json(&["list"])["code"], "ledger_unavailable");
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
