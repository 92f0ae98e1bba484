//! A soak: four processes on one workspace, operations of both doors and deaths at random, the promises after each round.
//!
//! `cargo test --release --test suite soak -- --ignored --nocapture`, for [`SECONDS`] seconds, or as many as
//! `SOAK_SECONDS` says, over the backend that `SOAK_BACKEND` names. What is done follows from a printed seed, which
//! `SOAK_SEED` repeats; how four processes meet does not, so a seed finds the neighbourhood of a fault and not its moment.

use std::{
    collections::BTreeMap,
    env,
    process::Stdio,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    lines::{Lines, until},
    promises::{MINE, check},
    workspace::{Kind, Workspace},
};

#[test]
#[ignore = "takes as long as it is told to; the continuous integration runs it for half a minute"]
fn soak() {
    let seconds = number("SOAK_SECONDS").unwrap_or(SECONDS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("SOAK_SEED").unwrap_or_else(|| now.as_secs() ^ u64::from(now.subsec_nanos()) << 24);
    let kind = backend();
    println!("soak over {kind:?} for {seconds} s, SOAK_SEED={seed}");

    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut dice, mut sum, mut rounds) = (Dice(seed), Sum::default(), 0);
    while rounds == 0 || Instant::now() < until {
        let workspace = Workspace::on(kind);
        workspace.write(".env", MINE);
        let mut workers: Vec<_> = (0..PROCESSES).map(|number| Worker::new(&workspace, number, dice.fork())).collect();
        for _ in 0..ROUNDS_OF_A_WORKSPACE {
            thread::scope(|scope| workers.iter_mut().for_each(|worker| drop(scope.spawn(|| worker.work()))));
            rounds += 1;
            let case = format!("SOAK_SEED={seed}: {kind:?}, round {rounds}");
            settle(&workspace, &case);
            check(&workspace, &case);
            if Instant::now() >= until {
                break;
            }
        }
        for worker in workers {
            sum.add(worker.leave());
        }
    }
    println!("soak: {} operations survived, {} kills, {rounds} rounds, 0 violations", sum.operations, sum.kills);
    println!("soak: answers: {}", json!(sum.answers));
}

/// What one of the processes does: words on a command line, or calls of a server that lives on.
struct Worker<'a> {
    workspace: &'a Workspace,
    number: usize,
    dice: Dice,
    server: Option<Lines>,
    /// What must be true of the names that nobody else touches.
    own: BTreeMap<String, State>,
    sum: Sum,
}

/// What a worker knows of a project of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Absent,
    Active,
    Suspended,
    /// It was killed over it.
    Unknown,
}

#[derive(Default)]
struct Sum {
    operations: u64,
    kills: u64,
    answers: BTreeMap<String, u64>,
}

impl<'a> Worker<'a> {
    fn new(workspace: &'a Workspace, number: usize, dice: Dice) -> Self {
        Self { workspace, number, dice, server: None, own: BTreeMap::new(), sum: Sum::default() }
    }

    fn work(&mut self) {
        for _ in 0..OPERATIONS_OF_A_ROUND {
            let verb = match *self.dice.pick(VERBS) {
                "usage" if self.workspace.kind() != Kind::Simulated => "list", // is metered there
                verb => verb,
            };
            // Half of the names are everybody's.
            let own = self.dice.below(2) == 0;
            let name = if own { format!("w{}-{}", self.number, self.dice.below(2)) } else { self.shared() };
            let answer = if self.dice.below(2) == 0 { self.command(verb, &name) } else { self.call(verb, &name) };
            self.sum.operations += 1;
            let word = answer.clone().unwrap_or_else(|| "killed".to_owned());
            *self.sum.answers.entry(word).or_default() += 1;
            if own {
                self.compare(verb, &name, answer.as_deref());
            }
        }
        // A server that nobody speaks to must be no hindrance, so some stay.
        if self.dice.below(2) == 0 {
            self.end_server();
        }
    }

    fn shared(&mut self) -> String {
        format!("shared-{}", self.dice.below(3))
    }

    /// The code of its answer, `ok` for none; `None`: it was killed.
    fn command(&mut self, verb: &str, name: &str) -> Option<String> {
        let provider = *self.dice.pick(self.providers());
        let arguments = match verb {
            "extend" => vec!["extend", name, "1h"],
            "list" => vec!["list"],
            "provision" => vec!["provision", name, provider],
            "reap" => vec!["reap"],
            "teardown" => vec!["teardown", name, "--yes"],
            "usage" => vec!["usage", "record", name, "0.01"],
            _ => vec![verb, name],
        };
        let mut command = self.workspace.command(&arguments);
        let begun = Instant::now();
        let mut child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(moment) = self.death() {
            thread::sleep(moment);
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let took = begun.elapsed();
        assert!(!stderr.contains("internal error"), "{arguments:?}: {stderr}");
        if took > TIMEOUT {
            return self.gave_up(); // and then anything may be half done
        }
        let answer: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"));
        self.sound(&answer, verb, name);
        Some(code(&answer))
    }

    /// The same through the agent's door; what that has no tool for goes to the human's.
    fn call(&mut self, verb: &str, name: &str) -> Option<String> {
        let provider = *self.dice.pick(self.providers());
        let (tool, arguments) = match verb {
            "list" => ("list_projects", json!({})),
            "provision" => ("provision", json!({ "name": name, "provider": provider })),
            "rotate" => ("rotate_key", json!({ "name": name })),
            "teardown" => ("teardown", json!({ "name": name })),
            _ => return self.command(verb, name),
        };
        let moment = self.death();
        let server = self.server.get_or_insert_with(|| greet(self.workspace));
        if let Some(moment) = moment {
            server.send_call(tool, &arguments);
            thread::sleep(moment);
            self.server.take().unwrap().kill();
            return None;
        }
        let begun = Instant::now();
        let answer = server.call(tool, &arguments);
        if begun.elapsed() > TIMEOUT {
            return self.gave_up();
        }
        self.sound(&answer, verb, name);
        Some(code(&answer))
    }

    /// The disk is so slow that somebody's timeout with somebody else may have run out.
    fn gave_up(&mut self) -> Option<String> {
        *self.sum.answers.entry("took too long".to_owned()).or_default() += 1;
        None
    }

    /// Whatever others do meanwhile, an answer is one of few.
    fn sound(&self, answer: &Value, verb: &str, name: &str) {
        assert!(
            MAY_BE.contains(&code(answer).as_str()),
            "{verb} {name}: {answer:#}, in {}",
            self.workspace.path().display()
        );
    }

    /// A plan outlives what it was bought for, and so would be billed and not listed; so none that wants one.
    fn providers(&self) -> &'static [&'static str] {
        if self.workspace.kind() == Kind::Simulated { PROVIDERS } else { &["supermemory", "tts"] }
    }

    /// When this operation dies, if it does.
    fn death(&mut self) -> Option<Duration> {
        let dies = self.dice.below(4) == 0;
        let longest = if self.workspace.kind() == Kind::Simulated { 40_000 } else { 300_000 };
        let moment = Duration::from_micros(self.dice.below(longest));
        self.sum.kills += u64::from(dies);
        dies.then_some(moment)
    }

    /// Nobody else touches this name, so what comes of an operation follows from what came of the ones before.
    fn compare(&mut self, verb: &str, name: &str, answer: Option<&str>) {
        let state = self.own.entry(name.to_owned()).or_insert(State::Absent);
        let changes = matches!(verb, "provision" | "resume" | "rotate" | "suspend" | "teardown");
        let Some(answer) = answer else {
            if changes {
                *state = State::Unknown;
            }
            return;
        };
        let expected: &[&str] = match (verb, *state) {
            ("list" | "reap", _) | ("provision", State::Absent) => &["ok"],
            (_, State::Unknown) => MAY_BE,
            ("provision", _) => &["already_exists"],
            ("teardown", State::Absent) => &["ok", "project_not_found"], // of one that was, or never was
            (_, State::Absent) => &["project_not_found"],
            ("rotate" | "usage", State::Suspended) => &["suspended"],
            _ => &["ok"],
        };
        assert!(expected.contains(&answer), "{verb} {name}, {state:?}: {answer}");
        *state = match (verb, answer) {
            ("provision" | "resume" | "rotate", "ok") => State::Active,
            ("suspend", "ok") => State::Suspended,
            ("teardown", "ok") => State::Absent,
            (verb, "project_not_found") if changes => {
                debug_assert_ne!(verb, "provision");
                State::Absent
            }
            _ => *state,
        };
    }

    fn end_server(&mut self) {
        if let Some(server) = self.server.take() {
            assert_eq!(server.leave().code, 0);
        }
    }

    fn leave(mut self) -> Sum {
        self.end_server();
        self.sum
    }
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.kills += other.kills;
        other.answers.into_iter().for_each(|(word, count)| *self.answers.entry(word).or_default() += count);
    }
}

fn greet(workspace: &Workspace) -> Lines {
    let mut command = workspace.command(&["serve"]);
    command.env("RUST_BACKTRACE", "1");
    let mut lines = Lines::start(command);
    lines.hello("soak");
    lines
}

/// A server that starts settles what the dead have left, and sweeps up after them.
fn settle(workspace: &Workspace, case: &str) {
    let server = Lines::greet(workspace);
    let is_settled =
        || workspace.leftovers().is_empty() && workspace.ledger().projects().unsettled().unwrap().is_empty();
    until(case, || is_settled().then_some(()));
    assert_eq!(server.leave().code, 0, "{case}");
}

fn code(answer: &Value) -> String {
    answer["code"].as_str().unwrap_or("ok").to_owned()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().expect(variable))
}

fn backend() -> Kind {
    match env::var("SOAK_BACKEND").as_deref() {
        Err(_) | Ok("simulated") => Kind::Simulated,
        Ok("stripe-api") => Kind::StripeApi,
        Ok("stripe-cli") => Kind::StripeCli,
        Ok(other) => panic!("there is no backend {other}"),
    }
}

/// Numbers that follow from a seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

const SECONDS: u64 = 30 * 60;

/// How long one process waits for another to be done with a file, at least.
const TIMEOUT: Duration = Duration::from_secs(10);

const PROCESSES: usize = 4;

const OPERATIONS_OF_A_ROUND: usize = 8;

/// A new workspace then, so that a round costs what it cost.
const ROUNDS_OF_A_WORKSPACE: usize = 25;

/// The likelier ones more than once.
const VERBS: &[&str] = &[
    "provision",
    "provision",
    "provision",
    "rotate",
    "rotate",
    "suspend",
    "resume",
    "resume",
    "teardown",
    "list",
    "extend",
    "keep",
    "usage",
    "reap",
];

const PROVIDERS: &[&str] = &["search", "supermemory", "llm", "tts"];

/// What may come of an operation on a name that others are at work on.
///
/// `resource_not_found`: usage of one whose teardown was killed half way.
const MAY_BE: &[&str] = &["ok", "already_exists", "project_not_found", "resource_not_found", "suspended"];
