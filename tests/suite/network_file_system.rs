//! A state folder on a file system that hosts share, or where SQLite cannot share memory. `strace` plays both.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use rusqlite::Connection;
use serde_json::Value;

use crate::{
    invariants::{USER_LINES, check},
    power_loss::can_trace,
    workspace::{BINARY, CommandOutput, Workspace},
};

#[test]
fn network_file_systems_get_a_rollback_journal() {
    if !can_trace() {
        return;
    }
    for (name, magic) in [("nfs", "6969000000000000"), ("9p", "9719020100000000"), ("fuse", "4655736500000000")] {
        works_through(&[format!("inject=statfs,fstatfs:poke_exit=@arg2={magic}")], name);
    }
}

/// As below `/mnt/c` in WSL 2, whose kind of file system a container may hide.
#[test]
fn missing_shared_memory_gets_a_rollback_journal() {
    if can_trace() {
        works_through(&["inject=ftruncate:error=EINVAL".to_owned()], "no shared memory");
    }
}

/// Another process of this host, on a disk without shared memory, continues what the first began.
#[test]
fn full_disk_does_not_change_the_journal_mode() {
    if !can_trace() {
        return;
    }
    let workspace = Workspace::new();
    workspace.ok(&["provision", "first", "search"]);
    let output = traced(&workspace, &["inject=ftruncate,pwrite64:error=ENOSPC".to_owned()], &["list"]);
    assert_ne!(output.code, 0, "{output:?}");
    assert!(!lease(&workspace).exists(), "a full disk is no file system without shared memory");
    assert_eq!(journal_mode(&workspace), "wal");
    workspace.ok(&["list"]);
}

#[test]
fn ledger_in_use_on_another_host_names_that_host() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "first", "search"]);
    fs::write(lease(&workspace), "build-server-7 0b5e7c1e-5d2f-4f43-9a0e-1c1de35ad111 4711\n").unwrap();
    for arguments in [&["list"][..], &["rotate", "first"], &["teardown", "first", "--yes"]] {
        let error = workspace.json(arguments);
        assert_eq!(error["code"], "ledger_on_another_host", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("build-server-7") && message.contains("4711"), "{error}");
    }
    let file = fs::File::options().write(true).open(lease(&workspace)).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(600)).unwrap();
    workspace.ok(&["rotate", "first"]);
    assert_eq!(fs::read_to_string(lease(&workspace)).unwrap(), "", "released at the end");
}

fn works_through(injected: &[String], case: &str) {
    let workspace = Workspace::new();
    workspace.write(".env", USER_LINES);
    for arguments in [
        &["provision", "victim", "supermemory"][..],
        &["list"],
        &["rotate", "victim"],
        &["suspend", "victim"],
        &["resume", "victim"],
        &["audit", "--verify"],
    ] {
        let output = traced(&workspace, injected, arguments);
        assert_eq!(output.code, 0, "{case}: {arguments:?}: {output:?}");
        assert!(lease(&workspace).exists(), "{case}: {arguments:?}");
        assert_eq!(fs::read_to_string(lease(&workspace)).unwrap(), "", "{case}: released at the end");
    }
    assert_eq!(journal_mode(&workspace), "delete", "{case}: what a connection without a choice sees");
    // Without the injection, the folder keeps its mode, and the history is whole.
    check(&workspace, case);
    workspace.ok(&["teardown", "victim", "--yes"]);
}

fn traced(workspace: &Workspace, injected: &[String], arguments: &[&str]) -> CommandOutput {
    let mut command = Command::new("strace");
    workspace.prepare(&mut command);
    // Only SQLite's shared memory lacks something; other files can be resized.
    for name in ["ledger.db-shm", "ledger.probe-shm"] {
        command.arg("-P").arg(workspace.state().join(name));
    }
    command.arg("-P").arg(workspace.state());
    command.args(["-f", "-qq", "-e", "trace=statfs,fstatfs,ftruncate,pwrite64", "-o", "/dev/null"]);
    command.args(injected.iter().flat_map(|inject| ["-e", inject]));
    command.arg(BINARY).args(arguments).current_dir(workspace.path()).stdin(Stdio::null());
    CommandOutput::from(command.output().unwrap())
}

fn lease(workspace: &Workspace) -> PathBuf {
    workspace.state().join("ledger.host")
}

fn journal_mode(workspace: &Workspace) -> String {
    let ledger = Connection::open(workspace.state().join("ledger.db")).unwrap();
    let mode: String = ledger.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    let whole: Value =
        Value::from(ledger.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).unwrap());
    assert_eq!(whole, "ok");
    mode
}
