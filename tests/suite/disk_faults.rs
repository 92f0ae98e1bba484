//! A full or failing disk at every write of an operation. The real binary prints a useful error, nothing is lost, and
//! the next call finishes.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    invariants::{USER_LINES, check, finish},
    power_loss::{PROVISIONED, arguments_of, can_trace, disk_image, restore_disk},
    raw_client::until,
    workspace::{BINARY, CommandOutput, Workspace},
};

#[test]
fn provision_with_full_disk_recovers() {
    recovers_at_every_size_limit("provision", &[BYSTANDER]);
}

#[test]
fn rotate_with_full_disk_recovers() {
    recovers_at_every_size_limit("rotate", &[BYSTANDER, PROVISIONED]);
}

#[test]
fn teardown_with_full_disk_recovers() {
    recovers_at_every_size_limit("teardown", &[BYSTANDER, PROVISIONED]);
}

#[test]
fn provision_with_failing_disk_recovers() {
    recovers_from_every_failing_call("provision", &[BYSTANDER]);
}

#[test]
fn rotate_with_failing_disk_recovers() {
    recovers_from_every_failing_call("rotate", &[BYSTANDER, PROVISIONED]);
}

#[test]
fn suspend_with_failing_disk_recovers() {
    recovers_from_every_failing_call("suspend", &[BYSTANDER, PROVISIONED]);
}

#[test]
fn teardown_with_failing_disk_recovers() {
    recovers_from_every_failing_call("teardown", &[BYSTANDER, PROVISIONED]);
}

/// A script that reads an empty list and status 0 would miss live projects.
#[test]
fn result_that_cannot_be_written_is_no_success() {
    let workspace = Workspace::new();
    workspace.write(".env", USER_LINES);
    for arguments in [PROVISIONED, &["list"], &["list", "--json"], &["rotate", "victim"], &["--help"], &["providers"]] {
        let mut command = workspace.command(arguments);
        let output = CommandOutput::from(command.stdout(full_device()).stderr(Stdio::piped()).output().unwrap());
        assert_eq!(output.code, 1, "{arguments:?}: {output:?}");
        assert!(
            output.stderr.contains("could not be written to stdout: no storage space"),
            "{arguments:?}: {output:?}"
        );
    }
    assert_eq!(workspace.json(&["list"])["projects"][0]["key_version"], 2, "the effects stay");
    check(&workspace, "a full disk behind stdout");

    let mut command = workspace.command(&["teardown", "victim", "--yes"]);
    assert_eq!(
        command.stdout(full_device()).stderr(full_device()).status().unwrap().code(),
        Some(1),
        "with a full stderr as well"
    );
    let mut command = workspace.command(&["rotate", "unknown"]);
    assert_eq!(
        command.stdout(full_device()).stderr(full_device()).status().unwrap().code(),
        Some(4),
        "its own failure comes first"
    );
    check(&workspace, "full disks behind both");
}

#[test]
fn server_that_cannot_answer_exits() {
    let workspace = Workspace::new();
    let mut command = workspace.command(&["serve"]);
    let mut server = command.stdin(Stdio::piped()).stdout(full_device()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let _ = writeln!(input, r#"{{"jsonrpc":"2.0","id":1,"method":"ping"}}"#);
    drop(input);
    until("its end", || server.try_wait().unwrap());
    let stderr = CommandOutput::from(server.wait_with_output().unwrap()).stderr;
    assert!(!stderr.contains("internal error"), "{stderr}");
}

/// Limits the size of files, one page more each time, until no write fails.
fn recovers_at_every_size_limit(operation: &str, before: &[&[&str]]) {
    let workspace = prepare(before);
    let whole = disk_image(&workspace);
    let mut errors = BTreeSet::new();
    for pages in 0..500 {
        restore_disk(&workspace, &whole);
        let mut limited = Command::new("sh");
        workspace.prepare(&mut limited);
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", pages * BLOCKS_OF_A_PAGE);
        limited.args(["-c", &script, "sh", BINARY]).args(arguments_of(operation)).current_dir(workspace.path());
        let output = CommandOutput::from(limited.stdin(Stdio::null()).output().unwrap());
        let case = format!("{operation}, files of {pages} pages at most");
        assert_recovers(&workspace, operation, &output, &case);
        if output.code == 0 && output.stderr.is_empty() {
            assert!(pages > 1, "{case}: the limit limits nothing");
            println!("{operation}: full at {pages} sizes: {errors:#?}");
            return;
        }
        errors.insert(output.stderr);
    }
    panic!("{operation}: no limit was large enough");
}

/// Makes each system call on the workspace's files fail, from its first call on, its second, and so on.
fn recovers_from_every_failing_call(operation: &str, before: &[&[&str]]) {
    if !can_trace() {
        return;
    }
    let workspace = prepare(before);
    let (whole, log) = (disk_image(&workspace), tempfile::NamedTempFile::new().unwrap());
    let (mut points, mut errors) = (0, BTreeSet::new());
    for (name, error) in FAULTS {
        for first in 1.. {
            restore_disk(&workspace, &whole);
            let mut traced = Command::new("strace");
            workspace.prepare(&mut traced);
            // The simulated Stripe is another machine, whose disk works.
            for file in files(&workspace) {
                traced.arg("-P").arg(file);
            }
            let inject = format!("inject={name}:error={error}:when={first}+");
            traced.args(["-f", "-qq", "-e", &format!("trace={name}"), "-e", &inject, "-o"]).arg(log.path());
            traced.arg(BINARY).args(arguments_of(operation)).current_dir(workspace.path()).stdin(Stdio::null());
            let output = CommandOutput::from(traced.output().unwrap());
            let case = format!("{operation}, {name} fails with {error} from number {first} on");
            assert_recovers(&workspace, operation, &output, &case);
            if !fs::read_to_string(log.path()).unwrap().contains("INJECTED") {
                assert_eq!(output.code, 0, "{case}: {output:?}");
                break;
            }
            points += 1;
            errors.insert(output.stderr);
        }
    }
    assert!(points > 20, "{operation}: only {points} points");
    println!("{operation}: failed at {points} calls: {errors:#?}");
}

/// Asserts a useful error, and that the next call finishes once the disk works.
fn assert_recovers(workspace: &Workspace, operation: &str, output: &CommandOutput, case: &str) {
    for useless in ["internal error", "uncategorized"] {
        assert!(!output.stderr.contains(useless), "{case}: {output:?}");
    }
    let helps = output.stderr.contains("error: ") && output.stderr.contains("hint: ");
    assert!(output.code == 0 || (output.code > 0 && helps), "{case}: {output:?}");
    finish(workspace, operation, case);
    check(workspace, case);
    let verified = workspace.run(&["audit", "--verify"]);
    assert_eq!(verified.code, 0, "{case}: {verified:?}");
}

fn prepare(before: &[&[&str]]) -> Workspace {
    let workspace = Workspace::new();
    workspace.write(".env", USER_LINES);
    for arguments in before {
        workspace.ok(arguments);
    }
    workspace
}

/// Returns the files that an operation writes.
fn files(workspace: &Workspace) -> Vec<PathBuf> {
    let mut files = FILES_OF_THE_WORKSPACE.map(|file| workspace.file(file)).to_vec();
    files.extend(FILES_OF_THE_STATE.map(|file| workspace.state().join(file)));
    let id = workspace.ledger().workspace().unwrap();
    files.extend(id.map(|id| workspace.state().join(format!("locks/{}.victim.lock", id.as_str()))));
    files
}

/// Opens a file that accepts no byte.
fn full_device() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

const BYSTANDER: &[&str] = &["provision", "bystander", "tts"];

/// `ulimit -f` counts blocks of 512 bytes.
const BLOCKS_OF_A_PAGE: usize = 8;

/// System calls that fail, with their error.
const FAULTS: [(&str, &str); 13] = [
    ("fsync", "EIO"),
    ("ftruncate", "EIO"),
    ("linkat", "EPERM"),
    ("mkdir", "ENOSPC"),
    ("mkdirat", "ENOSPC"),
    ("openat", "EACCES"),
    ("pwrite64", "ENOSPC"),
    ("rename", "EROFS"),
    ("renameat", "EROFS"),
    ("renameat2", "EROFS"),
    ("unlink", "EACCES"),
    ("unlinkat", "EACCES"),
    ("write", "ENOSPC"),
];

const FILES_OF_THE_WORKSPACE: [&str; 3] = ["", ".env", ".env.stripe-projects.tmp"];

const FILES_OF_THE_STATE: [&str; 7] =
    ["", "env-files", "audit.head", "audit.head.stripe-projects.tmp", "ledger.db", "ledger.db-shm", "ledger.db-wal"];
