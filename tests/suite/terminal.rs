//! The command line at a terminal: output, prompts and interrupts. Also the output on a pipe.

use std::{
    io,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    pseudo_terminal::{Terminal, TerminalOutput},
    raw_client::until,
    snapshots::assert_text,
    workspace::{BackendKind, CommandOutput, Workspace},
};

#[test]
fn list_shows_budgets_and_fits_the_width() {
    let here = workspace_with_budgets();
    for columns in [160, 120, 80, 60, 40] {
        let output = Terminal::start(&here.command(&["list", "--all"]), columns).finish();
        assert_eq!(output.code, 0, "{}", output.screen);
        for line in output.screen.lines() {
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
        }
        assert_output(&here, &format!("terminal_list_{columns}"), &output);
    }
    let piped = here.ok(&["list", "--all"]).stdout;
    assert!(!piped.contains("ago") && !piped.contains('█') && !piped.contains('\x1b'), "{piped}");
    assert!(!here.ok(&["list", "--all", "--json"]).stdout.contains(" ago"));
}

#[test]
fn color_follows_the_terminal_and_environment() {
    let here = workspace_with_budgets();
    let terminal = |wishes: &[(&str, &str)]| {
        let mut command = here.command(&["list"]);
        command.envs(wishes.iter().copied());
        Terminal::start(&command, 120).finish().written
    };
    let painted = terminal(&[]);
    assert_text("terminal_list_painted", &painted.replace("\r\n", "\n").replace('\x1b', "␛"));
    for wishes in [&[("NO_COLOR", "")][..], &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")]] {
        assert!(is_painted(&terminal(wishes)), "{wishes:?}");
    }
    for wishes in [
        &[("NO_COLOR", "1")][..],
        &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
        &[("TERM", "dumb")],
        &[("CLICOLOR", "0")],
    ] {
        let written = terminal(wishes);
        assert!(!is_painted(&written) && written.contains('█'), "{wishes:?}: {written}");
    }
    let piped = |value: &str| here.cli(&["list"]).env("CLICOLOR_FORCE", value).run().stdout;
    assert!(is_painted(&piped("1")));
    assert_eq!((piped("0"), piped("")), (here.ok(&["list"]).stdout, here.ok(&["list"]).stdout));
}

#[test]
fn errors_are_highlighted() {
    let here = Workspace::new();
    let output = Terminal::start(&here.command(&["rotate", "memory"]), 100).finish();
    assert!(output.written.contains("\x1b[1;31merror:\x1b[0m "), "{}", output.written);
    assert_eq!(output.code, 4);
    assert_output(&here, "terminal_error", &output);
}

#[test]
fn teardown_asks_and_obeys_the_answer() {
    let here = Workspace::new();
    here.ok(&["provision", "memory", "supermemory"]);
    for (name, keys, code) in [("no", "n\r", 3), ("nothing", "\r", 3), ("end", "\x04", 3), ("ctrl_c", "\x03", 130)] {
        let terminal = Terminal::start(&here.command(&["teardown", "memory"]), 100);
        terminal.until("[y/N] ").press(keys);
        let output = terminal.finish();
        assert_eq!(output.code, code, "{name}: {}", output.screen);
        assert_eq!(here.json(&["list"])["live_count"], 1, "{name}");
        assert_output(&here, &format!("terminal_teardown_{name}"), &output);
    }
    let terminal = Terminal::start(&here.command(&["teardown", "memory"]), 100);
    terminal.until("[y/N] ").press("y\r");
    let output = terminal.finish();
    assert_eq!((output.code, &here.json(&["list"])["live_count"]), (0, &json!(0)), "{}", output.screen);
    assert_output(&here, "terminal_teardown_yes", &output);
}

#[test]
fn wait_is_shown_and_erased() {
    let here = workspace_with_slow_purchase(2500);
    let terminal = Terminal::start(&here.command(&PROVISION), 100);
    terminal.until("waiting for stripe-cli …").until("waiting for stripe-cli … 1 s");
    let output = terminal.finish();
    assert!(output.code == 0 && !output.screen.contains("waiting"), "{}", output.screen);
    assert_output(&here, "terminal_provision", &output);
    here.cli(&["list"]).stderr("").succeed();
}

#[test]
fn first_ctrl_c_lets_a_purchase_finish() {
    let here = workspace_with_slow_purchase(3000);
    let terminal = Terminal::start(&here.command(&PROVISION), 100);
    wait_for_purchase(&here);
    terminal.press("\x03").until("finishing the operation");
    let output = terminal.finish();
    assert_eq!(output.code, 0, "{}", output.screen);
    assert_delivered_once(&here);
    assert_output(&here, "terminal_ctrl_c_once", &output);
}

#[test]
fn second_ctrl_c_leaves_the_purchase_to_the_next_call() {
    let here = workspace_with_slow_purchase(3000);
    let terminal = Terminal::start(&here.command(&PROVISION), 100);
    wait_for_purchase(&here);
    terminal.press("\x03").until("finishing the operation");
    // SIGTERM from another process counts as well.
    assert!(Command::new("kill").args(["-TERM", &terminal.pid().to_string()]).status().unwrap().success());
    let output = terminal.finish();
    assert_eq!(output.code, 6, "{}", output.screen);
    assert_eq!(here.variable("SUPERMEMORY_API_KEY"), None);
    assert_output(&here, "terminal_ctrl_c_twice", &output);

    let next = here.run(&PROVISION);
    assert_eq!(next.code, 3, "it is finished, and so it exists: {next:?}");
    assert_delivered_once(&here);
}

/// An operation with a recorded intent is not cancelled, for any command. The test stalls the simulated account at that
/// point.
#[test]
fn ctrl_c_after_an_intent_lets_a_small_command_finish() {
    let here = Workspace::new();
    here.ok(&PROVISION);
    let world = rusqlite::Connection::open(here.state().join("simulated.db")).unwrap();
    world.execute_batch("BEGIN IMMEDIATE").unwrap();
    let terminal = Terminal::start(&here.command(&["usage", "record", "memory", "1.25"]), 100);
    until("the intent", || {
        here.ledger().audit().rows().unwrap().iter().any(|row| row.action == "usage record").then_some(())
    });
    terminal.press("\x03").until("finishing the operation");
    world.execute_batch("ROLLBACK").unwrap();
    let output = terminal.finish();
    assert_eq!(output.code, 0, "{}", output.screen);
    assert_eq!(here.json(&["list"])["projects"][0]["usage_usd"], 1.25);
}

#[test]
fn ctrl_c_at_the_prompt_ends_a_watch_and_rotates_nothing() {
    let here = workspace_with_leak(BackendKind::Simulated);
    let terminal = Terminal::start(&here.command(&["scan", "log", "--watch", "--rotate"]), 100);
    terminal.until("[y/N] ").press("\x03");
    let output = terminal.finish();
    assert_eq!(output.code, 7, "{}", output.screen);
    assert!(output.screen.contains("not rotated: memory: cancelled"), "{}", output.screen);
    assert_eq!(here.json(&["list"])["projects"][0]["key_version"], 1);
}

/// A rotation in progress completes and is reported, whether or not the scan goes on.
#[test]
fn ctrl_c_in_a_rotation_lets_it_finish_and_reports_it() {
    for arguments in [&["scan", "log", "--rotate", "--yes"][..], &["scan", "log", "--rotate", "--yes", "--watch"]] {
        let here = workspace_with_leak(BackendKind::StripeCli);
        here.fake_stripe().inject_faults(json!([{ "verb": "rotate", "fault": "slow", "ms": 3000 }]));
        let terminal = Terminal::start(&here.command(arguments), 100);
        wait_for_purchase(&here);
        terminal.press("\x03").until("finishing the operation");
        let output = terminal.finish();
        assert_eq!(output.code, 7, "{}", output.screen);
        assert!(output.screen.contains("rotated memory: version 2 is in the env file"), "{}", output.screen);
        let twice = Terminal::start(&here.command(&["rotate", "memory"]), 100).finish();
        assert_eq!(twice.code, 0, "nothing was left open: {}", twice.screen);
    }
}

#[test]
fn closed_stdout_is_no_error() {
    let here = workspace_with_budgets();
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["providers"],
        &["--help"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["man"],
        &["man", "provision"],
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let child = here.command(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = CommandOutput::from(child.wait_with_output().unwrap());
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn each_shell_gets_completions_and_man_pages() {
    let here = Workspace::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = here.ok(&["completions", shell]).stdout;
        for word in ["provision", "teardown", "replace", "completions"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    let script = here.ok(&["completions", "bash"]).stdout;
    let sought: Vec<&str> = script.split("cmd=\"").skip(2).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(sought.len() > 8, "{sought:?}");
    for label in sought {
        assert!(script.contains(&format!("\n        {label})")), "bash looks for {label} and does not find it");
    }
    assert_text("man", &here.ok(&["man"]).stdout);
    assert_text("man_provision", &here.ok(&["man", "provision"]).stdout);
}

/// Budgets of every kind: nearly used, used up, unused, torn down. One name is long, and times differ.
fn workspace_with_budgets() -> Workspace {
    let here = Workspace::new();
    here.ok(&["provision", "old-idea", "search"]);
    here.ok(&["teardown", "old-idea", "--yes"]);
    here.ok(&["provision", "memory", "supermemory", "--cap", "5"]);
    here.ok(&["usage", "record", "memory", "4.5"]);
    here.ok(&["provision", "db", "postgres"]);
    here.ok(&["provision", "the-memory-of-everything-that-was-ever-sent", "supermemory", "--cap", "1"]);
    here.ok(&["usage", "record", "the-memory-of-everything-that-was-ever-sent", "1"]);
    let ledger = rusqlite::Connection::open(here.state().join("ledger.db")).unwrap();
    for (name, minutes) in [("memory", 200), ("db", 12), ("old-idea", 6 * 24 * 60)] {
        let earlier = "UPDATE projects SET created_at = created_at - ?2 * 60000 WHERE name = ?1";
        assert_eq!(ledger.execute(earlier, (name, minutes)).unwrap(), 1);
    }
    here
}

/// Creates a workspace whose only key is in a log.
fn workspace_with_leak(kind: BackendKind) -> Workspace {
    let here = Workspace::on(kind);
    here.ok(&PROVISION);
    here.allow_planted_keys();
    here.write("log", here.read(".env"));
    here
}

/// Creates a workspace whose next purchase takes that many milliseconds.
fn workspace_with_slow_purchase(ms: u32) -> Workspace {
    let here = Workspace::on(BackendKind::StripeCli);
    here.fake_stripe().inject_faults(json!([{ "verb": "add", "fault": "slow", "ms": ms }]));
    here
}

/// Waits until `stripe` runs.
fn wait_for_purchase(here: &Workspace) {
    let started = Instant::now();
    while !here.fake_stripe().pending_faults().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is being bought");
        thread::sleep(Duration::from_millis(10));
    }
}

fn assert_delivered_once(here: &Workspace) {
    let key = here.variable("SUPERMEMORY_API_KEY").unwrap();
    assert!(here.owner_of(&key).is_some(), "the key opens nothing");
    assert_eq!(here.billed_resources().len(), 1);
    assert_eq!(here.json(&["list"])["projects"][0]["status"], "active");
}

fn assert_output(here: &Workspace, name: &str, output: &TerminalOutput) {
    let screen = output.screen.trim_end();
    assert_text(name, &format!("{screen}\n── exit {}", output.code).replace(here.path().to_str().unwrap(), "[DIR]"));
}

fn is_painted(text: &str) -> bool {
    text.contains("\x1b[32m") && text.contains("\x1b[0m")
}

const PROVISION: [&str; 3] = ["provision", "memory", "supermemory"];
