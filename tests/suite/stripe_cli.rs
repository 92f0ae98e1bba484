//! The real backend as a process that starts processes: what is ended, what is bounded, and who holds the lock.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Map;
use stripe_projects_mcp::{
    backend::{
        Backend as _, BackendError, Order, Refusal, Scope, Setup,
        stripe_cli::{StripeCli, Timeouts},
    },
    fs::Lock,
    ledger::Ledger,
    money::Cents,
    name::{ProjectName, ServiceRef},
    project::{ProjectId, ResourceId},
};
use tempfile::TempDir;

use crate::lines::until;

/// A state folder in which something was begun, and a `stripe` that is a few lines of shell.
struct Bench {
    state: TempDir,
    bin: PathBuf,
}

impl Bench {
    fn new(script: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        Ledger::of(state.path()).kv().put_note("stripe-cli", "project-name", "agent-0").unwrap();
        let bin = state.path().join("stripe");
        write_script(&bin, script);
        Self { state, bin }
    }

    fn backend(&self, verb: Duration) -> StripeCli {
        let ledger = Arc::new(Ledger::of(self.state.path()));
        let pace =
            Timeouts { verb, poll_pause: MOMENT, poll_patience: MOMENT, lock_patience: MOMENT, cut_off_memory: MOMENT };
        StripeCli::new(Some(self.bin.clone()), ledger, self.state.path().to_owned(), pace)
    }

    async fn observe(&self, verb: Duration) -> Result<usize, BackendError> {
        self.backend(verb).observe(Scope::Everything).await.map(|observed| observed.len())
    }

    /// Whether nobody at all has the lock file open and locked.
    fn is_unlocked(&self) -> bool {
        Lock::on_file(&self.state.path().join("stripe-cli.lock"), Duration::ZERO).unwrap().is_some()
    }
}

/// Written by another process: a file that this one has open for writing, even in a fork, could not be run.
pub fn write_script(file: &Path, script: &str) {
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 700 "$2""#;
    let status = Command::new("sh").args(["-c", write, "sh", script]).arg(file).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_verb_that_takes_too_long_is_ended_with_all_it_started() {
    let bench = Bench::new("exec 3<&0\nsleep 300 &\nsleep 300 & sleep 300");
    let began = Instant::now();
    let error = bench.observe(Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.to_string(), "the backend cannot be used: `stripe projects status` took too long");
    assert!(began.elapsed() < Duration::from_secs(10));
    until("the lock that each of them held", || bench.is_unlocked().then_some(()));
}

/// With a network it would open a browser and wait for minutes; nobody asked for that.
#[tokio::test]
async fn a_prompt_to_log_in_is_not_waited_for() {
    for stream in ["1", "2"] {
        let bench = Bench::new(&format!("exec 3<&0\necho 'You must be logged in to use it.' >&{stream}\nsleep 300"));
        let began = Instant::now();
        let error = bench.observe(LONG).await.unwrap_err();
        assert!(matches!(error, BackendError::NotSetUp(Setup::LoggedOut)), "{error}");
        assert!(began.elapsed() < Duration::from_secs(10));
        until("the lock", || bench.is_unlocked().then_some(()));
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_longer_is_left_to_finish() {
    let bench = Bench::new("exec 3<&0\necho > began\nwhile [ ! -e go ]; do sleep 0.01; done\necho > finished");
    let backend = bench.backend(LONG);
    let began = bench.state.path().join("stripe-cli/began");
    tokio::select! {
        _ = backend.observe(Scope::Everything) => panic!("it does not answer"),
        () = async { while !began.exists() { tokio::time::sleep(Duration::from_millis(5)).await } } => {}
    }
    assert!(!bench.is_unlocked(), "nobody looks or acts before it has ended");
    fs::write(began.with_file_name("go"), "").unwrap();
    until("its end", || bench.is_unlocked().then_some(()));
    assert!(began.with_file_name("finished").exists());
}

#[tokio::test]
async fn what_an_answer_leaves_running_does_not_delay_it() {
    let bench = Bench::new(&format!("exec 3<&0\nsleep 300 &\necho '{ANSWER}'"));
    let began = Instant::now();
    assert_eq!(bench.observe(LONG).await.unwrap(), 1);
    assert!(began.elapsed() < Duration::from_secs(10));
    until("the lock that the helper held", || bench.is_unlocked().then_some(()));
}

#[tokio::test]
async fn a_flood_is_cut_off() {
    for (flood, why) in [
        (format!("head -c 5000000 /dev/zero; echo '{ANSWER}'"), Some("printed too much")),
        (format!("echo '{ANSWER}'; head -c 5000000 /dev/zero"), Some("printed too much")),
        (format!("head -c 300000 /dev/zero >&2; echo '{ANSWER}'"), Some("printed too much")),
        (format!("head -c 200000 /dev/zero >&2; echo '{ANSWER}'"), None),
        (format!("head -c 2000000 /dev/zero; echo; echo '{ANSWER}'; exit 3"), None),
        ("yes".to_owned(), Some("printed too much")),
    ] {
        let outcome = Bench::new(&flood).observe(LONG).await;
        let shown = outcome.as_ref().err().map(ToString::to_string);
        assert_eq!(
            shown,
            why.map(|why| format!("the backend cannot be used: `stripe projects status` {why}")),
            "{flood}"
        );
    }
}

#[tokio::test]
async fn one_that_escapes_keeps_everybody_waiting_until_it_has_ended() {
    let escape = format!(
        "exec 3<&0\n[ -e escaped ] || setsid sh -c 'echo > escaped; sleep 2' > /dev/null 2>&1 &\n\
        while [ ! -e escaped ]; do sleep 0.01; done\necho '{ANSWER}'"
    );
    let bench = Bench::new(&escape);
    assert_eq!(bench.observe(LONG).await.unwrap(), 1);
    let error = bench.observe(LONG).await.unwrap_err();
    assert!(error.to_string().contains("another call to the Stripe CLI is still running"), "{error}");
    until("its end", || bench.is_unlocked().then_some(()));
    assert_eq!(bench.observe(LONG).await.unwrap(), 1);
}

#[test]
fn a_shared_lock_outlives_its_first_holder() {
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
async fn what_is_missing_on_the_machine_is_named_after_one_look() {
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
        let bench = Bench::new(&script);
        let began = Instant::now();
        let error = bench.observe(LONG).await.unwrap_err();
        assert!(matches!(&error, BackendError::NotSetUp(what) if *what == missing), "{script}: {error}");
        assert!(began.elapsed() < Duration::from_secs(5));
        let ran = fs::read_to_string(bench.state.path().join("stripe-cli/runs")).unwrap();
        assert_eq!(ran.lines().count(), runs, "{script}");
    }
    let bench = Bench::new("exit");
    fs::remove_file(&bench.bin).unwrap();
    let error = bench.observe(LONG).await.unwrap_err();
    assert!(matches!(error, BackendError::NotSetUp(Setup::CliMissing)), "{error}");
}

#[tokio::test]
async fn a_service_that_failed_to_come_to_be_is_taken_away_again() {
    for (word, removes, is_definite) in [("failed", true, true), ("failed", false, false), ("odd", true, false)] {
        let bench = Bench::new(&fails_with(word, removes));
        let error = bench.backend(LONG).provision(&order()).await.unwrap_err();
        let refused = matches!(error, BackendError::Refused(Refusal::ProviderFailed { code: None }));
        assert_eq!((refused, error.is_definite()), (is_definite, is_definite), "{word} {removes}: {error}");
        let log = fs::read_to_string(bench.state.path().join("stripe-cli/log")).unwrap();
        assert_eq!(log.lines().filter(|verb| *verb == "add").count(), 1, "{log}");
        assert_eq!(
            log.lines().any(|verb| verb == "remove"),
            word == "failed",
            "a word that nobody knows removes nothing"
        );
    }
}

/// One service, which is listed from its `add` to its `remove` with that status.
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
async fn a_list_does_not_wait_long_for_a_call_that_is_at_work() {
    let bench = Bench::new(&format!("echo '{ANSWER}'"));
    let ledger = Arc::new(Ledger::of(bench.state.path()));
    let backend = StripeCli::new(Some(bench.bin.clone()), ledger, bench.state.path().to_owned(), Timeouts::default());
    let lock = Lock::on_file(&bench.state.path().join("stripe-cli.lock"), Duration::ZERO).unwrap().unwrap();
    let began = Instant::now();
    let asked = [ResourceId::new("fres_1".to_owned())];
    let error = backend.observe(Scope::Resources(&asked)).await.unwrap_err();
    assert!(
        matches!(error, BackendError::Unavailable { .. }) && began.elapsed() < Timeouts::default().lock_patience / 4
    );
    drop(lock);
    assert_eq!(backend.observe(Scope::Resources(&asked)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn where_nothing_was_begun_nothing_is_run_or_made() {
    let state = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::of(state.path()));
    let nowhere = state.path().join("nowhere");
    let backend = StripeCli::new(Some(nowhere), ledger, state.path().to_owned(), Timeouts::default());
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

const MOMENT: Duration = Duration::from_millis(50);

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(60);
