//! A ledger that is damaged, old, or newer than we are: refused with a way out, or brought up to date with a copy kept.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{lines::Lines, workspace::Workspace};

#[test]
fn a_damaged_ledger_is_refused_with_a_way_out_and_left_as_it_is() {
    let workspace = Workspace::new();
    for name in ["a", "b", "c", "d"] {
        workspace.ok(&["provision", name, "search"]);
    }
    let ledger = workspace.state().join("ledger.db");
    settle(&ledger);
    let (whole, env_file, billed) = (fs::read(&ledger).unwrap(), workspace.read(".env"), workspace.billed());
    let pages = whole.len() / PAGE;
    let hurt = |from: usize, to: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[from * PAGE..to * PAGE].fill(byte);
        bytes
    };
    for (what, bytes) in [
        ("a first page of noise", hurt(0, 1, 0x5a)),
        ("a middle of zeros", hurt(1, pages - 1, 0)),
        ("a middle of noise", hurt(1, pages - 1, 0xa5)),
        ("cut off in the middle", whole[..whole.len() / 2].to_vec()),
        ("cut off in a page", whole[..PAGE + 100].to_vec()),
        ("another file", b"not a database at all, and long enough to be looked at".repeat(100)),
    ] {
        fs::write(&ledger, &bytes).unwrap();
        for arguments in [&["list"][..], &["provision", "e", "llm"], &["rotate", "a"], &["teardown", "a", "--yes"]] {
            let refused = workspace.json(arguments);
            assert_eq!(refused["code"], "ledger_damaged", "{what}: {arguments:?}: {refused}");
            assert!(refused["hint"].as_str().unwrap().contains("backup of ledger.db"), "{refused}");
        }
        let doctor = workspace.json(&["doctor"]);
        let ledger_check = check(&doctor, "ledger");
        assert_eq!(ledger_check["state"], "problem", "{what}: {doctor}");
        assert!(ledger_check.to_string().contains("backup of ledger.db"), "{what}: {doctor}");
        assert_eq!(fs::read(&ledger).unwrap(), bytes, "{what}: it was written to");
        assert_eq!((workspace.read(".env"), workspace.billed()), (env_file.clone(), billed.clone()), "{what}");
    }
    // The way out.
    fs::write(&ledger, &whole).unwrap();
    assert_eq!(workspace.json(&["list"])["live_count"], 4);
    workspace.ok(&["audit", "--verify"]);
}

/// To begin anew would be to forget what is billed, so that takes a human.
#[test]
fn a_ledger_that_is_gone_is_no_new_beginning() {
    for emptied in [true, false] {
        let workspace = Workspace::new();
        workspace.ok(&["provision", "web", "search"]);
        let ledger = workspace.state().join("ledger.db");
        settle(&ledger);
        if emptied {
            fs::write(&ledger, "").unwrap();
        } else {
            fs::remove_file(&ledger).unwrap();
        }
        for arguments in [&["list"][..], &["provision", "llm", "llm"], &["teardown", "web", "--yes"], &["reap"]] {
            let refused = workspace.json(arguments);
            assert_eq!(refused["code"], "ledger_gone", "{arguments:?}: {refused}");
            assert!(refused["hint"].as_str().unwrap().contains("audit --accept"), "{refused}");
        }
        let mut agent = Lines::greet(&workspace);
        assert_eq!(agent.call("list_projects", &json!({}))["code"], "ledger_gone");
        agent.leave();
        assert_eq!(check(&workspace.json(&["doctor"]), "ledger")["state"], "problem");
        assert_eq!((ledger.exists(), workspace.billed().len()), (emptied, 1), "nothing was made in its place");

        workspace.ok(&["audit", "--accept", "--yes"]);
        let verified = workspace.ok(&["audit", "--verify"]).stdout;
        assert!(verified.contains("Accepted breaks: 1"), "{verified}");
        assert_eq!(workspace.json(&["list"])["live_count"], 0);
        let doctor = workspace.json(&["doctor"]).to_string();
        assert!(doctor.contains("what is not listed here"), "what is billed and not listed is said: {doctor}");
    }
}

/// Before its tables change, a ledger is copied by SQLite itself, with what is still in its log.
#[test]
fn a_migration_keeps_what_was_there() {
    for version in 1..MIGRATIONS.len() {
        let workspace = Workspace::new();
        fs::create_dir(workspace.state()).unwrap();
        let ledger = workspace.state().join("ledger.db");
        let old = Connection::open(&ledger).unwrap();
        old.pragma_update(None, "journal_mode", "WAL").unwrap();
        for migration in &MIGRATIONS[..version] {
            old.execute_batch(migration).unwrap();
        }
        old.pragma_update(None, "user_version", version.to_string()).unwrap();
        old.execute("CREATE TABLE keepsake (word TEXT)", []).unwrap();
        old.execute("INSERT INTO keepsake VALUES ('kept')", []).unwrap();
        // The copy of a migration that was cut off is no obstacle.
        let copy = workspace.state().join(format!("ledger.v{version}.db"));
        fs::write(&copy, "half a copy").unwrap();

        assert_eq!(workspace.json(&["list"])["live_count"], 0, "version {version}");
        let kept = Connection::open(&copy).unwrap();
        assert_eq!(user_version(&kept), version);
        let word: String = kept.query_row("SELECT word FROM keepsake", [], |row| row.get(0)).unwrap();
        assert_eq!(word, "kept", "what is in the log is in the copy");
        let mode = fs::metadata(&copy).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "version {version}");
        assert_eq!(user_version(&old), MIGRATIONS.len());
        workspace.ok(&["provision", "web", "search"]);
        drop(kept);
        let copies = workspace.files().into_iter().filter(|file| file.to_string_lossy().contains("ledger.v")).count();
        assert_eq!(copies, 1, "one is enough");
    }
}

/// The columns of version 6, for rows that were written before it.
#[test]
fn a_migration_fills_the_columns_of_old_rows() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.state()).unwrap();
    let ledger = workspace.state().join("ledger.db");
    let old = Connection::open(&ledger).unwrap();
    for migration in &MIGRATIONS[..5] {
        old.execute_batch(migration).unwrap();
    }
    old.pragma_update(None, "user_version", 5).unwrap();
    let columns =
        "(id, name, provider, service, backend, status, cap_cents, key_version, env_file, created_at, updated_at)";
    for (name, backend) in [("one", "simulated"), ("two", "stripe-api"), ("three", "stripe-cli")] {
        let values = "VALUES ('proj_' || ?1, ?1, 'search', 'exa/api', ?2, 'active', 500, 1, '/x/.env', 1, 1)";
        old.execute(&format!("INSERT INTO projects {columns} {values}"), [name, backend]).unwrap();
        let entry = "INSERT INTO journal (project, operation, was_status, was_version, opened_at, outcome) \
            VALUES (?1, 'provision', 'provisioning', 0, 1, 'done')";
        old.execute(entry, [old.last_insert_rowid()]).unwrap();
    }
    let approval = "INSERT INTO approvals (id, name, provider, service, cap_cents, terms, asked_by, created_at, expires_at, \
        status) VALUES ('apr', 'x', 'search', 'exa/api', 1, '', '', 1, 1, 'pending')";
    old.execute(approval, []).unwrap();
    drop(old);

    assert_eq!(workspace.json(&["list"])["live_count"], 3);
    let migrated = Connection::open(&ledger).unwrap();
    let strings = |sql: &str| -> Vec<String> {
        migrated.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let projects = strings(
        "SELECT name || ' ' || money || ' ' || kind || ' ' || workspace || ' ' || service_provider FROM projects ORDER BY row",
    );
    assert_eq!(projects, ["one simulated project - exa", "two real project - exa", "three real project - exa"]);
    assert_eq!(strings("SELECT op FROM journal ORDER BY entry"), ["entry-1", "entry-2", "entry-3"]);
    assert_eq!(strings("SELECT workspace FROM approvals"), ["-"]);
    assert_eq!(workspace.ledger().projects().committed_with("stripe-cli", "exa").unwrap().cents(), 500);
    let copy = Connection::open(workspace.state().join("ledger.v5.db")).unwrap();
    assert_eq!(user_version(&copy), 5, "the copy is of before");
}

fn check(doctor: &Value, name: &str) -> Value {
    let checks = doctor["checks"].as_array().unwrap_or_else(|| panic!("{doctor}"));
    checks.iter().find(|check| check["check"] == name).cloned().unwrap_or(json!(null))
}

/// Everything in the file itself, and nothing in its log.
fn settle(ledger: &Path) {
    let connection = Connection::open(ledger).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn user_version(connection: &Connection) -> usize {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    usize::try_from(version).unwrap()
}

const PAGE: usize = 4096;

const MIGRATIONS: [&str; 6] = [
    include_str!("../../src/ledger/schema_1.sql"),
    include_str!("../../src/ledger/schema_2.sql"),
    include_str!("../../src/ledger/schema_3.sql"),
    include_str!("../../src/ledger/schema_4.sql"),
    include_str!("../../src/ledger/schema_5.sql"),
    include_str!("../../src/ledger/schema_6.sql"),
];
