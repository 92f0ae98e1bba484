//! A corpus of words meant to do harm, in every place that takes a word: each is answered clearly, and none is repeated,
//! kept, or understood by anything further in.

use std::{fs, iter};

use serde_json::{Value, json};

use crate::{lines::Lines, workspace::Workspace};

#[test]
fn no_word_of_an_agent_does_harm_in_any_argument() {
    let workspace = at_work();
    let env_file = workspace.read(".env");
    let mut agent = Lines::greet(&workspace);
    for word in corpus() {
        for (tool, arguments) in calls(&word) {
            let answer = agent.ask("tools/call", &json!({ "name": tool, "arguments": arguments }));
            clear(&answer["result"]["structuredContent"], &word, &format!("{tool} {arguments}"));
        }
    }
    alive_and_silent(agent, &workspace);
    assert_eq!(workspace.read(".env"), env_file);
    assert_eq!(workspace.billed().len(), 1, "something was provisioned");
}

#[test]
fn nor_as_a_tool_a_method_a_resource_or_a_prompt() {
    let workspace = at_work();
    let mut agent = Lines::greet(&workspace);
    for word in corpus() {
        for (method, params) in [
            ("tools/call", json!({ "name": word, "arguments": {} })),
            ("tools/call", json!({ "name": "teardown", "arguments": word })),
            ("tools/list", json!({ "cursor": word })),
            ("resources/read", json!({ "uri": word })),
            ("resources/read", json!({ "uri": format!("stripe-projects://projects/{word}") })),
            ("resources/subscribe", json!({ "uri": format!("stripe-projects://{word}") })),
            ("prompts/get", json!({ "name": word, "arguments": {} })),
            ("prompts/get", json!({ "name": "rotate-on-leak", "arguments": { "name": word } })),
            (word.as_str(), json!({})),
        ] {
            let answer = agent.ask(method, &params);
            let error = &answer["error"];
            assert!(error["code"].is_i64(), "{method} with {}: {answer}", shown(&word));
            assert!(!error["message"].as_str().unwrap().is_empty(), "{answer}");
        }
        agent.ask("ping", &json!({ "_meta": { "progressToken": word } }));
    }
    alive_and_silent(agent, &workspace);
}

/// What reads the lines drops one that is longer than 16 MiB, and goes on with the next.
#[test]
fn a_line_without_end_is_dropped() {
    let workspace = at_work();
    let mut agent = Lines::greet(&workspace);
    agent.send("ping", &json!({ "_meta": { "progressToken": "A".repeat(17 * 1024 * 1024) } }));
    alive_and_silent(agent, &workspace);
}

#[test]
fn nor_at_the_command_line() {
    let workspace = at_work();
    for word in corpus().iter().filter(|word| !word.contains('\0') && word.len() < 100_000) {
        for arguments in [
            &["rotate", "--", word][..],
            &["provision", "web", "--", word],
            &["provision", "web", "search", "--cap", word],
            &["extend", "memory", "--", word],
            &["approve", "--yes", "--", word],
            &["audit", "--since", word],
            &["usage", "record", "memory", "--", word],
            &["serve", "--tools", word],
            &["setup", "--", word],
        ] {
            let ran = workspace.run(arguments);
            assert!((2..=5).contains(&ran.code), "{arguments:?}: {ran:?}");
            assert!(!holds(&(ran.stdout.clone() + &ran.stderr), word), "{arguments:?} is repeated: {ran:?}");
            assert!(ran.stderr.contains("hint:") || ran.stderr.contains("--help"), "{arguments:?}: {ran:?}");
        }
    }
    assert_eq!(workspace.billed().len(), 1);
    kept_nowhere(&workspace);
}

/// A project that nothing may happen to.
fn at_work() -> Workspace {
    let workspace = Workspace::new();
    workspace.write(".env", "MINE=1\n");
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace
}

/// Every argument of every tool, and a stranger.
fn calls(word: &str) -> Vec<(&'static str, Value)> {
    let mut calls = vec![
        ("provision", json!({ "name": word, "provider": "search" })),
        ("provision", json!({ "name": "web", "provider": word })),
        ("provision", json!({ "name": "web", "provider": "search", "spend_cap_usd": word })),
        ("provision", json!({ "name": "web", "provider": "search", "expires_in": word })),
        ("provision", json!({ "name": "web", "provider": "search", word: 1 })),
        ("list_projects", json!({ "cursor": word })),
        ("list_projects", json!({ "limit": word })),
        ("rotate_key", json!({ "name": word })),
        ("teardown", json!({ "name": word })),
        ("teardown", json!({ "name": ["memory", word] })),
    ];
    // A number that is none of money's.
    if let Ok(number) = word.parse::<f64>()
        && number.is_finite()
    {
        calls.push(("provision", json!({ "name": "web", "provider": "search", "spend_cap_usd": -number.abs() - 1.0 })));
    }
    calls
}

/// An error with a code, what happened, and what to do, in our own words.
fn clear(answer: &Value, word: &str, call: &str) {
    for part in ["code", "message", "hint"] {
        let said = answer[part].as_str().unwrap_or_else(|| panic!("no {part} for {}: {answer}", shown(call)));
        assert!(!said.is_empty() && said.len() < 1_000, "{answer}");
        assert!(!holds(said, word), "{} is repeated: {answer}", shown(call));
        assert!(said.chars().all(is_plain), "{answer}");
    }
    let code = answer["code"].as_str().unwrap();
    assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{answer}");
}

/// Ends the server, having looked through all that it ever said and that anybody wrote down.
fn alive_and_silent(mut agent: Lines, workspace: &Workspace) {
    assert_eq!(agent.call("list_projects", &json!({}))["live_count"], 1);
    let ran = agent.leave();
    assert_eq!(ran.code, 0, "{}", shown(&ran.stderr));
    for word in corpus() {
        assert!(!holds(&ran.stdout, &word) && !holds(&ran.stderr, &word), "{} is repeated", shown(&word));
    }
    kept_nowhere(workspace);
}

fn kept_nowhere(workspace: &Workspace) {
    let corpus = corpus();
    let files: Vec<_> = workspace.files().into_iter().filter(|file| !file.ends_with(".env")).collect();
    assert!(files.iter().any(|file| file.ends_with("ledger.db")), "or this looks at nothing: {files:?}");
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        for word in &corpus {
            assert!(!holds(&text, word), "{} is in {}", shown(word), file.display());
        }
    }
    let audit = workspace.ok(&["audit", "--verify"]);
    assert!(audit.stdout.contains("Audit log verified"), "{audit:?}");
}

/// Whether a text holds a word so long that it is nobody else's.
fn holds(text: &str, word: &str) -> bool {
    let part: String = word.chars().take(LONGEST_PART).collect();
    part.len() >= SHORTEST_PART && (text.contains(&part) || text.contains(&json!(part).to_string()))
}

/// Nothing that moves a cursor, turns the direction of writing, or hides.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Short enough to be read, and with nothing in it that a terminal obeys.
fn shown(word: &str) -> String {
    word.chars().take(80).flat_map(char::escape_debug).collect()
}

fn corpus() -> Vec<String> {
    let file = include_str!("../corpus/hostile.txt").lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    // In the file the escapes are Rust's, so that an editor shows what there is.
    let words = file.map(|line| {
        let quoted = format!("\"{}\"", line.replace('"', "\\\""));
        serde_json::from_str(&quoted).unwrap_or_else(|error| panic!("{line}: {error}"))
    });
    let huge = "A".repeat(10 * 1024 * 1024);
    words.chain(iter::once(huge)).collect()
}

/// In characters: of the huge one a part is enough.
const LONGEST_PART: usize = 64;

/// In bytes: what is shorter may stand anywhere by chance.
const SHORTEST_PART: usize = 7;
