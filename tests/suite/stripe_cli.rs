//! The `stripe-cli` backend as a parent of processes: timeouts, output limits, and locks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use backends::{
    Backend as _, BackendError, Order, Refusal, Scope, Setup,
    stripe_cli::{NAME, StripeCli, Timeouts},
};
use domain::{
    money::Cents,
    name::{ProjectName, ServiceRef},
    project::{ProjectId, ResourceId},
};
use files::fs::Lock;
use serde_json::Map;
use storage::ledger::Ledger;
use stripe_projects_mcp::settings::LedgerNotes;
use tempfile::TempDir;

use crate::raw_client::until;

/// An initialized state folder, and a `stripe` that is a shell script.
struct ShellHarness {
    state: TempDir,
    bin: PathBuf,
}

impl ShellHarness {
    fn new(script: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        Ledger::of(state.path()).kv().put_note("stripe-cli", "project-name", "agent-0").unwrap();
        let bin = state.path().join("stripe");
        write_script(&bin, script);
        Self { state, bin }
    }

    fn backend(&self, verb: Duration) -> StripeCli {
        let notes = notes(self.state.path());
        let pace = Timeouts {
            verb,
            poll_pause: SHORT,
            poll_timeout: SHORT,
            lock_timeout: SHORT,
            kill_timeout: SHORT,
            interrupted_add: SHORT,
        };
        StripeCli::new(Some(self.bin.clone()), notes, self.state.path().to_owned(), pace)
    }

    async fn observe(&self, verb: Duration) -> Result<usize, BackendError> {
        self.backend(verb).observe(Scope::Everything).await.map(|observed| observed.len())
    }

    /// Returns whether no process holds the lock.
    fn is_unlocked(&self) -> bool {
        Lock::on_file(&self.state.path().join("stripe-cli.lock"), Duration::ZERO).unwrap().is_some()
    }
}

/// Writes the script in another process. An executable that is open for writing, even in a fork, cannot run.
fn notes(state: &Path) -> Arc<LedgerNotes> {
    Arc::new(LedgerNotes::new(Arc::new(Ledger::of(state)), NAME))
}

pub fn write_script(file: &Path, script: &str) {
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 700 "$2""#;
    let status = Command::new("sh").args(["-c", write, "sh", script]).arg(file).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn slow_verb_is_killed_with_its_process_group() {
    let harness = ShellHarness::new("exec 3<&0\nsleep 300 &\nsleep 300 & sleep 300");
    let started = Instant::now();
    let error = harness.observe(Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.to_string(), "the backend cannot be used: `stripe projects status` timed out");
    assert!(started.elapsed() < Duration::from_secs(10));
    until("the lock that each of them held", || harness.is_unlocked().then_some(()));
}

/// With a network it would open a browser and wait for minutes, unprompted.
#[tokio::test]
async fn login_prompt_is_not_waited_for() {
    for stream in ["1", "2"] {
        let harness =
            ShellHarness::new(&format!("exec 3<&0\necho 'You must be logged in to use it.' >&{stream}\nsleep 300"));
        let started = Instant::now();
        let error = harness.observe(LONG).await.unwrap_err();
        assert!(matches!(error, BackendError::NotSetUp(Setup::LoggedOut)), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
        until("the lock", || harness.is_unlocked().then_some(()));
    }
}

#[tokio::test]
async fn cancelled_call_finishes_in_the_background() {
    let harness = ShellHarness::new("exec 3<&0\necho > began\nwhile [ ! -e go ]; do sleep 0.01; done\necho > finished");
    let backend = harness.backend(LONG);
    let began_file = harness.state.path().join("stripe-cli/began");
    tokio::select! {
        _ = backend.observe(Scope::Everything) => panic!("it does not answer"),
        () = async { while !began_file.exists() { tokio::time::sleep(Duration::from_millis(5)).await } } => {}
    }
    assert!(!harness.is_unlocked(), "no other call runs before it has ended");
    fs::write(began_file.with_file_name("go"), "").unwrap();
    until("its end", || harness.is_unlocked().then_some(()));
    assert!(began_file.with_file_name("finished").exists());
}

#[tokio::test]
async fn background_child_does_not_delay_the_answer() {
    let harness = ShellHarness::new(&format!("exec 3<&0\nsleep 300 &\necho '{ANSWER}'"));
    let started = Instant::now();
    assert_eq!(harness.observe(LONG).await.unwrap(), 1);
    assert!(started.elapsed() < Duration::from_secs(10));
    until("the lock that the helper held", || harness.is_unlocked().then_some(()));
}

#[tokio::test]
async fn excess_output_is_cut_off() {
    for (flood, why) in [
        (format!("head -c 5000000 /dev/zero; echo '{ANSWER}'"), Some("printed too much")),
        (format!("echo '{ANSWER}'; head -c 5000000 /dev/zero"), Some("printed too much")),
        (format!("head -c 300000 /dev/zero >&2; echo '{ANSWER}'"), Some("printed too much")),
        (format!("head -c 200000 /dev/zero >&2; echo '{ANSWER}'"), None),
        (format!("head -c 2000000 /dev/zero; echo; echo '{ANSWER}'; exit 3"), None),
        ("yes".to_owned(), Some("printed too much")),
    ] {
        let outcome = ShellHarness::new(&flood).observe(LONG).await;
        let error = outcome.as_ref().err().map(ToString::to_string);
        assert_eq!(
            error,
            why.map(|why| format!("the backend cannot be used: `stripe projects status` {why}")),
            "{flood}"
        );
    }
}

#[tokio::test]
async fn escaped_child_holds_the_lock_until_it_ends() {
    let escape = format!(
        "exec 3<&0\n[ -e escaped ] || setsid sh -c 'echo > escaped; sleep 2' > /dev/null 2>&1 &\n\
        while [ ! -e escaped ]; do sleep 0.01; done\necho '{ANSWER}'"
    );
    let harness = ShellHarness::new(&escape);
    assert_eq!(harness.observe(LONG).await.unwrap(), 1);
    let error = harness.observe(LONG).await.unwrap_err();
    assert!(error.to_string().contains("another call to the Stripe CLI is still running"), "{error}");
    until("its end", || harness.is_unlocked().then_some(()));
    assert_eq!(harness.observe(LONG).await.unwrap(), 1);
}

#[test]
fn shared_lock_outlives_its_first_holder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lock");
    let lock = Lock::on_file(&file, Duration::ZERO).unwrap().unwrap();
    let mut child = Command::new("sleep").arg("300").stdin(lock.share().unwrap()).spawn().unwrap();
    drop(lock);
    assert!(Lock::on_file(&file, Duration::ZERO).unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(Lock::on_file(&file, Duration::ZERO).unwrap().is_some());
    let mut reader = Command::new("cat");
    let lock = Lock::on_file(&file, Duration::ZERO).unwrap().unwrap();
    let read = reader.stdin(lock.share().unwrap()).stdout(Stdio::piped()).output().unwrap();
    assert_eq!((read.status.success(), read.stdout.len()), (true, 0));
}

#[tokio::test]
async fn missing_cli_or_login_is_named_after_one_run() {
    let plain = "echo run >> runs; read answer; echo";
    for (script, missing, runs) in [
        (format!("{plain} 'You must be logged in to access the \"projects\" plugin.'; exit 1"), Setup::LoggedOut, 1),
        (format!("{plain} 'unknown command \"projects\" for \"stripe\"' >&2; exit 1"), Setup::LoggedOut, 2),
        (
            format!(
                "[ \"$1\" = --version ] && echo stripe version 1.39.9 && exit\n{plain} 'unknown command \"projects\"' >&2"
            ),
            Setup::CliTooOld,
            1,
        ),
    ] {
        let harness = ShellHarness::new(&script);
        let started = Instant::now();
        let error = harness.observe(LONG).await.unwrap_err();
        assert!(matches!(&error, BackendError::NotSetUp(what) if *what == missing), "{script}: {error}");
        assert!(started.elapsed() < Duration::from_secs(5));
        let output = fs::read_to_string(harness.state.path().join("stripe-cli/runs")).unwrap();
        assert_eq!(output.lines().count(), runs, "{script}");
    }
    let harness = ShellHarness::new("exit");
    fs::remove_file(&harness.bin).unwrap();
    let error = harness.observe(LONG).await.unwrap_err();
    assert!(matches!(error, BackendError::NotSetUp(Setup::CliMissing)), "{error}");
}

#[tokio::test]
async fn failed_service_is_removed_again() {
    for (word, removes, is_definite) in [("failed", true, true), ("failed", false, false), ("odd", true, false)] {
        let harness = ShellHarness::new(&fails_with(word, removes));
        let error = harness.backend(LONG).provision(&order()).await.unwrap_err();
        let is_refusal = matches!(error, BackendError::Refused(Refusal::ProviderFailed { code: None }));
        assert_eq!((is_refusal, error.is_definite()), (is_definite, is_definite), "{word} {removes}: {error}");
        let log = fs::read_to_string(harness.state.path().join("stripe-cli/log")).unwrap();
        assert_eq!(log.lines().filter(|verb| *verb == "add").count(), 1, "{log}");
        assert_eq!(log.lines().any(|verb| verb == "remove"), word == "failed", "an unknown status removes nothing");
    }
}

/// Returns a script with one service, listed with that status from `add` to `remove`.
fn fails_with(word: &str, removes: bool) -> String {
    let fixed =
        r#""project":{"id":"project_1","name":"agent-0"},"active_environment":"agent","environments":{"agent":{}}"#;
    let remove = if removes { "rm name" } else { ":" };
    format!(
        r#"echo "$2" >> log
        case "$2" in
        catalog) data='"services":[{{"service_id":"api","availability":"available"}}]' ;;
        add) echo "$5" > name ;;
        remove) {remove} ;;
        esac
        row=
        [ -e name ] && row='{{"id":"fres_1","status":"{word}","provider":"Exa","name":"'$(cat name)'"}}'
        [ "$2" = catalog ] || data='{fixed},"services":['$row']'
        echo '{{"ok":true,"data":{{'"$data"'}}}}'"#
    )
}

#[tokio::test]
async fn list_gives_up_early_on_a_running_call() {
    let harness = ShellHarness::new(&format!("echo '{ANSWER}'"));
    let notes = notes(harness.state.path());
    let backend =
        StripeCli::new(Some(harness.bin.clone()), notes, harness.state.path().to_owned(), Timeouts::default());
    let lock = Lock::on_file(&harness.state.path().join("stripe-cli.lock"), Duration::ZERO).unwrap().unwrap();
    let started = Instant::now();
    let ids = [ResourceId::new("fres_1".to_owned())];
    let error = backend.observe(Scope::Resources(&ids)).await.unwrap_err();
    assert!(
        matches!(error, BackendError::Unavailable { .. }) && started.elapsed() < Timeouts::default().lock_timeout / 4
    );
    drop(lock);
    assert_eq!(backend.observe(Scope::Resources(&ids)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn uninitialized_state_runs_and_creates_nothing() {
    let state = tempfile::tempdir().unwrap();
    let notes = notes(state.path());
    let nowhere = state.path().join("nowhere");
    let backend = StripeCli::new(Some(nowhere), notes, state.path().to_owned(), Timeouts::default());
    let id = ResourceId::new("fres_1".to_owned());
    assert_eq!(backend.observe(Scope::Everything).await.unwrap(), []);
    backend.teardown(&id).await.unwrap();
    backend.reconcile_limits().await.unwrap();
    for outcome in [backend.reveal(&id).await.map(drop), backend.resume(&id).await, backend.suspend(&id).await] {
        assert!(matches!(outcome, Err(BackendError::NotFound)));
    }
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
}

fn order() -> Order {
    Order {
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse("search").unwrap(),
        service: ServiceRef::parse("exa/api").unwrap(),
        plan: None,
        config: Map::new(),
        credentials: Vec::new(),
        cap: Cents::ZERO,
        paid: false,
        terms_accepted: true,
    }
}

const ANSWER: &str =
    r#"{"ok":true,"data":{"project":{"id":"project_1","name":"agent-0"},"services":[{"id":"fres_1","name":"a"}]}}"#;

const SHORT: Duration = Duration::from_millis(50);

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(60);
