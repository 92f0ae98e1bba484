//! At a terminal: what a person sees, is asked, and may interrupt; and what a pipe gets instead.

use std::{
    io,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    lines::until,
    pseudo_terminal::{Left, Terminal},
    snapshots::shown,
    workspace::{Kind, Ran, Workspace},
};

#[test]
fn a_list_shows_budgets_and_fits() {
    let here = spending();
    for columns in [160, 120, 80, 60, 40] {
        let left = Terminal::start(&here.command(&["list", "--all"]), columns).left();
        assert_eq!(left.code, 0, "{}", left.screen);
        for line in left.screen.lines() {
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
        }
        saw(&here, &format!("terminal_list_{columns}"), &left);
    }
    let piped = here.ok(&["list", "--all"]).stdout;
    assert!(!piped.contains("ago") && !piped.contains('█') && !piped.contains('\x1b'), "{piped}");
    assert!(!here.ok(&["list", "--all", "--json"]).stdout.contains(" ago"));
}

#[test]
fn colour_goes_where_it_is_wanted() {
    let here = spending();
    let terminal = |wishes: &[(&str, &str)]| {
        let mut command = here.command(&["list"]);
        command.envs(wishes.iter().copied());
        Terminal::start(&command, 120).left().written
    };
    let painted = terminal(&[]);
    shown("terminal_list_painted", &painted.replace("\r\n", "\n").replace('\x1b', "␛"));
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
    let piped = |wish: &str| {
        let output = here.command(&["list"]).env("CLICOLOR_FORCE", wish).output().unwrap();
        Ran::from(output).stdout
    };
    assert!(is_painted(&piped("1")));
    assert_eq!((piped("0"), piped("")), (here.ok(&["list"]).stdout, here.ok(&["list"]).stdout));
}

#[test]
fn errors_stand_out() {
    let here = Workspace::new();
    let left = Terminal::start(&here.command(&["rotate", "memory"]), 100).left();
    assert!(left.written.contains("\x1b[1;31merror:\x1b[0m "), "{}", left.written);
    assert_eq!(left.code, 4);
    saw(&here, "terminal_error", &left);
}

#[test]
fn a_teardown_asks_and_does_what_it_is_told() {
    let here = Workspace::new();
    here.ok(&["provision", "memory", "supermemory"]);
    for (name, keys, code) in [("no", "n\r", 3), ("nothing", "\r", 3), ("end", "\x04", 3), ("ctrl_c", "\x03", 130)] {
        let terminal = Terminal::start(&here.command(&["teardown", "memory"]), 100);
        terminal.until("[y/N] ").press(keys);
        let left = terminal.left();
        assert_eq!(left.code, code, "{name}: {}", left.screen);
        assert_eq!(here.json(&["list"])["live_count"], 1, "{name}");
        saw(&here, &format!("terminal_teardown_{name}"), &left);
    }
    let terminal = Terminal::start(&here.command(&["teardown", "memory"]), 100);
    terminal.until("[y/N] ").press("y\r");
    let left = terminal.left();
    assert_eq!((left.code, &here.json(&["list"])["live_count"]), (0, &json!(0)), "{}", left.screen);
    saw(&here, "terminal_teardown_yes", &left);
}

#[test]
fn a_wait_is_shown_and_leaves_nothing_behind() {
    let here = slow(2500);
    let terminal = Terminal::start(&here.command(&PROVISION), 100);
    terminal.until("waiting for stripe-cli …").until("waiting for stripe-cli … 1 s");
    let left = terminal.left();
    assert!(left.code == 0 && !left.screen.contains("waiting"), "{}", left.screen);
    saw(&here, "terminal_provision", &left);
    let piped = here.ok(&["list"]);
    assert_eq!(piped.stderr, "");
}

#[test]
fn the_first_ctrl_c_lets_a_purchase_finish() {
    let here = slow(3000);
    let terminal = Terminal::start(&here.command(&PROVISION), 100);
    bought_soon(&here);
    terminal.press("\x03").until("finishing what was begun");
    let left = terminal.left();
    assert_eq!(left.code, 0, "{}", left.screen);
    delivered_once(&here);
    saw(&here, "terminal_ctrl_c_once", &left);
}

#[test]
fn the_second_ctrl_c_leaves_the_purchase_to_the_next_call() {
    let here = slow(3000);
    let terminal = Terminal::start(&here.command(&PROVISION), 100);
    bought_soon(&here);
    terminal.press("\x03").until("finishing what was begun");
    // Told to end by somebody else counts as well.
    assert!(Command::new("kill").args(["-TERM", &terminal.pid().to_string()]).status().unwrap().success());
    let left = terminal.left();
    assert_eq!(left.code, 6, "{}", left.screen);
    assert_eq!(here.variable("SUPERMEMORY_API_KEY"), None);
    saw(&here, "terminal_ctrl_c_twice", &left);

    let next = here.run(&PROVISION);
    assert_eq!(next.code, 3, "it is finished, and so it exists: {next:?}");
    delivered_once(&here);
}

/// Of any command: what has been written down as begun is not called off. Here the world is held up at that point.
#[test]
fn ctrl_c_after_an_intent_lets_a_small_command_finish_as_well() {
    let here = Workspace::new();
    here.ok(&PROVISION);
    let world = rusqlite::Connection::open(here.state().join("simulated.db")).unwrap();
    world.execute_batch("BEGIN IMMEDIATE").unwrap();
    let terminal = Terminal::start(&here.command(&["usage", "record", "memory", "1.25"]), 100);
    until("the intent", || {
        here.ledger().audit().rows().unwrap().iter().any(|row| row.action == "usage record").then_some(())
    });
    terminal.press("\x03").until("finishing what was begun");
    world.execute_batch("ROLLBACK").unwrap();
    let left = terminal.left();
    assert_eq!(left.code, 0, "{}", left.screen);
    assert_eq!(here.json(&["list"])["projects"][0]["usage_usd"], 1.25);
}

#[test]
fn ctrl_c_at_the_question_ends_a_watch_and_rotates_nothing() {
    let here = leaked(Kind::Simulated);
    let terminal = Terminal::start(&here.command(&["scan", "log", "--watch", "--rotate"]), 100);
    terminal.until("[y/N] ").press("\x03");
    let left = terminal.left();
    assert_eq!(left.code, 7, "{}", left.screen);
    assert!(left.screen.contains("not rotated: memory: it was not confirmed"), "{}", left.screen);
    assert_eq!(here.json(&["list"])["projects"][0]["key_version"], 1);
}

/// Whether it goes on or not: what is being rotated is rotated, and which that was is said.
#[test]
fn ctrl_c_in_a_rotation_lets_it_finish_and_says_which_it_was() {
    for arguments in [&["scan", "log", "--rotate", "--yes"][..], &["scan", "log", "--rotate", "--yes", "--watch"]] {
        let here = leaked(Kind::StripeCli);
        here.stand_in().weather(json!([{ "verb": "rotate", "fault": "slow", "ms": 3000 }]));
        let terminal = Terminal::start(&here.command(arguments), 100);
        bought_soon(&here);
        terminal.press("\x03").until("finishing what was begun");
        let left = terminal.left();
        assert_eq!(left.code, 7, "{}", left.screen);
        assert!(left.screen.contains("rotated memory: version 2 is in the env file"), "{}", left.screen);
        let twice = Terminal::start(&here.command(&["rotate", "memory"]), 100).left();
        assert_eq!(twice.code, 0, "nothing was left open: {}", twice.screen);
    }
}

#[test]
fn a_reader_who_has_left_is_no_error() {
    let here = spending();
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
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn every_shell_gets_its_completions_and_man_its_pages() {
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
    shown("man", &here.ok(&["man"]).stdout);
    shown("man_provision", &here.ok(&["man", "provision"]).stdout);
}

/// Budgets of every kind: nearly spent, spent, untouched, gone; one name is long, and times differ.
fn spending() -> Workspace {
    let here = Workspace::new();
    here.ok(&["provision", "old-idea", "search"]);
    here.ok(&["teardown", "old-idea", "--yes"]);
    here.ok(&["provision", "memory", "supermemory", "--cap", "5"]);
    here.ok(&["usage", "record", "memory", "4.5"]);
    here.ok(&["provision", "db", "postgres"]);
    here.ok(&["provision", "the-memory-of-everything-that-was-ever-said", "supermemory", "--cap", "1"]);
    here.ok(&["usage", "record", "the-memory-of-everything-that-was-ever-said", "1"]);
    let ledger = rusqlite::Connection::open(here.state().join("ledger.db")).unwrap();
    for (name, minutes) in [("memory", 200), ("db", 12), ("old-idea", 6 * 24 * 60)] {
        let earlier = "UPDATE projects SET created_at = created_at - ?2 * 60000 WHERE name = ?1";
        assert_eq!(ledger.execute(earlier, (name, minutes)).unwrap(), 1);
    }
    here
}

/// A workspace whose one key stands in a log.
fn leaked(kind: Kind) -> Workspace {
    let here = Workspace::on(kind);
    here.ok(&PROVISION);
    here.has_plants();
    here.write("log", here.read(".env"));
    here
}

/// A workspace whose next purchase takes so many milliseconds.
fn slow(ms: u32) -> Workspace {
    let here = Workspace::on(Kind::StripeCli);
    here.stand_in().weather(json!([{ "verb": "add", "fault": "slow", "ms": ms }]));
    here
}

/// Waits until `stripe` is at it.
fn bought_soon(here: &Workspace) {
    let begun = Instant::now();
    while !here.stand_in().forecast().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is being bought");
        thread::sleep(Duration::from_millis(10));
    }
}

fn delivered_once(here: &Workspace) {
    let key = here.variable("SUPERMEMORY_API_KEY").unwrap();
    assert!(here.owner_of(&key).is_some(), "the key opens nothing");
    assert_eq!(here.billed().len(), 1);
    assert_eq!(here.json(&["list"])["projects"][0]["status"], "active");
}

fn saw(here: &Workspace, name: &str, left: &Left) {
    let screen = left.screen.trim_end();
    shown(name, &format!("{screen}\n── exit {}", left.code).replace(here.path().to_str().unwrap(), "[DIR]"));
}

fn is_painted(text: &str) -> bool {
    text.contains("\x1b[32m") && text.contains("\x1b[0m")
}

const PROVISION: [&str; 3] = ["provision", "memory", "supermemory"];
