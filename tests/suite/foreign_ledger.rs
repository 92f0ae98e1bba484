//! A ledger is used only if it is a file of ours with the tables that this program makes.

use std::{
    fs::{self, File},
    os::unix::fs::{OpenOptionsExt as _, symlink},
    process::Command,
};

use rusqlite::Connection;
use rustix::fs::{Mode, mkfifoat};
use serde_json::{Value, json};

use crate::{
    raw_client::RawClient,
    workspace::{BackendKind, Workspace},
};

/// The triggers approve each request and shrink each cap in the eyes of the policy.
#[test]
fn ledger_with_triggers_buys_nothing() {
    let workspace = with_history();
    workspace.sql(
        "CREATE TRIGGER yes AFTER INSERT ON approvals BEGIN UPDATE approvals SET status = 'approved',
            decided_by = 'maria on pts/1', decided_at = created_at WHERE row = NEW.row; END;
         CREATE TRIGGER small AFTER INSERT ON projects BEGIN UPDATE projects SET cap_cents = 1 WHERE row = NEW.row; END;",
    );
    workspace.checkpoint();
    workspace.write("policy.toml", "[policy]\napproval = \"always\"\ntotal_cap_usd = 50\n");
    let mut command = workspace.command(&["serve"]);
    command.env("STRIPE_PROJECTS_POLICY", workspace.file("policy.toml"));
    let mut agent = RawClient::start(command);
    agent.initialize_as("agent");
    for number in 0..6 {
        let arguments = json!({ "name": format!("m{number}"), "provider": "supermemory", "spend_cap_usd": 25 });
        for _ in 0..2 {
            assert_eq!(agent.call("provision", &arguments)["code"], "ledger_foreign_schema");
        }
    }
    agent.disconnect();
    assert!(workspace.billed_resources().is_empty(), "bought: {:?}", workspace.billed_resources());
}

#[test]
fn ledger_with_another_schema_is_refused() {
    for (change, shown) in [
        ("CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM audit; END", "one trigger too many"),
        ("CREATE TRIGGER t BEFORE UPDATE ON projects BEGIN SELECT RAISE(IGNORE); END", "one trigger too many"),
        ("CREATE VIEW live AS SELECT * FROM projects", "one view too many"),
        ("ALTER TABLE projects RENAME TO p; CREATE VIEW projects AS SELECT * FROM p", "is not ours"),
        ("CREATE INDEX fast ON projects (status)", "one index too many"),
        ("CREATE UNIQUE INDEX one ON projects (1)", "one index too many"),
        ("DROP INDEX one_live_project_per_name", "`one_live_project_per_name` is missing"),
        ("ALTER TABLE projects ADD COLUMN note TEXT", "table `projects` is not ours"),
        ("ALTER TABLE approvals ADD COLUMN yes TEXT AS ('approved') VIRTUAL", "table `approvals` is not ours"),
        ("ALTER TABLE approvals RENAME COLUMN decided_by TO by", "table `approvals` is not ours"),
        ("CREATE TABLE more (word TEXT)", "one table too many"),
        ("CREATE VIRTUAL TABLE more USING fts5(word)", "too many"),
        ("CREATE TABLE more (n INTEGER PRIMARY KEY AUTOINCREMENT)", "one table too many"),
        ("DROP TABLE seal", "table `seal` is missing"),
        (
            "DROP TABLE seal; CREATE TABLE seal (one INTEGER PRIMARY KEY CHECK (one = 2), key TEXT NOT NULL) STRICT",
            "table `seal` is not ours",
        ),
        ("DROP TABLE notes; CREATE TABLE notes (backend TEXT, key TEXT, value TEXT)", "table `notes` is not ours"),
        ("PRAGMA user_version = 3", "is not ours"),
        ("PRAGMA user_version = 0", "too many"),
    ] {
        let workspace = with_history();
        workspace.sql(change);
        let unchanged = tables(&workspace);
        for arguments in [&["list"][..], &["provision", "m", "search"], &["approvals"], &["teardown", "one", "--yes"]] {
            let error = workspace.json(arguments);
            assert_eq!(error["code"], "ledger_foreign_schema", "{change}: {arguments:?}: {error}");
            assert!(error["message"].as_str().unwrap().contains(shown), "{change}: {error}");
            assert!(error["hint"].as_str().unwrap().contains("state folder"), "{error}");
        }
        assert_eq!(check(&workspace.json(&["doctor"]), "ledger")["state"], "problem", "{change}");
        assert_eq!(tables(&workspace), unchanged, "{change}: nothing was migrated");
    }
}

/// The attacker edits the stored text, which no statement could have made.
#[test]
fn ledger_with_an_edited_check_is_refused() {
    let workspace = with_history();
    let ledger = Connection::open(workspace.state().join("ledger.db")).unwrap();
    ledger.pragma_update(None, "writable_schema", true).unwrap();
    let edit = "UPDATE sqlite_master SET sql = replace(sql, 'cap_cents > 0', 'cap_cents >-9') WHERE name = 'projects'";
    assert_eq!(ledger.execute(edit, []).unwrap(), 1);
    drop(ledger);
    assert_eq!(workspace.json(&["list"])["code"], "ledger_foreign_schema");
}

#[test]
fn account_with_another_schema_is_refused() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "one", "search"]);
    let account = Connection::open(workspace.state().join("simulated.db")).unwrap();
    account.execute_batch("CREATE TRIGGER free BEFORE INSERT ON resources BEGIN SELECT 1; END").unwrap();
    let error = workspace.json(&["provision", "two", "search"]);
    assert_ne!(error["status"], "active", "{error}");
    account.execute_batch("DROP TRIGGER free").unwrap();
    assert_eq!(workspace.billed_resources().len(), 1);
}

/// Statistics decide how SQLite finds rows, and are its own.
#[test]
fn ledger_with_statistics_is_accepted() {
    let workspace = with_history();
    for number in 0..20 {
        workspace.ok(&["provision", &format!("n{number}"), "search"]);
    }
    workspace.sql("ANALYZE; PRAGMA optimize; VACUUM");
    workspace.ok(&["list"]);
    workspace.ok(&["teardown", "n1", "--yes"]);
    workspace.ok(&["audit", "--verify"]);
}

#[test]
fn ledger_that_is_no_file_of_ours_is_refused() {
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal"] {
        let workspace = with_history();
        workspace.checkpoint();
        let place = workspace.state().join(name);
        let outside = workspace.file("outside");
        let genuine = fs::read(workspace.state().join("ledger.db")).unwrap();
        let plants: [(&str, &dyn Fn()); 3] = [
            ("a symbolic link", &|| symlink(&outside, &place).unwrap()),
            ("a hard link", &|| fs::hard_link(&outside, &place).unwrap()),
            ("a pipe", &|| mkfifoat(rustix::fs::CWD, &place, Mode::RUSR | Mode::WUSR).unwrap()),
        ];
        for (kind, plant) in plants {
            let _ = fs::remove_file(&place);
            fs::write(&outside, &genuine).unwrap();
            plant();
            let _writer =
                (kind == "a pipe").then(|| File::options().read(true).write(true).custom_flags(0).open(&place));
            for arguments in [&["list"][..], &["provision", "m", "search"]] {
                let error = workspace.json(arguments);
                assert_eq!(error["code"], "ledger_foreign_file", "{kind} at {name}: {arguments:?}: {error}");
                assert!(error["message"].as_str().unwrap().contains(name), "{error}");
            }
            assert_eq!(fs::read(&outside).unwrap(), genuine, "{kind} at {name}: it was written to");
            fs::remove_file(&place).unwrap();
        }
        fs::write(workspace.state().join("ledger.db"), &genuine).unwrap();
        workspace.ok(&["list"]);
    }
}

#[test]
fn ledger_of_another_user_is_refused() {
    let workspace = with_history();
    let chown = Command::new("chown").arg("65534").arg(workspace.state().join("ledger.db")).status().unwrap();
    if !chown.success() {
        eprintln!("NOT CHECKED: only root can give a file away");
        return;
    }
    let error = workspace.json(&["list"]);
    assert_eq!(error["code"], "ledger_foreign_file", "{error}");
    assert!(error["message"].as_str().unwrap().contains("another user"), "{error}");
}

/// A ledger with a past: one project was provisioned and torn down.
fn with_history() -> Workspace {
    let workspace = Workspace::on(BackendKind::Simulated);
    workspace.ok(&["provision", "one", "search"]);
    workspace.ok(&["teardown", "one", "--yes"]);
    workspace
}

fn tables(workspace: &Workspace) -> Vec<Option<String>> {
    let ledger = Connection::open(workspace.state().join("ledger.db")).unwrap();
    let mut statement = ledger.prepare("SELECT sql FROM sqlite_master ORDER BY type, name").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn check(doctor: &Value, name: &str) -> Value {
    let checks = doctor["checks"].as_array().unwrap_or_else(|| panic!("{doctor}"));
    checks.iter().find(|check| check["check"] == name).cloned().unwrap_or(json!(null))
}
