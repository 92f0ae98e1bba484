//! A scan at a terminal: its prompt before a rotation, and each answer's effect.

use crate::{
    pseudo_terminal::{Terminal, TerminalOutput},
    scan::with_key,
    workspace::Workspace,
};

#[test]
fn rotation_is_confirmed_per_project() {
    let (here, old) = with_key();
    here.ok(&["provision", "gone", "search"]);
    let revoked = here.variable("EXA_API_KEY").unwrap();
    here.ok(&["teardown", "gone", "--yes"]);
    here.ok(&["provision", "quiet", "search"]);
    let unseen = here.variable("EXA_API_KEY").unwrap();
    here.write("log", format!("{old}\n{revoked}\n"));

    for (keys, code) in [("n\r", 7), ("\r", 7), ("\x04", 7), ("\x03", 130)] {
        let output = answer_prompt(&here, &["scan", "log", "--rotate"], keys);
        assert_eq!(output.code, code, "{keys:?}: {}", output.screen);
        assert_no_key(&output, &[&old, &revoked, &unseen]);
        assert!(
            output.screen.contains("Rotate memory? The keys that were found stop working. [y/N]"),
            "{}",
            output.screen
        );
        assert_eq!(output.screen.contains("not rotated: memory: "), code == 7, "{}", output.screen);
        assert_eq!(here.variable("SUPERMEMORY_API_KEY").as_ref(), Some(&old), "{keys:?}");
    }
    let output = answer_prompt(&here, &["scan", "log", "--rotate"], "y\r");
    assert_eq!(output.code, 7, "{}", output.screen);
    let new = here.variable("SUPERMEMORY_API_KEY").unwrap();
    assert_no_key(&output, &[&old, &revoked, &unseen, &new]);
    assert!(output.screen.contains("rotated memory: version 2 is in the env file"), "{}", output.screen);
    assert!(here.owner_of(&old).is_none() && here.owner_of(&new).is_some());
    assert!(here.owner_of(&unseen).is_some(), "what was not found goes on working");

    // A revoked key causes no prompt.
    let output = Terminal::start(&here.command(&["scan", "log", "--rotate"]), 120).finish();
    assert!(output.code == 7 && !output.screen.contains("[y/N]"), "{}", output.screen);
}

#[test]
fn leaked_live_projects_are_named_in_one_prompt() {
    let (here, memory) = with_key();
    here.ok(&["provision", "search", "search"]);
    let search = here.variable("EXA_API_KEY").unwrap();
    here.write("log", format!("{search} {memory} {memory}"));
    let output = answer_prompt(&here, &["scan", "log", "--rotate"], "yes\r");
    assert!(
        output.screen.contains("Rotate memory, search? The keys that were found stop working. [y/N]"),
        "{}",
        output.screen
    );
    assert_no_key(&output, &[&memory, &search]);
    assert!(here.owner_of(&memory).is_none() && here.owner_of(&search).is_none());
}

#[test]
fn watch_asks_and_ctrl_c_at_the_prompt_ends_it() {
    let (here, key) = with_key();
    here.write("log", &key);
    let output = answer_prompt(&here, &["scan", "log", "--rotate", "--watch"], "\x03");
    assert_eq!(output.code, 7, "{}", output.screen);
    assert_no_key(&output, &[&key]);
    assert!(here.owner_of(&key).is_some());

    let watch = Terminal::start(&here.command(&["scan", "log", "--rotate", "--watch"]), 120);
    watch.until("watching 1 place; Ctrl-C ends it").until("[y/N] ").press("y\r").until("rotated memory").press("\x03");
    let output = watch.finish();
    assert_eq!(output.code, 7, "{}", output.screen);
    assert_no_key(&output, &[&key]);
    assert!(here.owner_of(&key).is_none());
}

fn answer_prompt(here: &Workspace, arguments: &[&str], keys: &str) -> TerminalOutput {
    let terminal = Terminal::start(&here.command(arguments), 120);
    terminal.until("[y/N] ").press(keys);
    terminal.finish()
}

fn assert_no_key(output: &TerminalOutput, keys: &[&str]) {
    for key in keys {
        assert!(!output.written.contains(key) && !output.screen.contains(key), "it prints the key");
    }
}
