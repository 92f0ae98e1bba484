//! A process that stands still in the middle of something, and what changes meanwhile: others go on, who wants the same
//! waits, and when it goes on it either ends well or says which half is missing.

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
    crash::{ENDED, OPERATIONS, STOPS, has_step, prepared, victim_of},
    lines::{Lines, until},
    power::can_trace,
    promises::{MINE, check, finish},
    workspace::{BINARY, Kind, Ran, Workspace},
};

#[test]
fn others_work_while_one_stands_still_at_any_step() {
    for operation in OPERATIONS {
        for step in Phase::ALL.into_iter().filter(|step| has_step(operation, *step)) {
            let case = format!("{operation} stopped at {step:?}");
            let workspace = prepared(Kind::Simulated, operation);
            let stopped = Stopped::at(&workspace, operation, step, None);
            // Another project is nobody's business, and a server that starts leaves this one to its process.
            let server = Lines::greet(&workspace);
            workspace.ok(&["rotate", "bystander"]);
            assert_eq!(server.leave().code, 0, "{case}");

            let same = match operation {
                "suspend" | "teardown" => &["teardown", "victim", "--yes"][..],
                _ => &["rotate", "victim"],
            };
            let mut waits = workspace.command(same).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            workspace.ok(&["rotate", "bystander"]);
            assert!(waits.try_wait().unwrap().is_none(), "{case}: two were at work on one project");
            assert_eq!(stopped.goes_on(), "ok", "{case}");
            let ran = Ran::from(waits.wait_with_output().unwrap());
            assert_eq!(ran.code, 0, "{case}: {ran:?}");
            check(&workspace, &case);
        }
    }
}

#[test]
fn what_somebody_is_at_work_on_is_no_problem_of_the_doctors() {
    let workspace = prepared(Kind::Simulated, "rotate");
    let stopped = Stopped::at(&workspace, "rotate", Phase::Intended, None);
    let ran = workspace.ok(&["doctor"]);
    assert!(ran.stdout.contains("being worked on right now: victim"), "{ran:?}");
    assert_eq!(stopped.goes_on(), "ok");
}

/// Takes as long as a call's timeout, half a minute, and does nothing meanwhile.
#[test]
#[ignore = "waits for half a minute: cargo test --test suite who_waits -- --ignored"]
fn who_waits_for_too_long_is_told_so() {
    let workspace = prepared(Kind::Simulated, "rotate");
    let stopped = Stopped::at(&workspace, "rotate", Phase::Intended, None);
    let told = workspace.json(&["rotate", "victim"]);
    assert_eq!(told["code"], "project_busy", "{told}");
    assert_eq!(stopped.goes_on(), "ok");
    check(&workspace, "somebody gave up waiting");
}

/// The same of one that stands still in the middle of a write.
#[test]
#[ignore = "waits for half a minute and more: cargo test --test suite who_waits -- --ignored"]
fn who_waits_for_the_ledger_for_too_long_is_told_so() {
    let workspace = prepared(Kind::Simulated, "rotate");
    let stuck = Connection::open(workspace.state().join("ledger.db")).unwrap();
    stuck.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut command = workspace.command(&["rotate", "victim"]);
    let mut waits = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(waits.stderr.take().unwrap()).lines().map_while(Result::ok);
    let error = said.next().unwrap();
    assert!(error.contains("another process holds the database for too long"), "{error}");
    let hint = said.next().unwrap();
    assert!(hint.contains("end the process that is stuck"), "{hint}");
    stuck.execute_batch("ROLLBACK").unwrap();
    assert_eq!(waits.wait().unwrap().code(), Some(1));
    workspace.ok(&["rotate", "victim"]);
    check(&workspace, "somebody gave up waiting for the ledger");
}

/// Whoever only looks at a ledger that is just being made is waited for as well.
#[test]
fn a_look_is_no_obstacle_to_a_new_ledger() {
    let workspace = Workspace::new();
    workspace.write(".env", MINE);
    fs::create_dir(workspace.state()).unwrap();
    let looks = Connection::open(workspace.state().join("ledger.db")).unwrap();
    looks.execute_batch("BEGIN; SELECT * FROM sqlite_schema").unwrap();
    let mut command = workspace.command(&["provision", "victim", "supermemory"]);
    let mut waits = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("it to begin", || workspace.state().join("ledger.lock").exists().then_some(()));
    thread::sleep(Duration::from_millis(100)); // not for luck: without the wait it has failed by then
    assert!(waits.try_wait().unwrap().is_none());
    looks.execute_batch("COMMIT").unwrap();
    let ran = Ran::from(waits.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    check(&workspace, "a ledger that was looked at");
}

/// A commit that its process did not live to see must not come true after others have been told that it had not.
#[test]
fn what_a_dying_process_left_in_the_log_of_the_world_is_settled_by_looking() {
    if !can_trace() {
        return;
    }
    let workspace = prepared(Kind::Simulated, "rotate");
    let mut living = Lines::greet(&workspace);
    living.call("list_projects", &json!({})); // has the world open from here on
    // The first flush of a new log is of its head, the second of the commit.
    let mut dying = Command::new("strace");
    workspace.prepare(&mut dying);
    dying.arg("-P").arg(workspace.state().join("simulated.db-wal")).args(["-f", "-qq", "-e", "trace=fsync"]);
    dying.args(["-e", "inject=fsync:signal=KILL:when=2", "-o", "/dev/null", BINARY, "rotate", "victim"]);
    assert!(!dying.current_dir(workspace.path()).output().unwrap().status.success());
    assert_eq!(workspace.ledger().projects().unsettled().unwrap().len(), 1, "it died with its order on the way");

    let told = living.call("provision", &json!({ "name": "victim", "provider": "supermemory" }));
    assert_eq!(told["code"], "already_exists", "settled, and shown: {told}");
    living.kill();
    check(&workspace, "a commit from the dead");
}

/// SQLite's locks are the process's, and closing any descriptor of the file lets go of them all.
#[test]
fn no_database_is_closed_beside_its_connection() {
    if !can_trace() {
        return;
    }
    let workspace = prepared(Kind::Simulated, "rotate");
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

/// Whoever runs the tests as root is somebody else in the process, for root may write anywhere.
#[test]
fn permission_lost_half_way_is_said_and_made_good() {
    for (operation, step, folder, ends) in [
        ("provision", Phase::Acted, "", "key_not_delivered"),
        ("rotate", Phase::Acted, "", "key_not_delivered"),
        ("suspend", Phase::Acted, "", "variable_not_removed"),
        ("resume", Phase::Acted, "", "key_not_delivered"),
        ("teardown", Phase::Acted, "", "variable_not_removed"),
        // Before anything is spent.
        ("provision", Phase::Locked, "", "env_file_not_writable"),
        ("rotate", Phase::Locked, "", "env_file_not_writable"),
        ("provision", Phase::Locked, ".stripe-projects", "ledger_unavailable"),
        ("rotate", Phase::Locked, ".stripe-projects", "ledger_unavailable"),
        // What is open stays open.
        ("provision", Phase::Acted, ".stripe-projects", "ok"),
        ("rotate", Phase::Acted, ".stripe-projects", "ok"),
    ] {
        let case = format!("{operation}, {folder:?} not writable from {step:?} on");
        let workspace = prepared(Kind::Simulated, operation);
        let (spent, folder) = (workspace.billed(), workspace.file(folder));
        let nobody = getuid().is_root().then_some(NOBODY);
        if let Some(nobody) = nobody {
            give(&workspace, nobody);
        }
        let stopped = Stopped::at(&workspace, operation, step, nobody);
        fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap();
        assert_eq!(stopped.goes_on(), ends, "{case}");
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        if step == Phase::Locked {
            assert_eq!(workspace.billed(), spent, "{case}");
        }
        finish(&workspace, operation, &case);
        check(&workspace, &case);
    }
}

/// 64 KiB of answers that nobody reads hold up no effect, and none of them is lost.
#[test]
fn a_client_that_does_not_read_holds_up_nothing() {
    let workspace = prepared(Kind::Simulated, "rotate");
    let mut command = workspace.command(&["serve"]);
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut say = |line: Value| writeln!(input, "{line}").unwrap();
    let call = |id: usize, tool: &str, arguments: Value| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } });
    let client = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "deaf", "version": "1" } });
    say(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client }));
    say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    (1..=LOOKS).for_each(|id| say(call(id, "list_projects", json!({}))));
    say(call(LOOKS + 1, "provision", json!({ "name": "late", "provider": "search" })));
    say(call(LOOKS + 2, "rotate_key", json!({ "name": "victim" })));
    until("the effect", || {
        let list = workspace.json(&["list"]);
        let done = |name: &str, version: u64| {
            list["projects"].as_array().unwrap().iter().any(|project| {
                project["name"] == name && project["status"] == "active" && project["key_version"] == version
            })
        };
        (done("late", 1) && done("victim", 2)).then_some(())
    });

    drop(input);
    let mut answers = String::new();
    server.stdout.take().unwrap().read_to_string(&mut answers).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(answers.len() > 2 * PIPE, "{} bytes fill no pipe", answers.len());
    let mut ids: Vec<u64> =
        answers.lines().filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..=LOOKS as u64 + 2).collect::<Vec<_>>(), "every answer once");
    check(&workspace, "a client that did not read");
}

/// Hosts that never read what a server says on stderr are common.
#[test]
fn a_full_pipe_behind_stderr_holds_up_nothing() {
    let workspace = prepared(Kind::Simulated, "rotate");
    let mut killed = victim_of(&workspace, "rotate", Phase::Acted).env(STOPS, "yes").spawn().unwrap();
    stopped(&killed);
    killed.kill().unwrap(); // so that the server that starts has something to say
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
    let ran = Ran::from(server.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.answer(1)["result"]["structuredContent"]["status"], "active", "{ran:?}");
    drop(reader);
    check(&workspace, "a full pipe behind stderr");
}

/// A process of ours that has stopped itself.
struct Stopped(Child);

impl Stopped {
    fn at(workspace: &Workspace, operation: &str, step: Phase, uid: Option<u32>) -> Self {
        let mut command = victim_of(workspace, operation, step);
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        let child = command.env(STOPS, "yes").spawn().unwrap();
        stopped(&child);
        Self(child)
    }

    /// The code with which it ended, or `ok`.
    fn goes_on(mut self) -> String {
        kill_process(pid(&self.0), Signal::CONT).unwrap();
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        let ran = Ran::from(self.0.wait_with_output().unwrap());
        let ended = ran.stdout.split_once(ENDED).unwrap_or_else(|| panic!("{ran:?}")).1;
        ended.lines().next().unwrap().to_owned()
    }
}

/// Waits until it has stopped itself.
fn stopped(child: &Child) {
    let status = waitpid(Some(pid(child)), WaitOptions::UNTRACED).unwrap().unwrap().1;
    assert!(status.stopped(), "{status:?}");
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Makes somebody else the owner of the workspace.
fn give(workspace: &Workspace, uid: u32) {
    for path in workspace.files().iter().flat_map(|file| file.ancestors()) {
        if path.starts_with(workspace.path()) {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
    }
}

/// Nobody, on any system.
const NOBODY: u32 = 65_534;

/// More than fill a pipe, and fewer than a server lets in at a time.
const LOOKS: usize = 60;

/// What a pipe holds, in bytes.
const PIPE: usize = 64 * 1024;
