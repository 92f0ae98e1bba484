//! A restored backup: calls continue and report it, and a person can accept it. The acceptance stays in the audit.

use std::fs;

use serde_json::{Value, json};

use crate::{raw_client::RawClient, workspace::Workspace};

#[test]
fn restored_backup_is_reported_and_blocks_nothing() {
    let here = workspace_with_restored_backup();
    let output = here.ok(&["provision", "three", "llm"]);
    assert!(output.stderr.starts_with("warning: row 6 of the audit does not match `audit.head`"), "{output:?}");
    assert!(output.stderr.contains("run `stripe-projects-mcp audit --verify`"), "{output:?}");
    let mut agent = RawClient::initialize(&here);
    for name in ["four", "five"] {
        assert_eq!(agent.call("provision", &json!({ "name": name, "provider": "search" }))["status"], "active");
    }
    let stderr = agent.disconnect().stderr;
    assert_eq!(stderr.matches("audit --verify").count(), 1, "a server says it once: {stderr}");
    assert!(
        here.json(&["audit", "--verify"])["hint"].as_str().unwrap().contains("`stripe-projects-mcp audit --accept`")
    );
    let report = here.json(&["doctor"]);
    let find = |check: &str| report["checks"].as_array().unwrap().iter().find(|entry| entry["check"] == check).unwrap();
    assert!(find("audit")["advice"].as_str().unwrap().contains("audit --accept"), "{report:#}");
    assert_eq!(find("drift")["state"], "problem", "projects after the backup are still billed: {report:#}");
}

#[test]
fn acceptance_by_a_human_stays_in_the_audit() {
    let here = workspace_with_restored_backup();
    let given_up = head_record(&here);
    let unasked = here.run(&["audit", "--accept"]);
    assert_eq!(unasked.code, 3, "{unasked:?}");
    assert!(unasked.stderr.contains("another user or program changed it: then answer no"), "{unasked:?}");
    assert_eq!(head_record(&here), given_up);

    let proof = here.json(&["audit", "--accept", "--yes"]);
    assert_eq!(proof["whole"], true, "{proof}");
    let accepted =
        here.ledger().audit().rows().unwrap().into_iter().find(|row| row.action == "accept audit break").unwrap();
    let detail: Value = serde_json::from_str(&accepted.detail).unwrap();
    let head = format!("v1 {} {}\n", detail["head_row"], detail["head_hash"].as_str().unwrap());
    assert_eq!(head, given_up, "the row holds the replaced head record");
    assert_eq!(proof["accepted"][0]["row"], accepted.seq);
    assert_eq!(proof["accepted"][0]["actor"], accepted.actor);

    for _ in 0..2 {
        here.cli(&["rotate", "one"]).stderr("").succeed();
        let proof = here.json(&["audit", "--verify"]);
        assert_eq!((&proof["whole"], proof["accepted"].as_array().unwrap().len()), (&json!(true), 1), "{proof}");
    }
    let verification = here.ok(&["audit", "--verify"]).stdout;
    assert!(verification.contains(&format!("Accepted breaks: 1\n  row {}, on 20", accepted.seq)), "{verification}");
    let checks = here.json(&["doctor"])["checks"].take();
    let audit = checks.as_array().unwrap().iter().find(|check| check["check"] == "audit").unwrap().clone();
    assert_eq!(audit["state"], "ok", "{audit}");
    assert!(audit["found"].as_str().unwrap().contains(&format!("accepted breaks: row {}", accepted.seq)), "{audit}");
    let before = here.ledger().audit().rows().unwrap().len();
    assert_eq!(here.json(&["audit", "--accept", "--yes"])["whole"], true, "there is nothing more to accept");
    let accepts = |row: &&storage::ledger::AuditRow| row.action == "accept audit break";
    assert_eq!(here.ledger().audit().rows().unwrap()[before..].iter().filter(accepts).count(), 0);

    // Rows that are cut off later are detected as before.
    here.sql("DELETE FROM audit WHERE action = 'accept audit break'");
    assert_eq!(here.json(&["audit", "--verify"])["code"], "audit_broken");
    assert_eq!(here.json(&["audit", "--accept", "--yes"])["code"], "audit_broken", "and cannot be accepted");
}

#[test]
fn only_a_missing_end_can_be_accepted() {
    for (change, breaks) in [
        ("UPDATE audit SET actor = 'intruder' WHERE seq = 1", "row 1 "),
        ("DELETE FROM audit WHERE seq = 2", "row 2 "),
        ("DELETE FROM audit WHERE seq = 3", "row 3 "),
        ("UPDATE audit_head SET hash = 'x'", "row 4 "),
    ] {
        let here = workspace_with_restored_backup();
        here.sql(change);
        let (rows, head) = (here.ledger().audit().rows().unwrap().len(), head_record(&here));
        let error = here.json(&["audit", "--accept", "--yes"]);
        assert_eq!(error["code"], "audit_broken", "{change}: {error}");
        assert!(error["message"].as_str().unwrap().starts_with(breaks), "{change}: {error}");
        let accepted = |row: &storage::ledger::AuditRow| row.action == "accept audit break";
        assert!(!here.ledger().audit().rows().unwrap().iter().any(accepted), "{change}");
        assert_eq!(head_record(&here), head, "{change}");
        assert!(rows <= here.ledger().audit().rows().unwrap().len());
    }
}

/// After a kill between row and file, the row already accepts the old file.
#[test]
fn crash_after_the_row_is_completed_by_the_next_seal() {
    let here = workspace_with_restored_backup();
    let given_up = head_record(&here);
    here.ok(&["audit", "--accept", "--yes"]);
    fs::write(here.state().join(HEAD), &given_up).unwrap();
    assert_eq!(here.json(&["audit", "--verify"])["whole"], true);
    here.cli(&["rotate", "one"]).stderr("").succeed();
    assert_ne!(head_record(&here), given_up, "and it moves on");
    assert_eq!(here.json(&["audit", "--verify"])["whole"], true);
}

/// A restored database without its head record, or a disk that lost a file.
#[test]
fn missing_or_unreadable_head_record_can_be_accepted() {
    for broken in [None, Some("what")] {
        let here = workspace_with_restored_backup();
        match broken {
            None => fs::remove_file(here.state().join(HEAD)).unwrap(),
            Some(text) => fs::write(here.state().join(HEAD), text).unwrap(),
        }
        assert_eq!(here.json(&["audit", "--verify"])["code"], "audit_broken");
        let proof = here.json(&["audit", "--accept", "--yes"]);
        assert_eq!((&proof["whole"], &proof["accepted"][0]["head_row"]), (&json!(true), &Value::Null), "{proof}");
        here.ok(&["rotate", "one"]);
        assert_eq!(here.json(&["audit", "--verify"])["whole"], true);
    }
}

/// Forged rows cannot imitate an acceptance without rewriting the chain.
#[test]
fn forged_acceptance_breaks_the_chain() {
    let here = workspace_with_restored_backup();
    let head = head_record(&here);
    let fields: Vec<&str> = head.split_whitespace().collect();
    let detail = json!({ "head_row": fields[1].parse::<i64>().unwrap(), "head_hash": fields[2] });
    here.sql(&format!(
        "INSERT INTO audit SELECT seq + 1, at, door, actor, 'accept audit break', NULL, NULL, 'done', '{detail}', hash, workspace \
             FROM audit ORDER BY seq DESC LIMIT 1; UPDATE audit_head SET seq = seq + 1"
    ));
    let response = here.json(&["audit", "--verify"]);
    assert_eq!(response["message"], "row 4 of the audit was changed", "{response}");
}

#[cfg(unix)]
#[test]
fn accept_at_a_terminal_asks_first() {
    use crate::pseudo_terminal::Terminal;
    let here = workspace_with_restored_backup();
    for (keys, code, whole) in [("n\r", 3, false), ("\x03", 130, false), ("y\r", 0, true)] {
        let terminal = Terminal::start(&here.command(&["audit", "--accept"]), 120);
        terminal.until("If you restored a backup of ledger.db").until("[y/N] ").press(keys);
        let output = terminal.finish();
        assert_eq!(output.code, code, "{keys:?}: {}", output.screen);
        assert_eq!(here.run(&["audit", "--verify"]).code == 0, whole, "{keys:?}");
    }
}

/// Creates a workspace with a ledger that was restored to a backup of row 3.
fn workspace_with_restored_backup() -> Workspace {
    let here = Workspace::new();
    here.ok(&["provision", "one", "search"]);
    here.checkpoint();
    let backup = fs::read(here.state().join(LEDGER)).unwrap();
    here.ok(&["provision", "two", "supermemory"]);
    here.checkpoint();
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(here.state().join(format!("{LEDGER}{ending}")));
    }
    fs::write(here.state().join(LEDGER), backup).unwrap();
    here
}

/// Returns the content of the head record.
fn head_record(here: &Workspace) -> String {
    fs::read_to_string(here.state().join(HEAD)).unwrap()
}

const LEDGER: &str = "ledger.db";

const HEAD: &str = "audit.head";
