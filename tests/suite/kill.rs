//! The kill switch against every obstacle that an agent, a stuck process or a full disk can put in its way.
//!
//! The deadlines are those of the promise or wider; each test prints what it measured.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use files::fs::Lock;
use rusqlite::Connection;
use serde_json::{Value, json};
use stripe_projects_mcp::provisioner::Phase;

use crate::{
    crash::prepare,
    invariants::check,
    raw_client::{RawClient, until},
    stalled_process::StalledProcess,
    workspace::{BackendKind, CommandOutput, Workspace},
};

#[test]
fn hammered_project_is_suspended_within_one_backend_call() {
    for kind in [BackendKind::Simulated, BackendKind::StripeApi] {
        let workspace = provisioned(kind);
        slow_down(&workspace);
        let hammer = Hammer::start(&workspace);
        let Measured { output, revoked, exited } = measure(&workspace, &["suspend", "memory"]);
        hammer.stop();
        println!("{kind:?}, hammered: revoked after {revoked:?}, exited after {exited:?} with {}", output.code);
        assert!(revoked < Duration::from_secs(5) && exited < EXIT, "{kind:?}: {revoked:?}, {exited:?}");
        assert!([0, 6].contains(&output.code), "{kind:?}: {output:?}");
        record(&workspace, "memory");
        assert_withheld(&workspace);
    }
}

#[test]
fn hammered_stripe_cli_is_suspended_after_the_call_in_flight() {
    let workspace = provisioned(BackendKind::StripeCli);
    workspace.fake_stripe().inject_faults(json!([{ "fault": "slow", "ms": 1000, "times": 100_000 }]));
    let hammer = Hammer::start(&workspace);
    let Measured { output, revoked, exited } = measure(&workspace, &["suspend", "memory"]);
    hammer.stop();
    workspace.fake_stripe().inject_faults(json!([]));
    println!("stripe-cli, 1 s per command, hammered: revoked after {revoked:?}, exited after {exited:?}");
    assert!([0, 6].contains(&output.code), "{output:?}");
    record(&workspace, "memory");
    assert_withheld(&workspace);
}

#[test]
fn held_ledger_does_not_delay_the_kill() {
    let workspace = provisioned(BackendKind::Simulated);
    let writer = Connection::open(workspace.state().join("ledger.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    for arguments in [&["suspend", "memory"][..], &["suspend", "--all"]] {
        let output = killed("ledger held", &workspace, arguments);
        assert_eq!(output.code, 6, "{output:?}");
        assert!(output.stderr.contains("the key of memory is disabled, but not recorded yet"), "{output:?}");
    }
    assert_eq!(workspace.read(".env").matches("SUPERMEMORY").count(), 1, "nothing else is done");
    writer.execute_batch("ROLLBACK").unwrap();
    assert_recorded_by_the_next_start(&workspace);
}

#[test]
fn held_project_lock_does_not_delay_the_kill() {
    let workspace = provisioned(BackendKind::Simulated);
    let lock = Lock::on_file(&project_lock(&workspace), Duration::ZERO).unwrap().unwrap();
    let output = killed("project lock held", &workspace, &["suspend", "memory"]);
    assert_eq!(output.code, 6, "{output:?}");
    assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "suspended", "shown although not recorded");
    drop(lock);
    // Any command records it.
    workspace.ok(&["list"]);
    assert!(is_settled(&workspace));
    assert_withheld(&workspace);
}

#[test]
fn stopped_rotation_is_killed_and_delivers_nothing() {
    for step in [Phase::Intended, Phase::Acted, Phase::Recorded, Phase::Delivered] {
        let workspace = prepare(BackendKind::Simulated, "rotate");
        let old = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        let stalled = StalledProcess::at(&workspace, "rotate", step, None);
        let began = Instant::now();
        let output = workspace.run(&["suspend", "victim"]);
        let took = began.elapsed();
        println!("rotation stopped at {step:?}: exited after {took:?} with {}", output.code);
        assert!(output.code == 6 && took < EXIT, "{step:?}: {took:?}: {output:?}");
        assert!(workspace.owner_of(&old).is_none(), "{step:?}");
        assert_eq!(stalled.resume(), "suspended", "{step:?}");
        record(&workspace, "victim");
        check(&workspace, &format!("rotation stopped at {step:?}"));
        assert_eq!(workspace.json(&["list"])["projects"][1]["status"], "suspended", "{step:?}");
        workspace.ok(&["resume", "victim"]);
        assert!(workspace.owner_of(&workspace.variable("SUPERMEMORY_API_KEY").unwrap()).is_some(), "{step:?}");
    }
}

#[test]
fn kill_during_a_resume_wins() {
    for step in [Phase::Intended, Phase::Acted, Phase::Recorded, Phase::Delivered] {
        let workspace = prepare(BackendKind::Simulated, "resume");
        let stalled = StalledProcess::at(&workspace, "resume", step, None);
        workspace.run(&["suspend", "victim"]);
        assert_eq!(stalled.resume(), "suspended", "{step:?}");
        record(&workspace, "victim");
        check(&workspace, &format!("resume stopped at {step:?}"));
        assert_eq!(workspace.json(&["list"])["projects"][1]["status"], "suspended", "{step:?}");
    }
}

#[test]
fn purchase_that_is_killed_is_never_delivered() {
    for (step, status) in [(Phase::Intended, "failed"), (Phase::Acted, "suspended"), (Phase::Delivered, "suspended")] {
        let workspace = prepare(BackendKind::Simulated, "provision");
        let stalled = StalledProcess::at(&workspace, "provision", step, None);
        let output = workspace.run(&["suspend", "--all"]);
        assert_eq!(output.code, 6, "{step:?}: {output:?}");
        assert_eq!(stalled.resume(), "suspended", "{step:?}");
        let list = workspace.json(&["list", "--all"]);
        assert_eq!(list["projects"][1]["status"], status, "{step:?}: {list:#}");
        check(&workspace, &format!("purchase stopped at {step:?}"));
    }
}

#[test]
fn held_env_folder_does_not_delay_the_kill() {
    let workspace = Workspace::new();
    for name in ["memory", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        workspace.ok(&["provision", name, "supermemory", "--cap", "1"]);
    }
    let folder = Lock::on_folder_of(&workspace.file(".env"), Duration::ZERO).unwrap().unwrap();
    let output = killed("env folder held, 12 projects", &workspace, &["suspend", "--all"]);
    assert!(output.code == 6 && output.stderr.contains("its variable is still in the env file"), "{output:?}");
    drop(folder);
    workspace.ok(&["suspend", "--all"]);
    assert_eq!(workspace.read(".env"), "");
    assert!(is_settled(&workspace));
}

#[test]
fn named_pipe_as_env_file_does_not_delay_the_kill() {
    let workspace = provisioned(BackendKind::Simulated);
    let key = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
    fs::remove_file(workspace.file(".env")).unwrap();
    assert!(Command::new("mkfifo").arg(workspace.file(".env")).status().unwrap().success());
    for arguments in [&["suspend", "--all"][..], &["suspend", "memory"]] {
        let began = Instant::now();
        let output = workspace.run(arguments);
        println!("env file is a pipe: exited after {:?}", began.elapsed());
        assert!(output.code == 6 && began.elapsed() < EXIT, "{output:?}");
        assert!(workspace.owner_of(&key).is_none());
    }
    for arguments in [&["rotate", "memory"][..], &["provision", "b", "llm"]] {
        let began = Instant::now();
        assert_ne!(workspace.run(arguments).code, 0);
        assert!(began.elapsed() < EXIT, "{arguments:?} waited for the pipe");
    }
    fs::remove_file(workspace.file(".env")).unwrap();
    workspace.ok(&["suspend", "memory"]);
    assert!(is_settled(&workspace));
}

#[test]
fn full_disk_neither_stops_the_kill_nor_its_record() {
    for with_a_server in [false, true] {
        let workspace = Workspace::new();
        workspace.create_state();
        let Some(disk) = SmallDisk::mount(&workspace.state()) else { return };
        workspace.ok(&["provision", "memory", "supermemory"]);
        let server = with_a_server.then(|| RawClient::initialize(&workspace));
        fill(&workspace.state().join("filler"));
        let key = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        let began = Instant::now();
        let output = workspace.run(&["suspend", "--all"]);
        println!("disk full: exited after {:?} with {}", began.elapsed(), output.code);
        assert!(workspace.owner_of(&key).is_none() && began.elapsed() < EXIT, "server {with_a_server}: {output:?}");
        assert_eq!(output.code, 0, "server {with_a_server}: {output:?}");
        assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "suspended");
        let rows = workspace.ledger().audit().rows().unwrap();
        assert!(rows.iter().any(|row| row.action == "suspend" && row.outcome == "done"));
        assert_withheld(&workspace);
        if let Some(server) = server {
            server.kill();
        }
        drop(disk);
    }
}

#[test]
fn teardown_by_a_person_does_not_wait_behind_an_agent() {
    let workspace = provisioned(BackendKind::StripeApi);
    slow_down(&workspace);
    let hammer = Hammer::start(&workspace);
    let Measured { output, revoked, exited } = measure(&workspace, &["teardown", "memory", "--yes"]);
    hammer.stop();
    println!("teardown, hammered: revoked after {revoked:?}, exited after {exited:?}");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(workspace.billed_resources().is_empty() && exited < EXIT, "{exited:?}");
}

#[test]
fn third_call_on_one_project_is_busy_at_once() {
    let workspace = provisioned(BackendKind::StripeApi);
    slow_down(&workspace);
    let mut agent = RawClient::initialize(&workspace);
    let ids: Vec<u64> = (0..20).map(|_| agent.send_call("rotate_key", &json!({ "name": "memory" }))).collect();
    until("the answers", || {
        (agent.messages().iter().filter(|answer| ids.contains(&id(answer))).count() == 20).then_some(())
    });
    let answers = agent.messages();
    let busy = answers.iter().filter(|answer| answer["result"]["structuredContent"]["code"] == "busy").count();
    assert_eq!(busy, 18, "{answers:#?}");
    let other = agent.call("rotate_key", &json!({ "name": "other" }));
    assert_eq!(other["code"], "project_not_found", "another project is not concerned: {other}");
}

#[test]
fn agent_rotates_six_times_an_hour_and_a_person_on() {
    let workspace = provisioned(BackendKind::Simulated);
    let mut agent = RawClient::initialize(&workspace);
    let rotate = json!({ "name": "memory" });
    for version in 2..=7 {
        assert_eq!(agent.call("rotate_key", &rotate)["key_version"], version);
    }
    let refused = agent.call("rotate_key", &rotate);
    assert_eq!(refused["code"], "rotation_limit", "{refused}");
    assert_eq!(refused["hint"], "show this to the user, do not run it: `stripe-projects-mcp rotate memory`");
    workspace.ok(&["rotate", "memory"]);
    let other = agent.call("provision", &json!({ "name": "other", "provider": "llm" }));
    assert_eq!(other["status"], "active");
    assert_eq!(agent.call("rotate_key", &json!({ "name": "other" }))["key_version"], 2, "another project has its own");
    workspace.sql("UPDATE audit SET at = at - 3600001 WHERE action = 'rotate'");
    assert_eq!(agent.call("rotate_key", &rotate)["key_version"], 9, "an hour later");
    workspace.allow_planted_keys();
}

#[test]
fn repeated_looks_and_refusals_leave_few_rows() {
    let workspace = provisioned(BackendKind::Simulated);
    let mut agent = RawClient::initialize(&workspace);
    let before = workspace.ledger().audit().rows().unwrap().len();
    for _ in 0..300 {
        agent.call("list_projects", &json!({}));
        agent.call("rotate_key", &json!({ "name": "unknown" }));
        agent.request("resources/read", &json!({ "uri": "stripe-projects://projects" }));
    }
    assert_eq!(agent.disconnect().code, 0);
    let rows = workspace.ledger().audit().rows().unwrap();
    assert!(rows.len() - before < 20, "{} rows", rows.len() - before);
    let counts: Vec<u64> = rows.iter().filter_map(|row| detail(row)["count"].as_u64()).collect();
    assert!(counts.len() >= 3 && counts.iter().sum::<u64>() > 800, "{counts:?}");
    workspace.ok(&["audit", "--verify"]);
}

#[test]
fn different_looks_of_an_hour_are_bounded_and_counted() {
    let workspace = provisioned(BackendKind::Simulated);
    let mut agent = RawClient::initialize(&workspace);
    let before = workspace.ledger().audit().rows().unwrap().len();
    for number in 0..1_200 {
        agent.call("rotate_key", &json!({ "name": format!("unknown-{number}") }));
    }
    assert_eq!(agent.disconnect().code, 0);
    let rows = workspace.ledger().audit().rows().unwrap().len() - before;
    assert!(rows <= 1_000, "{rows} rows");
    // The next hour begins with the number of those that were left out.
    workspace.sql("UPDATE notes SET value = '1 ' || substr(value, instr(value, ' ') + 1) WHERE key = 'looks'");
    workspace.run(&["rotate", "unknown"]);
    let rows = workspace.ledger().audit().rows().unwrap();
    let summary = rows.iter().find(|row| row.action == "calls without a row").expect("a summary");
    assert!(detail(summary)["count"].as_u64().unwrap() >= 1_400, "{}", summary.detail);
    workspace.ok(&["audit", "--verify"]);
}

/// A project called `memory`.
fn provisioned(kind: BackendKind) -> Workspace {
    let workspace = Workspace::on(kind);
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace
}

/// Makes each rotation take 1.5 s, where there is a simulator.
fn slow_down(workspace: &Workspace) {
    if workspace.kind() == BackendKind::StripeApi {
        let rotate = "POST /v2/provisioning/resources/{id}/rotate_credentials";
        workspace.simulator().inject(&json!({ "on": rotate, "fault": "slow", "ms": 1500, "times": 100_000 }));
    }
}

/// Runs a kill against an obstacle, and asserts that the key is revoked and the command ends in time.
fn killed(obstacle: &str, workspace: &Workspace, arguments: &[&str]) -> CommandOutput {
    let Measured { output, revoked, exited } = measure(workspace, arguments);
    println!("{obstacle}: revoked after {revoked:?}, exited after {exited:?} with {}", output.code);
    assert!(revoked < REVOKED && exited < EXIT, "{obstacle}: {revoked:?}, {exited:?}");
    output
}

fn assert_recorded_by_the_next_start(workspace: &Workspace) {
    assert!(!is_settled(workspace), "it is recorded already");
    let server = RawClient::initialize(workspace);
    until("it to be recorded", || is_settled(workspace).then_some(()));
    assert_eq!(server.disconnect().code, 0);
    assert_withheld(workspace);
}

/// Has the next call record what is not recorded yet, once the halted operation has ended.
fn record(workspace: &Workspace, name: &str) {
    until("it to be recorded", || {
        workspace.run(&["suspend", name]);
        is_settled(workspace).then_some(())
    });
}

fn is_settled(workspace: &Workspace) -> bool {
    workspace.ledger().projects().unsettled().unwrap().is_empty()
}

/// Asserts that `memory` is suspended, recorded and withheld, and that a person can resume it.
fn assert_withheld(workspace: &Workspace) {
    assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "suspended");
    assert_eq!(workspace.variable("SUPERMEMORY_API_KEY"), None);
    workspace.ok(&["audit", "--verify"]);
    let resumed = workspace.json(&["resume", "memory"]);
    assert_eq!(resumed["status"], "active", "{resumed}");
    assert!(workspace.owner_of(&workspace.variable("SUPERMEMORY_API_KEY").unwrap()).is_some());
}

fn detail(row: &storage::ledger::AuditRow) -> Value {
    serde_json::from_str(&row.detail).unwrap()
}

fn id(answer: &Value) -> u64 {
    answer["id"].as_u64().unwrap_or_default()
}

fn project_lock(workspace: &Workspace) -> PathBuf {
    let id = workspace.ledger().workspace().unwrap().unwrap();
    workspace.state().join("locks").join(format!("{}.memory.lock", id.as_str()))
}

fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [65_536, 4_096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

/// How long a kill took.
struct Measured {
    output: CommandOutput,
    /// Until the last moment at which the key in the env file worked.
    revoked: Duration,
    exited: Duration,
}

/// Runs a command, and looks all the time whether the key in the env file works.
fn measure(workspace: &Workspace, arguments: &[&str]) -> Measured {
    let mut command = workspace.command(arguments);
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut revoked, deadline) = (Duration::ZERO, began + Duration::from_secs(180));
    let exited = loop {
        let is_over = child.try_wait().unwrap().is_some();
        let asked = began.elapsed();
        if workspace.variable("SUPERMEMORY_API_KEY").is_some_and(|key| workspace.owner_of(&key).is_some()) {
            revoked = asked;
        }
        if is_over {
            break asked;
        }
        assert!(Instant::now() < deadline, "{arguments:?} does not end");
        thread::sleep(Duration::from_millis(10));
    };
    Measured { output: CommandOutput::from(child.wait_with_output().unwrap()), revoked, exited }
}

/// An agent that rotates `memory` without end, 60 calls at a time.
struct Hammer {
    stop: Arc<AtomicBool>,
    calls: Option<JoinHandle<()>>,
}

impl Hammer {
    fn start(workspace: &Workspace) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut agent = RawClient::initialize(workspace);
        let stopped = Arc::clone(&stop);
        let send = move |agent: &mut RawClient| {
            for _ in 0..60 {
                agent.send_call("rotate_key", &json!({ "name": "memory" }));
            }
        };
        send(&mut agent);
        let calls = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                send(&mut agent);
                thread::sleep(Duration::from_millis(50));
            }
            agent.kill();
        });
        Self { stop, calls: Some(calls) }
    }

    fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.calls.take().unwrap().join().unwrap();
    }
}

/// A small file system of its own, unmounted on drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not permitted.
    fn mount(folder: &Path) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"]).arg(folder);
        if command.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("NOT CHECKED: a file system cannot be mounted here");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// How long a key may work after the command began, whatever is in the way.
const REVOKED: Duration = Duration::from_secs(5);

/// How long the command may take.
const EXIT: Duration = Duration::from_secs(15);
