//! A process that stalls during an operation. Other work continues, and calls on the same project wait. After it
//! resumes, it succeeds or reports which half is missing.

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rusqlite::Connection;
use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Pid, Signal, WaitOptions, getuid, kill_process, waitpid},
};
use serde_json::{Value, json};
use stripe_projects_mcp::provisioner::Phase;

use crate::{
    crash::{ENDED, OPERATIONS, STOPS, has_step, prepare, victim_command},
    invariants::{USER_LINES, check, finish},
    power_loss::can_trace,
    raw_client::{RawClient, until},
    workspace::{BINARY, BackendKind, CommandOutput, Workspace},
};

#[test]
fn other_work_continues_while_one_process_stalls() {
    for operation in OPERATIONS {
        // A suspension disables the key before it locks the project.
        let holds_the_lock = |step: &Phase| operation != "suspend" || !matches!(step, Phase::Checked | Phase::Acted);
        for step in Phase::ALL.into_iter().filter(|step| has_step(operation, *step)).filter(holds_the_lock) {
            let case = format!("{operation} stopped at {step:?}");
            let workspace = prepare(BackendKind::Simulated, operation);
            let stalled = StalledProcess::at(&workspace, operation, step, None);
            // Another project is not affected, and a starting server leaves this one to its process.
            let server = RawClient::initialize(&workspace);
            workspace.ok(&["rotate", "bystander"]);
            assert_eq!(server.disconnect().code, 0, "{case}");

            let same = match operation {
                "suspend" | "teardown" => &["teardown", "victim", "--yes"][..],
                _ => &["rotate", "victim"],
            };
            let mut child = workspace.command(same).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            workspace.ok(&["rotate", "bystander"]);
            assert!(child.try_wait().unwrap().is_none(), "{case}: two processes worked on one project");
            assert_eq!(stalled.resume(), "ok", "{case}");
            let output = CommandOutput::from(child.wait_with_output().unwrap());
            assert_eq!(output.code, 0, "{case}: {output:?}");
            check(&workspace, &case);
        }
    }
}

#[test]
fn project_in_progress_is_no_doctor_problem() {
    let workspace = prepare(BackendKind::Simulated, "rotate");
    let stalled = StalledProcess::at(&workspace, "rotate", Phase::Intended, None);
    let output = workspace.ok(&["doctor"]);
    assert!(output.stdout.contains("in progress: victim"), "{output:?}");
    assert_eq!(stalled.resume(), "ok");
}

/// Takes as long as the lock timeout of a call, half a minute.
#[test]
#[ignore = "waits for half a minute: cargo test --test suite lock_timeout -- --ignored"]
fn project_lock_timeout_is_reported() {
    let workspace = prepare(BackendKind::Simulated, "rotate");
    let stalled = StalledProcess::at(&workspace, "rotate", Phase::Intended, None);
    let response = workspace.json(&["rotate", "victim"]);
    assert_eq!(response["code"], "project_busy", "{response}");
    assert_eq!(stalled.resume(), "ok");
    check(&workspace, "after a project lock timeout");
}

/// The same for a process that stalls during a write.
#[test]
#[ignore = "waits for half a minute and more: cargo test --test suite lock_timeout -- --ignored"]
fn ledger_lock_timeout_is_reported() {
    let workspace = prepare(BackendKind::Simulated, "rotate");
    let writer = Connection::open(workspace.state().join("ledger.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut command = workspace.command(&["rotate", "victim"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let error = lines.next().unwrap();
    assert!(error.contains("another process holds the database for too long"), "{error}");
    let hint = lines.next().unwrap();
    assert!(hint.contains("end the process that is stuck"), "{hint}");
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    workspace.ok(&["rotate", "victim"]);
    check(&workspace, "after a ledger lock timeout");
}

/// A reader of a ledger that is being created is waited for as well.
#[test]
fn reader_does_not_block_a_new_ledger() {
    let workspace = Workspace::new();
    workspace.write(".env", USER_LINES);
    workspace.create_state();
    let reader = Connection::open(workspace.state().join("ledger.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM sqlite_schema").unwrap();
    let mut command = workspace.command(&["provision", "victim", "supermemory"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("it to begin", || workspace.state().join("ledger.lock").exists().then_some(()));
    thread::sleep(Duration::from_millis(100)); // deliberate: without the wait it has failed by then
    assert!(child.try_wait().unwrap().is_none());
    reader.execute_batch("COMMIT").unwrap();
    let output = CommandOutput::from(child.wait_with_output().unwrap());
    assert_eq!(output.code, 0, "{output:?}");
    check(&workspace, "a ledger that was looked at");
}

/// An unsynced commit of a killed process must not appear later: other processes may have reported that it did not happen.
#[test]
fn half_synced_commit_is_reconciled_by_a_lookup() {
    if !can_trace() {
        return;
    }
    let workspace = prepare(BackendKind::Simulated, "rotate");
    let mut server = RawClient::initialize(&workspace);
    server.call("list_projects", &json!({})); // keeps the simulated account open from here on
    // The first flush of a new log is of its header, the second of the commit.
    let mut traced = Command::new("strace");
    workspace.prepare(&mut traced);
    traced.arg("-P").arg(workspace.state().join("simulated.db-wal")).args(["-f", "-qq", "-e", "trace=fsync"]);
    traced.args(["-e", "inject=fsync:signal=KILL:when=2", "-o", "/dev/null", BINARY, "rotate", "victim"]);
    assert!(!traced.current_dir(workspace.path()).output().unwrap().status.success());
    assert_eq!(workspace.ledger().projects().unsettled().unwrap().len(), 1, "it died before its order was synced");

    let response = server.call("provision", &json!({ "name": "victim", "provider": "supermemory" }));
    assert_eq!(response["code"], "already_exists", "settled, and shown: {response}");
    server.kill();
    check(&workspace, "a half-synced commit");
}

/// SQLite's locks belong to the process. Closing any descriptor of the file releases them all.
#[test]
fn each_database_file_is_opened_at_most_once() {
    if !can_trace() {
        return;
    }
    let workspace = prepare(BackendKind::Simulated, "rotate");
    for arguments in [&["rotate", "victim"][..], &["scan", "."], &["doctor"], &["audit", "--verify"]] {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut traced = Command::new("strace");
        workspace.prepare(&mut traced);
        traced.args(["-f", "-qq", "-e", "trace=openat", "-o"]).arg(log.path()).arg(BINARY).args(arguments);
        traced.current_dir(workspace.path()).output().unwrap();
        let log = fs::read_to_string(log.path()).unwrap();
        for file in ["ledger.db\"", "ledger.db-shm\"", "simulated.db\"", "simulated.db-shm\""] {
            let opened = log.lines().filter(|line| line.contains(file) && !line.contains(" = -1 ")).count();
            assert!(opened <= 1, "{arguments:?} opens {file} {opened} times: {log}");
        }
    }
}

/// Root may write anywhere, so root runs the process as another user.
#[test]
fn permission_loss_is_reported_and_recovered() {
    /// The state folder, seen from the workspace.
    const STATE: &str = "../home/.local/state/stripe-projects";
    for (operation, step, folder, ends) in [
        ("provision", Phase::Acted, "", "key_not_delivered"),
        ("rotate", Phase::Acted, "", "key_not_delivered"),
        ("suspend", Phase::Acted, "", "variable_not_removed"),
        ("resume", Phase::Acted, "", "key_not_delivered"),
        ("teardown", Phase::Acted, "", "variable_not_removed"),
        // Before anything is spent.
        ("provision", Phase::Locked, "", "env_file_not_writable"),
        ("rotate", Phase::Locked, "", "env_file_not_writable"),
        ("provision", Phase::Locked, STATE, "backend_unavailable"),
        ("rotate", Phase::Locked, STATE, "backend_unavailable"),
        // An open journal entry stays open.
        ("provision", Phase::Acted, STATE, "ok"),
        ("rotate", Phase::Acted, STATE, "ok"),
    ] {
        let case = format!("{operation}, {folder:?} not writable from {step:?} on");
        let workspace = prepare(BackendKind::Simulated, operation);
        let (billed, folder) = (workspace.billed_resources(), workspace.file(folder));
        let uid = getuid().is_root().then_some(UNPRIVILEGED);
        if let Some(uid) = uid {
            change_owner(&workspace, uid);
        }
        let stalled = StalledProcess::at(&workspace, operation, step, uid);
        fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap();
        assert_eq!(stalled.resume(), ends, "{case}");
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        if uid.is_some() {
            change_owner(&workspace, 0); // from here on, root works there again
        }
        change_owner(&workspace, getuid().as_raw()); // a state folder of another user is refused
        if step == Phase::Locked {
            assert_eq!(workspace.billed_resources(), billed, "{case}");
        }
        finish(&workspace, operation, &case);
        check(&workspace, &case);
    }
}

/// 64 KiB of unread responses block no effect, and none of them is lost.
#[test]
fn client_that_does_not_read_blocks_nothing() {
    let workspace = prepare(BackendKind::Simulated, "rotate");
    let mut command = workspace.command(&["serve"]);
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut write = |line: Value| writeln!(input, "{line}").unwrap();
    let call = |id: usize, tool: &str, arguments: Value| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } });
    let client = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "deaf", "version": "1" } });
    write(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client }));
    write(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    (1..=LIST_CALLS).for_each(|id| write(call(id, "list_projects", json!({}))));
    write(call(LIST_CALLS + 1, "provision", json!({ "name": "late", "provider": "search" })));
    write(call(LIST_CALLS + 2, "rotate_key", json!({ "name": "victim" })));
    until("the effect", || {
        let list = workspace.json(&["list"]);
        let is_done = |name: &str, version: u64| {
            list["projects"].as_array().unwrap().iter().any(|project| {
                project["name"] == name && project["status"] == "active" && project["key_version"] == version
            })
        };
        (is_done("late", 1) && is_done("victim", 2)).then_some(())
    });

    drop(input);
    let mut answers = String::new();
    server.stdout.take().unwrap().read_to_string(&mut answers).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(answers.len() > 2 * PIPE, "{} bytes fill no pipe", answers.len());
    let mut ids: Vec<u64> =
        answers.lines().filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..=LIST_CALLS as u64 + 2).collect::<Vec<_>>(), "every answer once");
    check(&workspace, "a client that did not read");
}

/// Many hosts never read a server's stderr.
#[test]
fn full_stderr_pipe_blocks_nothing() {
    let workspace = prepare(BackendKind::Simulated, "rotate");
    let mut killed = victim_command(&workspace, "rotate", Phase::Acted).env(STOPS, "yes").spawn().unwrap();
    wait_until_stopped(&killed);
    killed.kill().unwrap(); // so that the starting server prints something
    killed.wait().unwrap();

    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'.'; 512]).is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();

    let mut command = workspace.command(&["serve"]);
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(writer).spawn().unwrap();
    drop(command);
    let mut input = server.stdin.take().unwrap();
    let client = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "deaf", "version": "1" } });
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client })).unwrap();
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).unwrap();
    until("it is recovered", || workspace.ledger().projects().unsettled().unwrap().is_empty().then_some(()));
    let rotate = json!({ "name": "rotate_key", "arguments": { "name": "victim" } });
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": rotate })).unwrap();
    drop(input);
    until("its end", || server.try_wait().unwrap());
    let output = CommandOutput::from(server.wait_with_output().unwrap());
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(output.response(1)["result"]["structuredContent"]["status"], "active", "{output:?}");
    drop(reader);
    check(&workspace, "a full pipe behind stderr");
}

/// A process that has stopped itself.
pub struct StalledProcess(Child);

impl StalledProcess {
    pub fn at(workspace: &Workspace, operation: &str, step: Phase, uid: Option<u32>) -> Self {
        let mut command = victim_command(workspace, operation, step);
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        let child = command.env(STOPS, "yes").spawn().unwrap();
        wait_until_stopped(&child);
        Self(child)
    }

    /// Resumes the process and returns the error code of its outcome, or `ok`.
    pub fn resume(mut self) -> String {
        kill_process(pid(&self.0), Signal::CONT).unwrap();
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        let output = CommandOutput::from(self.0.wait_with_output().unwrap());
        let ended = output.stdout.split_once(ENDED).unwrap_or_else(|| panic!("{output:?}")).1;
        ended.lines().next().unwrap().to_owned()
    }
}

/// Waits until the process has stopped itself.
fn wait_until_stopped(child: &Child) {
    let status = waitpid(Some(pid(child)), WaitOptions::UNTRACED).unwrap().unwrap().1;
    assert!(status.stopped(), "{status:?}");
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Changes the owner of the workspace.
fn change_owner(workspace: &Workspace, uid: u32) {
    for path in workspace.files().iter().flat_map(|file| file.ancestors()) {
        if path.starts_with(workspace.root()) {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
    }
}

/// An unprivileged user id, on any system.
const UNPRIVILEGED: u32 = 65_534;

/// More than fill a pipe, and fewer than a server accepts concurrently.
const LIST_CALLS: usize = 60;

/// The capacity of a pipe, in bytes.
const PIPE: usize = 64 * 1024;
