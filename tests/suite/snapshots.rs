//! The user-visible output, byte for byte. A change shows as a change of a snapshot file.

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
        assert_text(&format!("tool_{}", tool["name"].as_str().unwrap()), &serde_json::to_string_pretty(&tool).unwrap());
    }
}

#[test]
fn help_output_matches() {
    let here = Workspace::new();
    assert_output(&here, "help", &["--help"]);
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
        "abandon",
        "doctor",
        "setup",
        "workspaces",
        "completions",
        "man",
    ] {
        assert_output(&here, &format!("help_{command}"), &[command, "--help"]);
    }
}

#[test]
fn providers_output_matches() {
    let here = Workspace::new();
    assert_output(&here, "providers", &["providers"]);
    assert_output(&here, "providers_json", &["providers", "--json"]);
    assert_output(&here, "providers_check", &["providers", "check"]);
    here.write("providers.toml", "version = 1\n[providers.memory]\nlabel = 'Memory'\ndefault_cap = 25\n");
    assert_output(&here, "providers_check_broken", &["providers", "check"]);
    assert_output(&here, "providers_check_broken_json", &["providers", "check", "--json"]);
    assert_output(&here, "provision_without_registry", &["provision", "memory", "supermemory"]);
}

/// Runs one project through each command in turn.
#[test]
fn lifecycle_output_matches() {
    let here = Workspace::new();
    assert_output(&here, "list_before_anything", &["list"]);
    assert_output(&here, "provision", &["provision", "memory", "supermemory", "--cap", "5"]);
    assert_output(&here, "provision_again", &["provision", "memory", "supermemory"]);
    assert_output(&here, "provision_json", &["provision", "db", "postgres", "--json"]);
    assert_output(&here, "list", &["list"]);
    assert_output(&here, "list_json", &["list", "--json"]);
    assert_output(&here, "rotate", &["rotate", "memory"]);
    assert_output(&here, "usage_record", &["usage", "record", "memory", "1.25"]);
    assert_output(&here, "usage_record_up_to_the_cap", &["usage", "record", "memory", "3.75"]);
    assert_output(&here, "usage_record_above_the_cap", &["usage", "record", "memory", "0.01"]);
    assert_output(&here, "list_with_one_suspended", &["list"]);
    assert_output(&here, "teardown_unconfirmed", &["teardown", "memory"]);
    assert_output(&here, "teardown", &["teardown", "memory", "--yes"]);
    assert_output(&here, "teardown_again", &["teardown", "memory", "--yes"]);
    assert_output(&here, "list_after_a_teardown", &["list"]);
    assert_output(&here, "list_all", &["list", "--all"]);
}

/// Runs a request from the agent to the user's decision.
#[test]
fn approval_output_matches() {
    let here = Workspace::new();
    assert_output(&here, "approvals_before_anything", &["approvals"]);
    let mut agent = RawClient::initialize(&here);
    let response =
        agent.call("provision", &json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 80 }));
    let response = serde_json::to_string_pretty(&response).unwrap();
    assert_text("approval_required", &response.replace(here.path().to_str().unwrap(), "[DIR]"));
    assert_output(&here, "approvals", &["approvals"]);
    assert_output(&here, "approvals_json", &["approvals", "--json"]);
    let id = || {
        let newest = here.json(&["approvals"])["approvals"].as_array().unwrap().last().unwrap().clone();
        newest["id"].as_str().unwrap().to_owned()
    };
    assert_output(&here, "approve_unconfirmed", &["approve", &id()]);
    assert_output(&here, "approve", &["approve", &id(), "--yes"]);
    assert_output(&here, "approve_again", &["approve", &id(), "--yes"]);
    agent.call("provision", &json!({ "name": "notes", "provider": "supermemory", "spend_cap_usd": 60 }));
    assert_output(&here, "deny", &["deny", &id(), "--yes"]);
    assert_output(&here, "deny_json_unknown", &["deny", "ap-00000000", "--yes", "--json"]);
    assert_output(&here, "approve_no_id", &["approve", "memory", "--yes"]);
    assert_output(&here, "approvals_decided", &["approvals"]);
}

#[test]
fn setup_output_matches() {
    let here = Workspace::new();
    for (name, host) in [("cursor", "cursor"), ("codex", "codex"), ("claude_code", "claude-code"), ("vscode", "vscode")]
    {
        assert_output(&here, &format!("setup_print_{name}"), &["setup", host, "--print", "--backend", "stripe-cli"]);
    }
    assert_output(&here, "setup_unconfirmed", &["setup", "cursor"]);
    assert_output(&here, "setup", &["setup", "cursor", "--yes"]);
    assert_output(&here, "setup_again", &["setup", "cursor", "--yes"]);
    here.write(
        ".cursor/mcp.json",
        "{\n  // mine\n  \"mcpServers\": {\n    \"other\": { \"command\": \"x\" },\n  },\n}\n",
    );
    assert_output(&here, "setup_beside_others", &["setup", "cursor", "--yes"]);
    assert_output(&here, "setup_update", &["setup", "cursor", "--yes", "--backend", "stripe-cli"]);
    assert_output(&here, "setup_remove", &["setup", "cursor", "--yes", "--remove"]);
    assert_output(&here, "setup_remove_again", &["setup", "cursor", "--yes", "--remove"]);
    assert_output(&here, "setup_json", &["setup", "cursor", "--yes", "--json"]);
    here.write(".cursor/mcp.json", "{\n  mine: 1\n}\n");
    assert_output(&here, "setup_broken_file", &["setup", "cursor", "--yes"]);
    assert_output(&here, "setup_unknown_host", &["setup", "emacs"]);
}

#[test]
fn doctor_output_matches() {
    let here = Workspace::new();
    assert_output(&here, "doctor_before_anything", &["doctor"]);
    here.ok(&["provision", "memory", "supermemory", "--cap", "5"]);
    assert_output(&here, "doctor", &["doctor"]);
    here.write(".env", "");
    here.write(".env.stripe-projects.tmp", "");
    assert_output(&here, "doctor_unwell", &["doctor"]);
    assert_output(&here, "doctor_repair", &["doctor", "--repair"]);
    here.write(".env", "SUPERMEMORY_API_KEY=mine\n");
    assert_output(&here, "doctor_repair_without_effect", &["doctor", "--repair"]);
    assert_output(&here, "doctor_json", &["doctor", "--json"]);
}

#[test]
fn audit_output_matches() {
    let here = Workspace::new();
    assert_output(&here, "audit_before_anything", &["audit"]);
    here.ok(&["provision", "memory", "supermemory", "--cap", "5"]);
    here.run(&["provision", "web", "search", "--cap", "9999"]);
    here.run(&["rotate", "sk_live_0123456789abcdef"]);
    let output = here.ok(&["audit"]);
    assert_text("audit", &normalize(&output.stdout));
    let output = here.ok(&["audit", "--json", "--outcome", "called", "--project", "memory"]);
    assert_text("audit_json", &normalize(&output.stdout));
    let output = here.ok(&["audit", "--verify"]);
    assert_text("audit_verify", &normalize(&output.stdout));
    here.sql("UPDATE audit SET actor = 'another actor' WHERE seq = 2");
    assert_output(&here, "audit_verify_broken", &["audit", "--verify"]);
    assert_output(&here, "audit_verify_broken_json", &["audit", "--verify", "--json"]);
    assert_output(&here, "audit_wrong_time", &["audit", "--since", "yesterday"]);
}

/// Replaces what differs between runs: times, durations, hashes and the user.
fn normalize(text: &str) -> String {
    let hex = |c: char| c.is_ascii_hexdigit();
    let time = |c: char| c.is_ascii_digit() || matches!(c, ':' | '-' | ' ');
    let text = replace_after(text, "ms ", |c| c.is_ascii_digit() || c == '.', "[MS]");
    let text = replace_after(&text, "\"ms\":", |c| c.is_ascii_digit() || c == '.', "[MS]");
    let text = replace_after(&text, "fres_", |c| c.is_ascii_alphanumeric() || c == '_', "[ID]");
    let text = replace_after(&text, "\"at\":\"", |c| c != '"', "[TIME]");
    let text = replace_after(&text, "\"hash\":\"", hex, "[HASH]");
    let text = replace_after(&text, "The last one is ", hex, "[HASH]");
    let text = replace_after(&text, "\"actor\":\"", |c| c != '"', "[WHO]");
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
    assert_output(&here, "unknown_name", &["rotate", "memory"]);
    assert_output(&here, "unknown_name_json", &["rotate", "memory", "--json"]);
    assert_output(&here, "bad_name", &["provision", "My Memory", "supermemory"]);
    assert_output(&here, "unknown_provider", &["provision", "memory", "supermemry"]);
    assert_output(&here, "cap_too_high", &["provision", "memory", "supermemory", "--cap", "100.01"]);
    assert_output(&here, "cap_negative", &["provision", "memory", "supermemory", "--cap", "-5"]);
    assert_output(&here, "cap_in_words", &["provision", "memory", "supermemory", "--cap", "five"]);
    assert_output(
        &here,
        "card_declined",
        &["provision", "m", "supermemory", "--payment-method", "pm_card_chargeDeclined"],
    );
    assert_output(&here, "card_number", &["list", "--payment-method", "4242424242424242"]);
    assert_output(&here, "unknown_command", &["provison", "memory", "supermemory"]);
    assert_output(&here, "unknown_command_json", &["provison", "--json"]);
    assert_output(&here, "unknown_shell", &["completions", "tcsh"]);
    assert_output(&here, "man_of_nothing", &["man", "provison"]);
    assert_output(&here, "unknown_flag", &["list", "--al"]);
    assert_output(&here, "missing_argument", &["provision", "memory"]);
    assert_output(&here, "missing_value", &["provision", "memory", "supermemory", "--cap"]);
    assert_output(&here, "missing_command", &["usage"]);
    assert_output(&here, "unknown_backend", &["list", "--backend", "stripe"]);
    assert_output(&here, "no_folder", &["list", "--dir", "nowhere"]);
    here.write(".env", "EXA_API_KEY=mine\n");
    assert_output(&here, "variable_taken", &["provision", "web", "search"]);
    assert_output(&here, "variable_replaced", &["provision", "web", "search", "--replace"]);
}

/// Runs a command and compares its exit code and output.
fn assert_output(workspace: &Workspace, name: &str, arguments: &[&str]) {
    let output = workspace.run(arguments);
    let words = arguments.join(" ");
    let text =
        format!("$ stripe-projects-mcp {words}\n{}── stderr\n{}── exit {}", output.stdout, output.stderr, output.code);
    let text = text.replace(workspace.path().to_str().unwrap(), "[DIR]");
    let text = text.replace(workspace.home().to_str().unwrap(), "[HOME]").replace(BINARY, "[PROGRAM]");
    // The user who runs the tests has a place for a policy, too.
    let text = text.replace(&format!(" or {}/.config/stripe-projects/policy.toml", account_home()), "");
    assert_text(name, &text);
}

pub fn assert_text(name: &str, text: &str) {
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let hex = |c: char| c.is_ascii_hexdigit();
    let text = [("proj_", "[ID]"), ("…", "[LAST]")]
        .into_iter()
        .fold(text.to_owned(), |text, (start, replacement)| replace_after(&text, start, hex, replacement));
    let text = replace_after(&text, "_at\": \"", |c| c != '"', "[TIME]");
    let text = replace_after(&text, "ap-", |c| c.is_ascii_lowercase() || c.is_ascii_digit(), "[ID]");
    let time = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 'Z');
    let text = ["until ", "before ", "lines 1   "]
        .into_iter()
        .fold(text, |text, start| replace_after(&text, start, time, "[TIME]"));
    settings.bind(|| assert_snapshot!(name, text));
}

/// Replaces the characters of a kind that follow `start`, which differ between runs.
fn replace_after(text: &str, start: &str, kind: fn(char) -> bool, replacement: &str) -> String {
    let mut parts = text.split(start);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(kind);
        let replacement = if rest.len() < part.len() { replacement } else { "" };
        result.extend([start, replacement, rest]);
    }
    result
}

/// Returns the home in the passwd entry, which the environment of a test does not choose.
fn account_home() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.map(|user| user.dir.display().to_string()).unwrap_or_default()
}
