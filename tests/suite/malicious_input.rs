//! Malicious input in every place that takes text. Each is refused clearly, and none is repeated, stored, or
//! interpreted.

use std::{fs, iter};

use serde_json::{Value, json};

use crate::{raw_client::RawClient, workspace::Workspace};

#[test]
fn malicious_arguments_are_refused_and_not_repeated() {
    let workspace = workspace_with_project();
    let env_file = workspace.read(".env");
    let mut agent = RawClient::initialize(&workspace);
    for input in corpus() {
        for (tool, arguments) in calls(&input) {
            let answer = agent.request("tools/call", &json!({ "name": tool, "arguments": arguments }));
            assert_clear_error(&answer["result"]["structuredContent"], &input, &format!("{tool} {arguments}"));
        }
    }
    assert_alive_and_silent(agent, &workspace);
    assert_eq!(workspace.read(".env"), env_file);
    assert_eq!(workspace.billed_resources().len(), 1, "something was provisioned");
}

#[test]
fn malicious_names_and_uris_are_refused_and_not_repeated() {
    let workspace = workspace_with_project();
    let mut agent = RawClient::initialize(&workspace);
    for input in corpus() {
        for (method, params) in [
            ("tools/call", json!({ "name": input, "arguments": {} })),
            ("tools/call", json!({ "name": "teardown", "arguments": input })),
            ("tools/list", json!({ "cursor": input })),
            ("resources/read", json!({ "uri": input })),
            ("resources/read", json!({ "uri": format!("stripe-projects://projects/{input}") })),
            ("resources/subscribe", json!({ "uri": format!("stripe-projects://{input}") })),
            ("prompts/get", json!({ "name": input, "arguments": {} })),
            ("prompts/get", json!({ "name": "rotate-on-leak", "arguments": { "name": input } })),
            (input.as_str(), json!({})),
        ] {
            let answer = agent.request(method, &params);
            let error = &answer["error"];
            assert!(error["code"].is_i64(), "{method} with {}: {answer}", shorten(&input));
            assert!(!error["message"].as_str().unwrap().is_empty(), "{answer}");
        }
        agent.request("ping", &json!({ "_meta": { "progressToken": input } }));
    }
    assert_alive_and_silent(agent, &workspace);
}

/// The reader drops a line longer than 16 MiB and continues with the next.
#[test]
fn endless_line_is_dropped() {
    let workspace = workspace_with_project();
    let mut agent = RawClient::initialize(&workspace);
    agent.send("ping", &json!({ "_meta": { "progressToken": "A".repeat(17 * 1024 * 1024) } }));
    assert_alive_and_silent(agent, &workspace);
}

#[test]
fn malicious_command_line_is_refused_and_not_repeated() {
    let workspace = workspace_with_project();
    for input in corpus().iter().filter(|input| !input.contains('\0') && input.len() < 100_000) {
        for arguments in [
            &["rotate", "--", input][..],
            &["provision", "web", "--", input],
            &["provision", "web", "search", "--cap", input],
            &["extend", "memory", "--", input],
            &["approve", "--yes", "--", input],
            &["audit", "--since", input],
            &["usage", "record", "memory", "--", input],
            &["serve", "--tools", input],
            &["setup", "--", input],
        ] {
            let output = workspace.run(arguments);
            assert!((2..=5).contains(&output.code), "{arguments:?}: {output:?}");
            assert!(
                !contains(&(output.stdout.clone() + &output.stderr), input),
                "{arguments:?} is repeated: {output:?}"
            );
            assert!(output.stderr.contains("hint:") || output.stderr.contains("--help"), "{arguments:?}: {output:?}");
        }
    }
    assert_eq!(workspace.billed_resources().len(), 1);
    assert_in_no_file(&workspace);
}

/// Creates a workspace with a project that must stay unchanged.
fn workspace_with_project() -> Workspace {
    let workspace = Workspace::new();
    workspace.write(".env", "USER_LINES=1\n");
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace
}

/// Returns calls with the input in each argument of each tool and in an unknown one.
fn calls(input: &str) -> Vec<(&'static str, Value)> {
    let mut calls = vec![
        ("provision", json!({ "name": input, "provider": "search" })),
        ("provision", json!({ "name": "web", "provider": input })),
        ("provision", json!({ "name": "web", "provider": "search", "spend_cap_usd": input })),
        ("provision", json!({ "name": "web", "provider": "search", "expires_in": input })),
        ("provision", json!({ "name": "web", "provider": "search", input: 1 })),
        ("list_projects", json!({ "cursor": input })),
        ("list_projects", json!({ "limit": input })),
        ("rotate_key", json!({ "name": input })),
        ("teardown", json!({ "name": input })),
        ("teardown", json!({ "name": ["memory", input] })),
    ];
    // A number that is no amount.
    if let Ok(number) = input.parse::<f64>()
        && number.is_finite()
    {
        calls.push((
            "provision",
            json!({ "name": "web", "provider": "search", "spend_cap_usd": number.abs().copysign(-1.0).min(-1.0) }),
        ));
    }
    calls
}

/// Asserts an error with code, message and hint that do not repeat the input.
fn assert_clear_error(answer: &Value, input: &str, call: &str) {
    for part in ["code", "message", "hint"] {
        let text = answer[part].as_str().unwrap_or_else(|| panic!("no {part} for {}: {answer}", shorten(call)));
        assert!(!text.is_empty() && text.len() < 1_000, "{answer}");
        assert!(!contains(text, input), "{} is repeated: {answer}", shorten(call));
        assert!(text.chars().all(is_plain), "{answer}");
    }
    let code = answer["code"].as_str().unwrap();
    assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{answer}");
}

/// Ends the server, and asserts that neither its output nor any file repeats the corpus.
fn assert_alive_and_silent(mut agent: RawClient, workspace: &Workspace) {
    assert_eq!(agent.call("list_projects", &json!({}))["live_count"], 1);
    let output = agent.disconnect();
    assert_eq!(output.code, 0, "{}", shorten(&output.stderr));
    for input in corpus() {
        assert!(
            !contains(&output.stdout, &input) && !contains(&output.stderr, &input),
            "{} is repeated",
            shorten(&input)
        );
    }
    assert_in_no_file(workspace);
}

fn assert_in_no_file(workspace: &Workspace) {
    let corpus = corpus();
    let files: Vec<_> = workspace.files().into_iter().filter(|file| !file.ends_with(".env")).collect();
    assert!(files.iter().any(|file| file.ends_with("ledger.db")), "or this looks at nothing: {files:?}");
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        for input in &corpus {
            assert!(!contains(&text, input), "{} is in {}", shorten(input), file.display());
        }
    }
    let audit = workspace.ok(&["audit", "--verify"]);
    assert!(audit.stdout.contains("Audit log verified"), "{audit:?}");
}

/// Returns whether a text contains the input, if it is long enough to be unambiguous.
fn contains(text: &str, input: &str) -> bool {
    let part: String = input.chars().take(LONGEST_PART).collect();
    part.len() >= SHORTEST_PART && (text.contains(&part) || text.contains(&json!(part).to_string()))
}

/// Returns whether a character is visible and affects neither cursor nor writing direction.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Shortens and escapes the input for a failure message.
fn shorten(input: &str) -> String {
    input.chars().take(80).flat_map(char::escape_debug).collect()
}

fn corpus() -> Vec<String> {
    let file = include_str!("../corpus/malicious_input.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "));
    // The file uses Rust's escapes, so that an editor shows every character.
    let inputs = file.map(|line| {
        let quoted = format!("\"{}\"", line.replace('"', "\\\""));
        serde_json::from_str(&quoted).unwrap_or_else(|error| panic!("{line}: {error}"))
    });
    let huge = "A".repeat(10 * 1024 * 1024);
    inputs.chain(iter::once(huge)).collect()
}

/// In characters: a part of the huge input is enough.
const LONGEST_PART: usize = 64;

/// In bytes: shorter text may occur by chance.
const SHORTEST_PART: usize = 7;
