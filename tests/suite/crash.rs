//! Death at every step: real processes, real files, SIGKILL.
//!
//! A process of ours is killed at each point between two effects of each operation. Then the real binary recovers, and
//! the promises must hold: every live resource is listed, the env file has the current key of every active project
//! and no key of a dead one, nothing was bought twice, and the audit chain verifies.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};
use stripe_projects_mcp::{
    env_file::Replace,
    error::Error,
    money::Cents,
    name::{ProjectName, ProviderKey},
    policy::Asker,
    provisioner::{Phase, Principal, ProvisionRequest, Provisioner},
    settings::{CliOptions, Settings},
};
use tokio::runtime::Builder;

use crate::{
    lines::{Lines, until},
    promises::{MINE, check, finish},
    workspace::{Kind, Workspace},
};

pub const OPERATIONS: [&str; 5] = ["provision", "rotate", "suspend", "resume", "teardown"];

#[test]
fn killed_at_any_step_nothing_is_lost_or_bought_twice() {
    at_every_step(Kind::Simulated);
}

#[test]
fn killed_at_any_step_over_stripes_api() {
    at_every_step(Kind::StripeApi);
}

#[test]
fn killed_at_any_step_over_stripes_cli() {
    at_every_step(Kind::StripeCli);
}

fn at_every_step(kind: Kind) {
    for operation in OPERATIONS {
        for step in Phase::ALL {
            if let Some(workspace) = killed_at(kind, operation, step) {
                let case = format!("{kind:?}: {operation} killed at {step:?}");
                workspace.run(&["rotate", "bystander"]); // any call of ours may come next
                finish(&workspace, operation, &case);
                check(&workspace, &case);
            }
        }
    }
}

#[test]
fn a_server_that_starts_recovers_what_a_dead_process_left() {
    for kind in Kind::ALL {
        for operation in OPERATIONS {
            let workspace = killed_at(kind, operation, Phase::Acted).unwrap();
            let server = Lines::greet(&workspace);
            until("it is recovered", || workspace.ledger().projects().unsettled().unwrap().is_empty().then_some(()));
            assert_eq!(server.leave().code, 0);
            check(&workspace, &format!("{kind:?}: {operation}"));
        }
    }
}

/// The steps above are points in our own code; this kills the real binary wherever it happens to be.
#[test]
fn killed_at_any_moment_nothing_is_lost_or_bought_twice() {
    at_any_moment(Kind::Simulated, Duration::from_micros(700));
}

#[test]
fn killed_at_any_moment_over_stripes_api() {
    at_any_moment(Kind::StripeApi, Duration::from_millis(3));
}

#[test]
fn killed_at_any_moment_over_stripes_cli() {
    at_any_moment(Kind::StripeCli, Duration::from_millis(9));
}

fn at_any_moment(kind: Kind, later: Duration) {
    for round in 0..24_u32 {
        let workspace = Workspace::on(kind);
        workspace.write(".env", MINE);
        workspace.ok(&["provision", "bystander", "tts"]);
        for arguments in
            [&["provision", "victim", "supermemory"][..], &["rotate", "victim"], &["teardown", "victim", "--yes"]]
        {
            let mut child = workspace.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            thread::sleep(later * round); // not for luck: each round dies at another moment
            child.kill().unwrap();
            child.wait().unwrap();
            // The next command finds whatever that left, and must cope: it may find the project, or not.
            workspace.run(&["list"]);
            if kind == Kind::Simulated {
                workspace.run(&["usage", "record", "victim", "0.01"]);
            }
        }
        finish(&workspace, "provision", "sweep");
        check(&workspace, &format!("{kind:?}: round {round}"));
    }
}

/// Not a test of its own: the process that the tests above kill. It says when it has reached the step that it was told,
/// and waits to be killed; or it stops itself there, for `stopped`, and says how it ended.
#[test]
#[ignore = "started by other tests, in a process of its own"]
fn victim() {
    let (Ok(dir), Ok(operation), Ok(step)) = (env::var(DIR), env::var(OPERATION), env::var(STEP)) else {
        return;
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let options = CliOptions { dir: Some(dir.into()), accept_tos: true, ..CliOptions::default() };
    let provisioner = Settings::resolve(options).unwrap().provisioner(runtime.handle().clone());
    let stopped = AtomicBool::new(false);
    let provisioner = provisioner.with_phase_hook(Arc::new(move |reached| {
        if format!("{reached:?}") == step && env::var(STOPS).is_err() {
            println!("{REACHED}");
            thread::park();
        } else if format!("{reached:?}") == step && !stopped.swap(true, Ordering::SeqCst) {
            kill_process(getpid(), Signal::STOP).unwrap();
            // That stops every thread soon, and this one here.
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
    }));
    // As in the program: the work blocks a thread of its own while the runtime drives what it waits for.
    let outcome = runtime.block_on(runtime.spawn_blocking(move || operate(&provisioner, &operation))).unwrap();
    println!("{ENDED}{}", outcome.map_or_else(|error| error.code(), |()| "ok"));
}

/// That process, to be started.
pub fn victim_of(workspace: &Workspace, operation: &str, step: Phase) -> Command {
    let mut command = Command::new("/proc/self/exe"); // whoever it runs as
    workspace.prepare(&mut command);
    command.args(["--exact", "crash::victim", "--ignored", "--nocapture"]).env(DIR, workspace.path());
    command
        .env(OPERATION, operation)
        .env(STEP, format!("{step:?}"))
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .stdin(Stdio::piped());
    command
}

fn operate(provisioner: &Provisioner, operation: &str) -> Result<(), Error> {
    let name = ProjectName::parse("victim").unwrap();
    let principal = Principal { door: "cli", actor: "a test".to_owned(), asker: Asker::Human };
    match operation {
        "provision" => {
            let provider = ProviderKey::parse("supermemory").unwrap();
            let wanted =
                ProvisionRequest { name, provider, cap: Cents::ZERO, lifetime: None, replace: Replace::OursOnly };
            provisioner.provision(&wanted, &principal)
        }
        "resume" => provisioner.resume(&name, &principal),
        "rotate" => provisioner.rotate(&name, &principal),
        "suspend" => provisioner.suspend(&name, &principal),
        _ => provisioner.teardown(&name, &principal),
    }
    .map(drop)
}

/// A workspace in which a process died at that step; `None` if the operation has no such step.
fn killed_at(kind: Kind, operation: &str, step: Phase) -> Option<Workspace> {
    let workspace = prepared(kind, operation);
    let mut child = victim_of(&workspace, operation, step).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).any(|line| line.ends_with(REACHED));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(reached, has_step(operation, step), "{operation} and {step:?}");
    reached.then_some(workspace)
}

/// A workspace in which that operation can begin, with a project that it is not about.
pub fn prepared(kind: Kind, operation: &str) -> Workspace {
    let workspace = Workspace::on(kind);
    workspace.write(".env", MINE);
    workspace.ok(&["provision", "bystander", "tts"]);
    if operation != "provision" {
        workspace.ok(&["provision", "victim", "supermemory"]);
    }
    if operation == "resume" {
        workspace.ok(&["suspend", "victim"]);
    }
    workspace
}

pub fn has_step(operation: &str, step: Phase) -> bool {
    !(matches!(operation, "suspend" | "teardown") && step == Phase::Recorded)
}

const DIR: &str = "CRASH_DIR";
const OPERATION: &str = "CRASH_OPERATION";
const STEP: &str = "CRASH_STEP";
const REACHED: &str = "reached";

/// Set for a victim that stops itself.
pub const STOPS: &str = "CRASH_STOPS";

/// Before the code with which it ended, or `ok`.
pub const ENDED: &str = "ended: ";
