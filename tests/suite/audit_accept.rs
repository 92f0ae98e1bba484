//! A backup that was restored: calls go on and say so, and a human can accept it, which stays in the audit.

use std::fs;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{lines::Lines, workspace::Workspace};

#[test]
fn a_restored_backup_is_said_and_stops_nothing() {
    let here = restored();
    let ran = here.ok(&["provision", "three", "llm"]);
    assert!(ran.stderr.starts_with("warning: row 6 of the audit is not the one"), "{ran:?}");
    assert!(ran.stderr.contains("run `stripe-projects-mcp audit --verify`"), "{ran:?}");
    let mut agent = Lines::greet(&here);
    for name in ["four", "five"] {
        assert_eq!(agent.call("provision", &json!({ "name": name, "provider": "search" }))["status"], "active");
    }
    let said = agent.leave().stderr;
    assert_eq!(said.matches("audit --verify").count(), 1, "a server says it once: {said}");
    assert!(
        here.json(&["audit", "--verify"])["hint"].as_str().unwrap().contains("`stripe-projects-mcp audit --accept`")
    );
    let report = here.json(&["doctor"]);
    let find = |check: &str| report["checks"].as_array().unwrap().iter().find(|found| found["check"] == check).unwrap();
    assert!(find("audit")["advice"].as_str().unwrap().contains("audit --accept"), "{report:#}");
    assert_eq!(find("drift")["state"], "problem", "what the backup does not know is billed all the same: {report:#}");
}

#[test]
fn a_human_accepts_it_and_the_audit_says_so_for_ever() {
    let here = restored();
    let given_up = here.read(HEAD);
    let unasked = here.run(&["audit", "--accept"]);
    assert_eq!(unasked.code, 3, "{unasked:?}");
    assert!(unasked.stderr.contains("somebody else did: then say no"), "{unasked:?}");
    assert_eq!(here.read(HEAD), given_up);

    let proof = here.json(&["audit", "--accept", "--yes"]);
    assert_eq!(proof["whole"], true, "{proof}");
    let accepted =
        here.ledger().audit().rows().unwrap().into_iter().find(|row| row.action == "accept audit break").unwrap();
    let detail: Value = serde_json::from_str(&accepted.detail).unwrap();
    let head = format!("v1 {} {}\n", detail["head_row"], detail["head_hash"].as_str().unwrap());
    assert_eq!(head, given_up, "what was given up is in the row as it stood");
    assert_eq!(proof["accepted"][0]["row"], accepted.seq);
    assert_eq!(proof["accepted"][0]["actor"], accepted.actor);

    for _ in 0..2 {
        let ran = here.ok(&["rotate", "one"]);
        assert_eq!(ran.stderr, "", "nothing more to say");
        let proof = here.json(&["audit", "--verify"]);
        assert_eq!((&proof["whole"], proof["accepted"].as_array().unwrap().len()), (&json!(true), 1), "{proof}");
    }
    let told = here.ok(&["audit", "--verify"]).stdout;
    assert!(told.contains(&format!("Accepted breaks: 1\n  row {}, on 20", accepted.seq)), "{told}");
    let checks = here.json(&["doctor"])["checks"].take();
    let audit = checks.as_array().unwrap().iter().find(|check| check["check"] == "audit").unwrap().clone();
    assert_eq!(audit["state"], "ok", "{audit}");
    assert!(audit["found"].as_str().unwrap().contains(&format!("accepted: row {}", accepted.seq)), "{audit}");
    let before = here.ledger().audit().rows().unwrap().len();
    assert_eq!(here.json(&["audit", "--accept", "--yes"])["whole"], true, "there is nothing more to accept");
    let accepts = |row: &&stripe_projects_mcp::ledger::AuditRow| row.action == "accept audit break";
    assert_eq!(here.ledger().audit().rows().unwrap()[before..].iter().filter(accepts).count(), 0);

    // What is cut off after it is found out as before.
    sql(&here, "DELETE FROM audit WHERE action = 'accept audit break'");
    assert_eq!(here.json(&["audit", "--verify"])["code"], "audit_broken");
    assert_eq!(here.json(&["audit", "--accept", "--yes"])["code"], "audit_broken", "and cannot be accepted");
}

#[test]
fn only_a_missing_end_can_be_accepted() {
    for (change, breaks) in [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 1", "row 1 "),
        ("DELETE FROM audit WHERE seq = 2", "row 2 "),
        ("DELETE FROM audit WHERE seq = 3", "row 3 "),
        ("UPDATE audit_head SET hash = 'x'", "row 4 "),
    ] {
        let here = restored();
        sql(&here, change);
        let (rows, head) = (here.ledger().audit().rows().unwrap().len(), here.read(HEAD));
        let refused = here.json(&["audit", "--accept", "--yes"]);
        assert_eq!(refused["code"], "audit_broken", "{change}: {refused}");
        assert!(refused["message"].as_str().unwrap().starts_with(breaks), "{change}: {refused}");
        let accepted = |row: &stripe_projects_mcp::ledger::AuditRow| row.action == "accept audit break";
        assert!(!here.ledger().audit().rows().unwrap().iter().any(accepted), "{change}");
        assert_eq!(here.read(HEAD), head, "{change}");
        assert!(rows <= here.ledger().audit().rows().unwrap().len());
    }
}

/// Killed between the row and the file: the row has given the file up, so nothing is wrong, and nothing is lost.
#[test]
fn a_crash_after_the_row_is_made_good_by_the_next_seal() {
    let here = restored();
    let given_up = here.read(HEAD);
    here.ok(&["audit", "--accept", "--yes"]);
    fs::write(here.file(HEAD), &given_up).unwrap();
    assert_eq!(here.json(&["audit", "--verify"])["whole"], true);
    assert_eq!(here.ok(&["rotate", "one"]).stderr, "");
    assert_ne!(here.read(HEAD), given_up, "and it moves on");
    assert_eq!(here.json(&["audit", "--verify"])["whole"], true);
}

/// A backup of the database alone, or a disk that lost a file.
#[test]
fn a_head_record_that_is_missing_or_unreadable_can_be_accepted_too() {
    for broken in [None, Some("what")] {
        let here = restored();
        match broken {
            None => fs::remove_file(here.file(HEAD)).unwrap(),
            Some(text) => fs::write(here.file(HEAD), text).unwrap(),
        }
        assert_eq!(here.json(&["audit", "--verify"])["code"], "audit_broken");
        let proof = here.json(&["audit", "--accept", "--yes"]);
        assert_eq!((&proof["whole"], &proof["accepted"][0]["head_row"]), (&json!(true), &Value::Null), "{proof}");
        here.ok(&["rotate", "one"]);
        assert_eq!(here.json(&["audit", "--verify"])["whole"], true);
    }
}

/// Forged rows cannot pretend to an acceptance without writing the chain anew.
#[test]
fn an_acceptance_that_is_put_in_by_hand_breaks_the_chain() {
    let here = restored();
    let head = here.read(HEAD);
    let words: Vec<&str> = head.split_whitespace().collect();
    let detail = json!({ "head_row": words[1].parse::<i64>().unwrap(), "head_hash": words[2] });
    sql(
        &here,
        &format!(
            "INSERT INTO audit SELECT seq + 1, at, door, actor, 'accept audit break', NULL, NULL, 'done', '{detail}', hash \
             FROM audit ORDER BY seq DESC LIMIT 1; UPDATE audit_head SET seq = seq + 1"
        ),
    );
    let said = here.json(&["audit", "--verify"]);
    assert_eq!(said["message"], "row 4 of the audit is not what was written", "{said}");
}

#[cfg(unix)]
#[test]
fn at_a_terminal_it_is_asked() {
    use crate::pseudo_terminal::Terminal;
    let here = restored();
    for (keys, code, whole) in [("n\r", 3, false), ("\x03", 130, false), ("y\r", 0, true)] {
        let terminal = Terminal::start(&here.command(&["audit", "--accept"]), 120);
        terminal.until("If you put a backup of ledger.db in its place").until("[y/N] ").press(keys);
        let left = terminal.left();
        assert_eq!(left.code, code, "{keys:?}: {}", left.screen);
        assert_eq!(here.run(&["audit", "--verify"]).code == 0, whole, "{keys:?}");
    }
}

/// A workspace whose ledger was put back to a backup of row 3; what was provisioned since is not in it.
fn restored() -> Workspace {
    let here = Workspace::new();
    here.ok(&["provision", "one", "search"]);
    checkpoint(&here);
    let backup = fs::read(here.file(LEDGER)).unwrap();
    here.ok(&["provision", "two", "supermemory"]);
    checkpoint(&here);
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(here.file(&format!("{LEDGER}{ending}")));
    }
    fs::write(here.file(LEDGER), backup).unwrap();
    here
}

/// Takes everything into the one file, as the last process that closes it does.
fn checkpoint(here: &Workspace) {
    let ledger = Connection::open(here.file(LEDGER)).unwrap();
    ledger.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn sql(here: &Workspace, change: &str) {
    Connection::open(here.file(LEDGER)).unwrap().execute_batch(change).unwrap();
}

const LEDGER: &str = ".stripe-projects/ledger.db";

const HEAD: &str = ".stripe-projects/audit.head";
