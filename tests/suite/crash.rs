//! SIGKILL at every step, with real processes and real files.
//!
//! The test kills a process between any two effects of each operation. Then the real binary recovers, and the
//! invariants must hold: every live resource is listed, the env file has the current key of every active project and no
//! key of a torn-down one, nothing was bought twice, and the audit chain verifies.

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

use domain::{
    diagnostic::Diagnostic as _,
    money::Cents,
    name::{ProjectName, ProviderKey},
};
use files::env_file::Replace;
use rustix::process::{Signal, getpid, kill_process};
use stripe_projects_mcp::{
    error::Error,
    provisioner::{Phase, Principal, ProvisionRequest, Provisioner},
    settings::{CliOptions, Settings},
};
use tokio::runtime::Builder;

use crate::{
    invariants::{USER_LINES, check, finish},
    raw_client::{RawClient, until},
    workspace::{BackendKind, Workspace},
};

pub const OPERATIONS: [&str; 5] = ["provision", "rotate", "suspend", "resume", "teardown"];

#[test]
fn kill_at_any_step_loses_and_duplicates_nothing() {
    at_every_step(BackendKind::Simulated);
}

#[test]
fn kill_at_any_step_over_stripe_api() {
    at_every_step(BackendKind::StripeApi);
}

#[test]
fn kill_at_any_step_over_stripe_cli() {
    at_every_step(BackendKind::StripeCli);
}

fn at_every_step(kind: BackendKind) {
    for operation in OPERATIONS {
        for step in Phase::ALL {
            if let Some(workspace) = kill_at(kind, operation, step) {
                let case = format!("{kind:?}: {operation} killed at {step:?}");
                workspace.run(&["rotate", "bystander"]); // any command may come next
                finish(&workspace, operation, &case);
                check(&workspace, &case);
            }
        }
    }
}

#[test]
fn server_start_recovers_the_work_of_a_killed_process() {
    for kind in BackendKind::ALL {
        for operation in OPERATIONS {
            let workspace = kill_at(kind, operation, Phase::Acted).unwrap();
            let server = RawClient::initialize(&workspace);
            until("it is recovered", || workspace.ledger().projects().unsettled().unwrap().is_empty().then_some(()));
            assert_eq!(server.disconnect().code, 0);
            check(&workspace, &format!("{kind:?}: {operation}"));
        }
    }
}

/// The steps above are points in the code; this kills at arbitrary moments.
#[test]
fn kill_at_any_moment_loses_and_duplicates_nothing() {
    at_any_moment(BackendKind::Simulated, Duration::from_micros(700));
}

#[test]
fn kill_at_any_moment_over_stripe_api() {
    at_any_moment(BackendKind::StripeApi, Duration::from_millis(3));
}

#[test]
fn kill_at_any_moment_over_stripe_cli() {
    at_any_moment(BackendKind::StripeCli, Duration::from_millis(9));
}

fn at_any_moment(kind: BackendKind, delay: Duration) {
    for round in 0..24_u32 {
        let workspace = Workspace::on(kind);
        workspace.write(".env", USER_LINES);
        workspace.ok(&["provision", "bystander", "tts"]);
        for arguments in
            [&["provision", "victim", "supermemory"][..], &["rotate", "victim"], &["teardown", "victim", "--yes"]]
        {
            let mut child = workspace.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            thread::sleep(delay * round); // deliberate: each round dies at another moment
            child.kill().unwrap();
            child.wait().unwrap();
            // The next command must handle the result, whether or not the project exists.
            workspace.run(&["list"]);
            if kind == BackendKind::Simulated {
                workspace.run(&["usage", "record", "victim", "0.01"]);
            }
        }
        finish(&workspace, "provision", "sweep");
        check(&workspace, &format!("{kind:?}: round {round}"));
    }
}

/// The process that the tests above kill; not a test itself. It prints when it has reached the given step and waits for
/// the kill. For `stalled_process`, it stops itself there and prints how it ended.
#[test]
#[ignore = "started by other tests, in a process of its own"]
fn victim_process() {
    let (Ok(dir), Ok(operation), Ok(step)) = (env::var(DIR), env::var(OPERATION), env::var(STEP)) else {
        return;
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let options = CliOptions { dir: Some(dir.into()), accept_tos: true, ..CliOptions::default() };
    let provisioner = Settings::resolve(options).unwrap().provisioner(runtime.handle().clone()).unwrap();
    let stopped = AtomicBool::new(false);
    let provisioner = provisioner.with_phase_hook(Arc::new(move |reached| {
        if format!("{reached:?}") == step && env::var(STOPS).is_err() {
            println!("{REACHED}");
            thread::park();
        } else if format!("{reached:?}") == step && !stopped.swap(true, Ordering::SeqCst) {
            kill_process(getpid(), Signal::STOP).unwrap();
            // The signal stops every thread soon, and this read stops this one here.
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
    }));
    // As in the program: the work blocks its own thread while the runtime drives the I/O.
    let outcome = runtime.block_on(runtime.spawn_blocking(move || operate(&provisioner, &operation))).unwrap();
    println!("{ENDED}{}", outcome.map_or_else(|error| error.code(), |()| "ok"));
}

/// Returns the command that starts that process.
pub fn victim_command(workspace: &Workspace, operation: &str, step: Phase) -> Command {
    let mut command = Command::new("/proc/self/exe"); // independent of the user that it runs as
    workspace.prepare(&mut command);
    command.args(["--exact", "crash::victim_process", "--ignored", "--nocapture"]).env(DIR, workspace.path());
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
    let principal = Principal::person("a test");
    match operation {
        "provision" => {
            let provider = ProviderKey::parse("supermemory").unwrap();
            let request =
                ProvisionRequest { name, provider, cap: Cents::ZERO, lifetime: None, replace: Replace::OursOnly };
            provisioner.projects.provision(&request, &principal)
        }
        "resume" => provisioner.projects.resume(&name, &principal),
        "rotate" => provisioner.projects.rotate(&name, &principal),
        "suspend" => provisioner.projects.suspend(&name, &principal),
        _ => provisioner.projects.teardown(&name, &principal),
    }
    .map(drop)
}

/// Returns a workspace whose process died at that step. `None` if the operation has no such step.
fn kill_at(kind: BackendKind, operation: &str, step: Phase) -> Option<Workspace> {
    let workspace = prepare(kind, operation);
    let mut child = victim_command(&workspace, operation, step).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).any(|line| line.ends_with(REACHED));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(reached, has_step(operation, step), "{operation} and {step:?}");
    reached.then_some(workspace)
}

/// Creates a workspace in which that operation can begin, and a bystander project.
pub fn prepare(kind: BackendKind, operation: &str) -> Workspace {
    let workspace = Workspace::on(kind);
    workspace.write(".env", USER_LINES);
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

/// Precedes the error code of the outcome, or `ok`.
pub const ENDED: &str = "ended: ";
