//! The user-visible output, byte for byte: a change shows as a change of a snapshot file.

use insta::{Settings, assert_snapshot};
use serde_json::{Value, json};

use crate::{
    raw_client::RawClient,
    workspace::{BINARY, Workspace},
};

#[test]
fn tool_definitions_match() {
    let mut listed = RawClient::initialize(&Workspace::new()).request("tools/list", &json!({}));
    let tools: Vec<Value> = serde_json::from_value(listed["result"]["tools"].take()).unwrap();
    for tool in tools {
        shown(&format!("tool_{}", tool["name"].as_str().unwrap()), &serde_json::to_string_pretty(&tool).unwrap());
    }
}

#[test]
fn help_output_matches() {
    let here = Workspace::new();
    saw(&here, "help", &["--help"]);
    for command in [
        "audit",
        "serve",
        "provision",
        "list",
        "rotate",
        "teardown",
        "usage",
        "scan",
        "providers",
        "simulator",
        "approvals",
        "approve",
        "deny",
        "forget",
        "doctor",
        "setup",
        "completions",
        "man",
    ] {
        saw(&here, &format!("help_{command}"), &[command, "--help"]);
    }
}

#[test]
fn providers_output_matches() {
    let here = Workspace::new();
    saw(&here, "providers", &["providers"]);
    saw(&here, "providers_json", &["providers", "--json"]);
    saw(&here, "providers_check", &["providers", "check"]);
    here.write("providers.toml", "version = 1\n[providers.memory]\nlabel = 'Memory'\ndefault_cap = 25\n");
    saw(&here, "providers_check_broken", &["providers", "check"]);
    saw(&here, "providers_check_broken_json", &["providers", "check", "--json"]);
    saw(&here, "provision_without_registry", &["provision", "memory", "supermemory"]);
}

/// Runs one project through each command in turn.
#[test]
fn lifecycle_output_matches() {
    let here = Workspace::new();
    saw(&here, "list_before_anything", &["list"]);
    saw(&here, "provision", &["provision", "memory", "supermemory", "--cap", "5"]);
    saw(&here, "provision_again", &["provision", "memory", "supermemory"]);
    saw(&here, "provision_json", &["provision", "db", "postgres", "--json"]);
    saw(&here, "list", &["list"]);
    saw(&here, "list_json", &["list", "--json"]);
    saw(&here, "rotate", &["rotate", "memory"]);
    saw(&here, "usage_record", &["usage", "record", "memory", "1.25"]);
    saw(&here, "usage_record_up_to_the_cap", &["usage", "record", "memory", "3.75"]);
    saw(&here, "usage_record_above_the_cap", &["usage", "record", "memory", "0.01"]);
    saw(&here, "list_with_one_suspended", &["list"]);
    saw(&here, "teardown_unconfirmed", &["teardown", "memory"]);
    saw(&here, "teardown", &["teardown", "memory", "--yes"]);
    saw(&here, "teardown_again", &["teardown", "memory", "--yes"]);
    saw(&here, "list_after_a_teardown", &["list"]);
    saw(&here, "list_all", &["list", "--all"]);
}

/// Runs a request from the agent to the human's decision.
#[test]
fn approval_output_matches() {
    let here = Workspace::new();
    saw(&here, "approvals_before_anything", &["approvals"]);
    let mut agent = RawClient::initialize(&here);
    let response =
        agent.call("provision", &json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 80 }));
    let response = serde_json::to_string_pretty(&response).unwrap();
    shown("approval_required", &response.replace(here.path().to_str().unwrap(), "[DIR]"));
    saw(&here, "approvals", &["approvals"]);
    saw(&here, "approvals_json", &["approvals", "--json"]);
    let id = || {
        let newest = here.json(&["approvals"])["approvals"].as_array().unwrap().last().unwrap().clone();
        newest["id"].as_str().unwrap().to_owned()
    };
    saw(&here, "approve_unconfirmed", &["approve", &id()]);
    saw(&here, "approve", &["approve", &id(), "--yes"]);
    saw(&here, "approve_again", &["approve", &id(), "--yes"]);
    agent.call("provision", &json!({ "name": "notes", "provider": "supermemory", "spend_cap_usd": 60 }));
    saw(&here, "deny", &["deny", &id(), "--yes"]);
    saw(&here, "deny_json_unknown", &["deny", "ap-0000", "--yes", "--json"]);
    saw(&here, "approve_no_id", &["approve", "memory", "--yes"]);
    saw(&here, "approvals_decided", &["approvals"]);
}

#[test]
fn setup_output_matches() {
    let here = Workspace::new();
    for (name, host) in [("cursor", "cursor"), ("codex", "codex"), ("claude_code", "claude-code"), ("vscode", "vscode")]
    {
        saw(&here, &format!("setup_print_{name}"), &["setup", host, "--print", "--backend", "stripe-cli"]);
    }
    saw(&here, "setup_unconfirmed", &["setup", "cursor"]);
    saw(&here, "setup", &["setup", "cursor", "--yes"]);
    saw(&here, "setup_again", &["setup", "cursor", "--yes"]);
    here.write(
        ".cursor/mcp.json",
        "{\n  // mine\n  \"mcpServers\": {\n    \"other\": { \"command\": \"x\" },\n  },\n}\n",
    );
    saw(&here, "setup_beside_others", &["setup", "cursor", "--yes"]);
    saw(&here, "setup_update", &["setup", "cursor", "--yes", "--backend", "stripe-cli"]);
    saw(&here, "setup_remove", &["setup", "cursor", "--yes", "--remove"]);
    saw(&here, "setup_remove_again", &["setup", "cursor", "--yes", "--remove"]);
    saw(&here, "setup_json", &["setup", "cursor", "--yes", "--json"]);
    here.write(".cursor/mcp.json", "{\n  mine: 1\n}\n");
    saw(&here, "setup_broken_file", &["setup", "cursor", "--yes"]);
    saw(&here, "setup_unknown_host", &["setup", "emacs"]);
}

#[test]
fn doctor_output_matches() {
    let here = Workspace::new();
    saw(&here, "doctor_before_anything", &["doctor"]);
    here.ok(&["provision", "memory", "supermemory", "--cap", "5"]);
    saw(&here, "doctor", &["doctor"]);
    here.write(".env", "");
    here.write(".env.stripe-projects.tmp", "");
    saw(&here, "doctor_unwell", &["doctor"]);
    saw(&here, "doctor_repair", &["doctor", "--repair"]);
    here.write(".env", "SUPERMEMORY_API_KEY=mine\n");
    saw(&here, "doctor_repair_in_vain", &["doctor", "--repair"]);
    saw(&here, "doctor_json", &["doctor", "--json"]);
}

#[test]
fn audit_output_matches() {
    let here = Workspace::new();
    saw(&here, "audit_before_anything", &["audit"]);
    here.ok(&["provision", "memory", "supermemory", "--cap", "5"]);
    here.run(&["provision", "web", "search", "--cap", "9999"]);
    here.run(&["rotate", "sk_live_0123456789abcdef"]);
    let ran = here.ok(&["audit"]);
    shown("audit", &steady(&ran.stdout));
    let ran = here.ok(&["audit", "--json", "--outcome", "called", "--project", "memory"]);
    shown("audit_json", &steady(&ran.stdout));
    let ran = here.ok(&["audit", "--verify"]);
    shown("audit_verify", &steady(&ran.stdout));
    let ledger = rusqlite::Connection::open(here.state().join("ledger.db")).unwrap();
    ledger.execute("UPDATE audit SET actor = 'somebody else' WHERE seq = 2", []).unwrap();
    saw(&here, "audit_verify_broken", &["audit", "--verify"]);
    saw(&here, "audit_verify_broken_json", &["audit", "--verify", "--json"]);
    saw(&here, "audit_wrong_time", &["audit", "--since", "yesterday"]);
}

/// Replaces what differs between runs: times, durations, hashes and the user.
fn steady(text: &str) -> String {
    let hex = |c: char| c.is_ascii_hexdigit();
    let time = |c: char| c.is_ascii_digit() || matches!(c, ':' | '-' | ' ');
    let text = with(text, "ms ", |c| c.is_ascii_digit() || c == '.', "[MS]");
    let text = with(&text, "\"ms\":", |c| c.is_ascii_digit() || c == '.', "[MS]");
    let text = with(&text, "fres_", |c| c.is_ascii_alphanumeric() || c == '_', "[ID]");
    let text = with(&text, "\"at\":\"", |c| c != '"', "[TIME]");
    let text = with(&text, "\"hash\":\"", hex, "[HASH]");
    let text = with(&text, "The last one is ", hex, "[HASH]");
    let text = with(&text, "\"actor\":\"", |c| c != '"', "[WHO]");
    let lines = text.lines().map(|line| match line.split_once("cli: ") {
        // A table is as wide as its widest name, and only its words are ours.
        Some((left, right)) => {
            let row = left.trim_end_matches(time).to_owned() + left.split_whitespace().next().unwrap_or_default();
            let right = right.split_once(", no terminal").map_or(right, |(_, right)| right);
            format!("{row} [TIME] cli: [WHO] {}", right.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        None => line.split_whitespace().collect::<Vec<_>>().join(" "),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn usage_error_output_matches() {
    let here = Workspace::new();
    saw(&here, "unknown_name", &["rotate", "memory"]);
    saw(&here, "unknown_name_json", &["rotate", "memory", "--json"]);
    saw(&here, "bad_name", &["provision", "My Memory", "supermemory"]);
    saw(&here, "unknown_provider", &["provision", "memory", "supermemry"]);
    saw(&here, "cap_too_high", &["provision", "memory", "supermemory", "--cap", "100.01"]);
    saw(&here, "cap_negative", &["provision", "memory", "supermemory", "--cap", "-5"]);
    saw(&here, "cap_in_words", &["provision", "memory", "supermemory", "--cap", "five"]);
    saw(&here, "card_declined", &["provision", "m", "supermemory", "--payment-method", "pm_card_chargeDeclined"]);
    saw(&here, "card_number", &["list", "--payment-method", "4242424242424242"]);
    saw(&here, "unknown_command", &["provison", "memory", "supermemory"]);
    saw(&here, "unknown_command_json", &["provison", "--json"]);
    saw(&here, "unknown_shell", &["completions", "tcsh"]);
    saw(&here, "man_of_nothing", &["man", "provison"]);
    saw(&here, "unknown_flag", &["list", "--al"]);
    saw(&here, "missing_argument", &["provision", "memory"]);
    saw(&here, "missing_value", &["provision", "memory", "supermemory", "--cap"]);
    saw(&here, "missing_command", &["usage"]);
    saw(&here, "unknown_backend", &["list", "--backend", "stripe"]);
    saw(&here, "no_folder", &["list", "--dir", "nowhere"]);
    here.write(".env", "EXA_API_KEY=mine\n");
    saw(&here, "variable_taken", &["provision", "web", "search"]);
    saw(&here, "variable_replaced", &["provision", "web", "search", "--replace"]);
}

/// Runs a command and compares its exit code and output.
fn saw(workspace: &Workspace, name: &str, arguments: &[&str]) {
    let ran = workspace.run(arguments);
    let words = arguments.join(" ");
    let text = format!("$ stripe-projects-mcp {words}\n{}── stderr\n{}── exit {}", ran.stdout, ran.stderr, ran.code);
    let text = text.replace(workspace.path().to_str().unwrap(), "[DIR]").replace(BINARY, "[PROGRAM]");
    shown(name, &text);
}

pub fn shown(name: &str, text: &str) {
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let hex = |c: char| c.is_ascii_hexdigit();
    let text = [("proj_", "[ID]"), ("…", "[LAST]")]
        .into_iter()
        .fold(text.to_owned(), |text, (start, word)| with(&text, start, hex, word));
    let text = with(&text, "_at\": \"", |c| c != '"', "[TIME]");
    let text = with(&text, "ap-", |c| c.is_ascii_lowercase() || c.is_ascii_digit(), "[ID]");
    let time = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 'Z');
    let text =
        ["until ", "before ", "lines 1   "].into_iter().fold(text, |text, start| with(&text, start, time, "[TIME]"));
    settings.bind(|| assert_snapshot!(name, text));
}

/// Replaces the characters of a kind that follow `start`, which differ between runs.
fn with(text: &str, start: &str, kind: fn(char) -> bool, word: &str) -> String {
    let mut parts = text.split(start);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(kind);
        let word = if rest.len() < part.len() { word } else { "" };
        result.extend([start, word, rest]);
    }
    result
}
