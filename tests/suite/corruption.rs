//! A damaged ledger is refused with a fix, an old one migrated. A ledger of a newer version stays unchanged.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{raw_client::RawClient, workspace::Workspace};

#[test]
fn damaged_ledger_is_refused_with_a_fix_and_unchanged() {
    let workspace = Workspace::new();
    for name in ["a", "b", "c", "d"] {
        workspace.ok(&["provision", name, "search"]);
    }
    let ledger = workspace.state().join("ledger.db");
    workspace.checkpoint();
    let (whole, env_file, billed) = (fs::read(&ledger).unwrap(), workspace.read(".env"), workspace.billed_resources());
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
            let error = workspace.json(arguments);
            assert_eq!(error["code"], "ledger_damaged", "{what}: {arguments:?}: {error}");
            assert!(error["hint"].as_str().unwrap().contains("backup of ledger.db"), "{error}");
        }
        let doctor = workspace.json(&["doctor"]);
        let ledger_check = check(&doctor, "ledger");
        assert_eq!(ledger_check["state"], "problem", "{what}: {doctor}");
        assert!(ledger_check.to_string().contains("backup of ledger.db"), "{what}: {doctor}");
        assert_eq!(fs::read(&ledger).unwrap(), bytes, "{what}: it was written to");
        assert_eq!(
            (workspace.read(".env"), workspace.billed_resources()),
            (env_file.clone(), billed.clone()),
            "{what}"
        );
    }
    // The fix that the hint names.
    fs::write(&ledger, &whole).unwrap();
    assert_eq!(workspace.json(&["list"])["live_count"], 4);
    workspace.ok(&["audit", "--verify"]);
}

/// A new ledger would hide billed projects, so only a person may start one.
#[test]
fn missing_ledger_is_not_replaced_by_a_new_one() {
    for emptied in [true, false] {
        let workspace = Workspace::new();
        workspace.ok(&["provision", "web", "search"]);
        let ledger = workspace.state().join("ledger.db");
        workspace.checkpoint();
        if emptied {
            fs::write(&ledger, "").unwrap();
        } else {
            fs::remove_file(&ledger).unwrap();
        }
        for arguments in [&["list"][..], &["provision", "llm", "llm"], &["teardown", "web", "--yes"], &["reap"]] {
            let error = workspace.json(arguments);
            assert_eq!(error["code"], "ledger_gone", "{arguments:?}: {error}");
            assert!(error["hint"].as_str().unwrap().contains("audit --accept"), "{error}");
        }
        let mut agent = RawClient::initialize(&workspace);
        assert_eq!(agent.call("list_projects", &json!({}))["code"], "ledger_gone");
        agent.disconnect();
        assert_eq!(check(&workspace.json(&["doctor"]), "ledger")["state"], "problem");
        assert_eq!((ledger.exists(), workspace.billed_resources().len()), (emptied, 1), "no new ledger was created");

        workspace.ok(&["audit", "--accept", "--yes"]);
        let verified = workspace.ok(&["audit", "--verify"]).stdout;
        assert!(verified.contains("Accepted breaks: 1"), "{verified}");
        assert_eq!(workspace.json(&["list"])["live_count"], 0);
        let doctor = workspace.json(&["doctor"]).to_string();
        assert!(doctor.contains("not listed here"), "billed but unlisted resources are reported: {doctor}");
    }
}

/// Before a migration, SQLite copies the ledger, including its write-ahead log.
#[test]
fn migration_keeps_existing_data() {
    for version in 1..MIGRATIONS.len() {
        let workspace = Workspace::new();
        workspace.create_state();
        let ledger = workspace.state().join("ledger.db");
        let old = Connection::open(&ledger).unwrap();
        old.pragma_update(None, "journal_mode", "WAL").unwrap();
        for migration in &MIGRATIONS[..version] {
            old.execute_batch(migration).unwrap();
        }
        old.pragma_update(None, "user_version", version.to_string()).unwrap();
        let row = "INSERT INTO projects (id, name, provider, service, backend, status, cap_cents, key_version, env_file, \
            created_at, updated_at) VALUES ('proj_old', 'kept', 'search', 'exa/api', 'simulated', 'failed', 1, 0, '', 0, 0)";
        old.execute(row, []).unwrap();
        // The copy of an interrupted migration does not block the next one.
        let copy = workspace.state().join(format!("ledger.v{version}.db"));
        fs::write(&copy, "half a copy").unwrap();

        assert_eq!(workspace.json(&["list"])["live_count"], 0, "version {version}");
        let backup = Connection::open(&copy).unwrap();
        assert_eq!(user_version(&backup), version);
        let text: String = backup.query_row("SELECT name FROM projects", [], |row| row.get(0)).unwrap();
        assert_eq!(text, "kept", "the copy includes the write-ahead log");
        let mode = fs::metadata(&copy).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "version {version}");
        assert_eq!(user_version(&old), MIGRATIONS.len());
        workspace.ok(&["provision", "web", "search"]);
        drop(backup);
        let count = workspace.files().into_iter().filter(|file| file.to_string_lossy().contains("ledger.v")).count();
        assert_eq!(count, 1, "one is enough");
    }
}

/// The columns of version 6, for rows that were written before it.
#[test]
fn a_migration_fills_the_columns_of_old_rows() {
    let workspace = Workspace::new();
    workspace.create_state();
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

    assert_eq!(workspace.json(&["list"])["live_count"], 0, "they belong to no workspace");
    let migrated = Connection::open(&ledger).unwrap();
    let strings = |sql: &str| -> Vec<String> {
        migrated.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let projects = strings(
        "SELECT name || ' ' || money || ' ' || kind || ' ' || workspace || ' ' || service_provider FROM projects ORDER BY row",
    );
    assert_eq!(projects, ["one simulated project - exa", "two real project - exa", "three real project - exa"]);
    assert_eq!(strings("SELECT op FROM journal ORDER BY entry"), ["entry-1", "entry-2", "entry-3"]);
    assert!(strings("SELECT id FROM approvals").is_empty(), "requests with ids of four characters are dropped");
    assert_eq!(workspace.ledger().projects().committed_with("stripe-cli", "exa").unwrap().cents(), 500);
    let copy = Connection::open(workspace.state().join("ledger.v5.db")).unwrap();
    assert_eq!(user_version(&copy), 5, "the copy is of before");
}

fn check(doctor: &Value, name: &str) -> Value {
    let checks = doctor["checks"].as_array().unwrap_or_else(|| panic!("{doctor}"));
    checks.iter().find(|check| check["check"] == name).cloned().unwrap_or(json!(null))
}

fn user_version(connection: &Connection) -> usize {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    usize::try_from(version).unwrap()
}

const PAGE: usize = 4096;

const MIGRATIONS: [&str; 11] = [
    include_str!("../../crates/storage/src/ledger/schema_1.sql"),
    include_str!("../../crates/storage/src/ledger/schema_2.sql"),
    include_str!("../../crates/storage/src/ledger/schema_3.sql"),
    include_str!("../../crates/storage/src/ledger/schema_4.sql"),
    include_str!("../../crates/storage/src/ledger/schema_5.sql"),
    include_str!("../../crates/storage/src/ledger/schema_6.sql"),
    include_str!("../../crates/storage/src/ledger/schema_7.sql"),
    include_str!("../../crates/storage/src/ledger/schema_8.sql"),
    include_str!("../../crates/storage/src/ledger/schema_9.sql"),
    include_str!("../../crates/storage/src/ledger/schema_10.sql"),
    include_str!("../../crates/storage/src/ledger/schema_11.sql"),
];
