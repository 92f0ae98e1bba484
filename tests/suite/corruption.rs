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

/// Starting with a new ledger would lose what is billed, so that takes a human.
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
        // The copy of an interrupted migration does not block the next one.
        let copy = workspace.state().join(format!("ledger.v{version}.db"));
        fs::write(&copy, "half a copy").unwrap();

        assert_eq!(workspace.json(&["list"])["live_count"], 0, "version {version}");
        let backup = Connection::open(&copy).unwrap();
        assert_eq!(user_version(&backup), version);
        let text: String = backup.query_row("SELECT word FROM keepsake", [], |row| row.get(0)).unwrap();
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

fn check(doctor: &Value, name: &str) -> Value {
    let checks = doctor["checks"].as_array().unwrap_or_else(|| panic!("{doctor}"));
    checks.iter().find(|check| check["check"] == name).cloned().unwrap_or(json!(null))
}

fn user_version(connection: &Connection) -> usize {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    usize::try_from(version).unwrap()
}

const PAGE: usize = 4096;

const MIGRATIONS: [&str; 5] = [
    include_str!("../../src/ledger/schema_1.sql"),
    include_str!("../../src/ledger/schema_2.sql"),
    include_str!("../../src/ledger/schema_3.sql"),
    include_str!("../../src/ledger/schema_4.sql"),
    include_str!("../../src/ledger/schema_5.sql"),
];
