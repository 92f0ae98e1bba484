//! The limit over all requests of a connection: a client that sends and does not read costs a bounded amount of memory.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use files::fs::Lock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    raw_client::{RawClient, until},
    workspace::Workspace,
};

/// A server whose output is not read until a test says so.
struct Silent {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Silent {
    /// Returns the initialized server and its input.
    fn start(here: &Workspace) -> (Self, ChildStdin) {
        let mut command = here.command(&["serve"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let client = json!({ "name": "silent", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        let request = json!({ "jsonrpc": "2.0", "id": "init", "method": "initialize", "params": params });
        writeln!(input, "{request}").unwrap();
        writeln!(input, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).unwrap();
        let mut output = BufReader::new(output);
        assert_eq!(line(&mut output)["id"], "init");
        (Self { child, output }, input)
    }

    /// Returns a number of kilobytes, or of threads, from the kernel's view of the process.
    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Sends numbered requests until all are sent or the test ends, and counts them.
struct Flood {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<ChildStdin>,
}

impl Flood {
    fn start(mut input: ChildStdin, method: &'static str, params: Value, most: u64) -> Self {
        let (sent, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, stopped) = (Arc::clone(&sent), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            for id in 0..most {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
                if writeln!(input, "{request}").is_err() {
                    break; // the server has ended
                }
                count.fetch_add(1, Ordering::SeqCst);
            }
            input
        });
        Self { sent, stop, thread }
    }

    /// Waits until the server has stopped reading, or everything is sent.
    fn wait_until_it_stalls(&self) {
        let (mut seen, mut since) = (0, Instant::now());
        until("a stall", || {
            let sent = self.sent.load(Ordering::SeqCst);
            if sent != seen {
                (seen, since) = (sent, Instant::now());
            }
            (self.thread.is_finished() || since.elapsed() > Duration::from_secs(2)).then_some(())
        });
    }
}

/// A client that never reads makes the server wait, and a client that reads again gets every answer, once and in order
/// of completion.
fn flood(method: &'static str, params: Value, most: u64) {
    let here = Workspace::new();
    here.ok(&["provision", "memory", "supermemory"]);
    let (mut server, input) = Silent::start(&here);
    let flood = Flood::start(input, method, params, most);
    flood.wait_until_it_stalls();
    let (peak, threads) = (server.status("VmHWM"), server.status("Threads"));
    let sent = flood.sent.load(Ordering::SeqCst);
    eprintln!("{method}: {sent} sent before the server waited; peak {peak} kB, {threads} threads");
    assert!(peak < 100_000, "{method}: {peak} kB after {sent} requests");
    assert!(threads < 200, "{method}: {threads} threads");
    assert!(sent < most, "{method}: {most} requests were taken from a client that does not read");

    flood.stop.store(true, Ordering::SeqCst);
    let mut answered = Vec::new();
    // The last request may be in the pipe: the count is final once the thread has ended.
    while !flood.thread.is_finished() || (answered.len() as u64) < flood.sent.load(Ordering::SeqCst) {
        let answer = line(&mut server.output);
        assert!(answer.get("result").is_some(), "{answer}");
        answered.push(answer["id"].as_u64().unwrap());
    }
    answered.sort_unstable();
    let sent = flood.sent.load(Ordering::SeqCst);
    assert!(answered.iter().copied().eq(0..sent), "{} of {sent} answered", answered.len());
    let mut input = flood.thread.join().unwrap();
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": "last", "method": "ping" })).unwrap();
    assert_eq!(line(&mut server.output)["id"], "last");
    drop(input);
    assert!(until("the end", || server.child.try_wait().unwrap()).success());
    eprintln!("{method}: {sent} answered");
}

#[test]
fn unread_pings_are_bounded() {
    flood("ping", json!({}), 200_000);
}

#[test]
fn unread_tool_lists_are_bounded() {
    flood("tools/list", json!({}), 200_000);
}

#[test]
fn unread_resources_are_bounded() {
    flood("resources/read", json!({ "uri": "stripe-projects://projects" }), 200_000);
}

#[test]
fn unread_calls_are_bounded() {
    flood("tools/call", json!({ "name": "list_projects", "arguments": {} }), 200_000);
}

/// Large requests count by their size as well.
#[test]
fn unread_large_requests_are_bounded() {
    let padding = "x".repeat(1024 * 1024);
    flood("prompts/list", json!({ "_meta": { "padding": padding } }), 2_000);
}

#[test]
fn unreading_client_does_not_keep_the_server() {
    let here = Workspace::new();
    let (mut server, input) = Silent::start(&here);
    let flood = Flood::start(input, "tools/list", json!({}), 200_000);
    flood.wait_until_it_stalls();
    flood.stop.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    let ended = until("the end after a signal", || server.child.try_wait().unwrap());
    assert!(ended.success() && begun.elapsed() < Duration::from_secs(15), "{ended:?} after {:?}", begun.elapsed());
}

/// At the limit of unanswered requests, the answer to a form and a cancellation are still read.
#[test]
fn answers_and_cancellations_are_read_at_the_limit() {
    let here = Workspace::new();
    let mut client = RawClient::open(&here);
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": { "elicitation": {} },
        "clientInfo": { "name": "busy", "version": "1" },
    });
    client.request("initialize", &params);
    client.write_line(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
    // All forms of an hour are open, and more requests than the limit are sent behind them.
    let calls: Vec<u64> = (0..6)
        .map(|number| {
            let arguments = json!({ "name": format!("p{number}"), "provider": "supermemory", "spend_cap_usd": 80 });
            client.send_call("provision", &arguments)
        })
        .collect();
    let forms = until("the forms", || {
        let forms: Vec<Value> =
            client.messages().into_iter().filter(|message| message["method"] == "elicitation/create").collect();
        (forms.len() == calls.len()).then_some(forms)
    });
    let behind: Vec<u64> = (0..2_000).map(|_| client.send("resources/list", &json!({}))).collect();
    let cancelled = json!({ "requestId": calls[0] });
    let message = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled });
    client.write_line(message.to_string());
    for form in &forms {
        let accepted = json!({ "action": "accept", "content": { "approve": true } });
        client.write_line(json!({ "jsonrpc": "2.0", "id": form["id"], "result": accepted }).to_string());
    }
    let answers = |client: &RawClient| -> BTreeSet<u64> {
        let messages = client.messages();
        let answers = messages.iter().filter(|message| message.get("method").is_none());
        answers.filter_map(|message| message["id"].as_u64()).collect()
    };
    let expected: BTreeSet<u64> = calls[1..].iter().chain(&behind).copied().collect();
    let answered = until("the answers", || Some(answers(&client)).filter(|answered| answered.is_superset(&expected)));
    assert!(!answered.contains(&calls[0]), "a cancelled call has no answer");
}

/// A name that no project has leaves nothing behind.
#[test]
fn unknown_names_leave_no_lock_files() {
    let here = Workspace::new();
    here.ok(&["provision", "memory", "supermemory"]);
    let mut client = RawClient::initialize(&here);
    for number in 0..2_000 {
        let tool = if number % 2 == 0 { "rotate_key" } else { "teardown" };
        let error = client.call(tool, &json!({ "name": format!("unknown-{number}") }));
        assert_eq!(error["code"], "project_not_found", "{error}");
    }
    let refused = client.call("provision", &json!({ "name": "unknown", "provider": "none" }));
    assert_eq!(refused["code"], "unknown_provider", "{refused}");
    client.disconnect();
    for command in ["rotate", "suspend", "resume", "extend", "keep", "abandon"] {
        let arguments: &[&str] = if command == "extend" { &["extend", "unknown", "1d"] } else { &[command, "unknown"] };
        assert_eq!(here.run(arguments).code, 4, "{command}");
    }
    let locks = here.files().into_iter().filter(|file| file.to_string_lossy().contains("unknown"));
    assert_eq!(locks.count(), 0);
}

/// Many threads lock a file that each holder removes: never two at once.
#[test]
fn removed_lock_file_is_never_held_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.lock");
    let (holders, rounds) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let lock = Lock::on_file(&path, Duration::from_secs(60)).unwrap().unwrap();
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                    rounds.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    holders.fetch_sub(1, Ordering::SeqCst);
                    lock.remove();
                }
            });
        }
    });
    assert_eq!(rounds.load(Ordering::SeqCst), 800);
    assert!(!path.exists());
    let lock = || Lock::on_file(&path, Duration::ZERO).unwrap();
    let first = lock().unwrap();
    assert!(first.is_new() && lock().is_none());
    drop(first);
    assert!(!lock().unwrap().is_new());
}
