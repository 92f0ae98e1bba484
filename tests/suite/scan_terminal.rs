//! A scan at a terminal: what it asks before it rotates, and what it does with the answer.

use crate::{
    pseudo_terminal::{Left, Terminal},
    scan::with_key,
    workspace::Workspace,
};

#[test]
fn a_rotation_is_asked_for_by_project_and_does_what_it_is_told() {
    let (here, old) = with_key();
    here.ok(&["provision", "gone", "search"]);
    let dead = here.variable("EXA_API_KEY").unwrap();
    here.ok(&["teardown", "gone", "--yes"]);
    here.ok(&["provision", "quiet", "search"]);
    let unseen = here.variable("EXA_API_KEY").unwrap();
    here.write("log", format!("{old}\n{dead}\n"));

    for (keys, code) in [("n\r", 7), ("\r", 7), ("\x04", 7), ("\x03", 130)] {
        let left = answered(&here, &["scan", "log", "--rotate"], keys);
        assert_eq!(left.code, code, "{keys:?}: {}", left.screen);
        tells_no_key(&left, &[&old, &dead, &unseen]);
        assert!(left.screen.contains("Rotate memory? The keys that were found stop working. [y/N]"), "{}", left.screen);
        assert_eq!(left.screen.contains("not rotated: memory: "), code == 7, "{}", left.screen);
        assert_eq!(here.variable("SUPERMEMORY_API_KEY").as_ref(), Some(&old), "{keys:?}");
    }
    let left = answered(&here, &["scan", "log", "--rotate"], "y\r");
    assert_eq!(left.code, 7, "{}", left.screen);
    let new = here.variable("SUPERMEMORY_API_KEY").unwrap();
    tells_no_key(&left, &[&old, &dead, &unseen, &new]);
    assert!(left.screen.contains("rotated memory: version 2 is in the env file"), "{}", left.screen);
    assert!(here.owner_of(&old).is_none() && here.owner_of(&new).is_some());
    assert!(here.owner_of(&unseen).is_some(), "what was not found goes on working");

    // What is dead already is nothing to ask about.
    let left = Terminal::start(&here.command(&["scan", "log", "--rotate"]), 120).left();
    assert!(left.code == 7 && !left.screen.contains("[y/N]"), "{}", left.screen);
}

#[test]
fn every_live_project_that_was_found_is_named_in_one_question() {
    let (here, memory) = with_key();
    here.ok(&["provision", "search", "search"]);
    let search = here.variable("EXA_API_KEY").unwrap();
    here.write("log", format!("{search} {memory} {memory}"));
    let left = answered(&here, &["scan", "log", "--rotate"], "yes\r");
    assert!(
        left.screen.contains("Rotate memory, search? The keys that were found stop working. [y/N]"),
        "{}",
        left.screen
    );
    tells_no_key(&left, &[&memory, &search]);
    assert!(here.owner_of(&memory).is_none() && here.owner_of(&search).is_none());
}

#[test]
fn a_watch_asks_too_and_ctrl_c_at_the_question_ends_it() {
    let (here, key) = with_key();
    here.write("log", &key);
    let left = answered(&here, &["scan", "log", "--rotate", "--watch"], "\x03");
    assert_eq!(left.code, 7, "{}", left.screen);
    tells_no_key(&left, &[&key]);
    assert!(here.owner_of(&key).is_some());

    let watching = Terminal::start(&here.command(&["scan", "log", "--rotate", "--watch"]), 120);
    watching
        .until("watching 1 place; Ctrl-C ends it")
        .until("[y/N] ")
        .press("y\r")
        .until("rotated memory")
        .press("\x03");
    let left = watching.left();
    assert_eq!(left.code, 7, "{}", left.screen);
    tells_no_key(&left, &[&key]);
    assert!(here.owner_of(&key).is_none());
}

fn answered(here: &Workspace, arguments: &[&str], keys: &str) -> Left {
    let terminal = Terminal::start(&here.command(arguments), 120);
    terminal.until("[y/N] ").press(keys);
    terminal.left()
}

fn tells_no_key(left: &Left, keys: &[&str]) {
    for key in keys {
        assert!(!left.written.contains(key) && !left.screen.contains(key), "it says the key");
    }
}
