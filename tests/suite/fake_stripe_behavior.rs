//! The fake Stripe CLI behaves as the real `stripe projects` was recorded. Otherwise tests against it prove nothing.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    fake_stripe::{FakeStripeCli, PREFIX},
    workspace::CommandOutput,
};

#[test]
fn answer_is_an_envelope_and_nothing_works_before_init() {
    let (fake_stripe, folder) = (FakeStripeCli::new(), tempfile::tempdir().unwrap());
    let answer = fake_stripe.envelope(folder.path(), &["status"]);
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["command"], "projects status");
    assert_eq!(answer["version"], "0.1");
    assert_eq!(answer["error"]["code"], "PROJECT_NOT_INITIALIZED");
    assert_eq!(answer["meta"], json!({ "authenticated": true, "project_initialized": false }));
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &EXA)), "PROJECT_NOT_INITIALIZED");

    let error = fake_stripe.envelope(folder.path(), &["init", "mine", "--preflight"]);
    assert_eq!(code(&error), "TOS_ACCEPTANCE_REQUIRED");
    assert_eq!(error["error"]["details"]["preflight"][2]["pass"], false);
    let ready = fake_stripe.envelope(folder.path(), &["init", "mine", "--accept-tos", "--preflight"]);
    assert_eq!(ready["data"]["ready"], true);
    assert!(ready["data"]["preflight"].as_array().unwrap().iter().all(|row| row["pass"] == true && row["code"] != ""));
    assert!(!folder.path().join(".projects").exists(), "a preflight changes nothing");

    assert_eq!(
        code(&fake_stripe.envelope(folder.path(), &["init", "mine", "--accept-tos"])),
        "JSON_REQUIRES_CONFIRMATION"
    );
    init(&fake_stripe, folder.path());
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &INIT)), "PROJECT_ALREADY_CONNECTED");
    let status = fake_stripe.envelope(folder.path(), &["status"]);
    assert_eq!(status["data"]["project"]["id"], fake_stripe.project_id());
    assert_eq!(status["meta"]["project_initialized"], true);
}

#[test]
fn add_is_not_idempotent_and_shows_no_value() {
    let (fake_stripe, folder) = ready();
    let first = fake_stripe.run(folder.path(), &EXA);
    assert!(first.stdout.starts_with("A newer version"), "text comes before the envelope: {first:?}");
    assert!(first.stderr.contains("Warning"), "{first:?}");
    let second = fake_stripe.run(folder.path(), &EXA);
    assert!(!first.stdout.contains(PREFIX) && !second.stdout.contains(PREFIX));
    let names: Vec<_> = fake_stripe.resources().into_iter().map(|live| live.name).collect();
    assert_eq!(names, ["exa-free", "search", "search-2"]);

    let listed = fake_stripe.envelope(folder.path(), &["services", "list"]);
    assert_eq!(listed["data"]["services"][1]["name"], "search-2");
    assert_eq!(listed["data"]["services"][1]["provider_name"], "Exa");
    assert!(listed["data"]["services"][0]["id"].as_str().unwrap().starts_with("fres_"));
    assert_eq!(listed["data"]["plans"][0]["service_id"], "free");
    assert_eq!(fake_stripe.calls().iter().filter(|verb| *verb == "add").count(), 3);
}

#[test]
fn add_refuses_what_the_real_one_refuses() {
    let (fake_stripe, folder) = ready();
    let folder = folder.path();
    let error = |arguments: &[&str]| {
        let before = fake_stripe.resources().len();
        let answer = fake_stripe.envelope(folder, &[&["add"], arguments].concat());
        assert_eq!(fake_stripe.resources().len(), before, "refused and made");
        answer
    };
    assert_eq!(code(&error(&["unknown/nothing", "--accept-tos", "--yes"])), "INVALID_ARGUMENT");
    assert_eq!(code(&error(&["exa/api", "--accept-tos"])), "JSON_REQUIRES_CONFIRMATION");
    assert_eq!(code(&error(&["elevenlabs/tts", "--yes"])), "TOS_ACCEPTANCE_REQUIRED");

    let plan = error(&["neon/postgres", "--accept-tos", "--yes"]);
    assert_eq!(code(&plan), "PLAN_REQUIRED");
    let commands = plan["error"]["details"]["commands"].as_array().unwrap();
    assert!(commands.contains(&json!("stripe projects add neon/free")), "{commands:?}");

    let memory = |config: &str| error(&["supermemory/memory", "--config", config, "--accept-tos", "--yes"]);
    assert_eq!(code(&memory("{}")), "invalid_fields");
    assert_eq!(code(&memory(r#"{"plan":"gold"}"#)), "invalid_fields");
    assert_eq!(code(&memory(r#"{"plan":"pro"}"#)), "PRICE_CONFIRMATION_REQUIRED");
    assert_eq!(code(&memory("{")), "INVALID_ARGUMENT");
    fake_stripe.unlink("supermemory");
    assert_eq!(code(&memory(r#"{"plan":"pro"}"#)), "PROVIDER_NOT_LINKED");

    let again = error(&["exa/free", "--accept-tos", "--yes"]);
    assert_eq!(code(&again), "resource_count_constraint_exceeded");
    let output = fake_stripe.run(folder, &["add", "exa/free", "--accept-tos", "--yes"]);
    assert_eq!(output.code, 0, "an exit code says little: {output:?}");

    let preflight = ["--preflight", "--name", "memory", "--accept-tos", "--config", r#"{"plan":"free"}"#];
    let preflight = error(&[&["supermemory/memory"], &preflight[..]].concat());
    let rows = preflight["error"]["details"]["preflight"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["pass"] == false).count(), 2, "not linked, and a price: {rows:?}");
    fake_stripe.link("supermemory");
    fake_stripe.set("supermemory/memory", "confirm_by_tier", json!(true));
    let config = ["supermemory/memory", "--config", r#"{"plan":"free"}"#, "--accept-tos", "--yes"];
    assert_eq!(fake_stripe.envelope(folder, &[&["add"], &config[..]].concat())["ok"], true);
}

#[test]
fn values_are_only_in_the_pulled_file() {
    let (fake_stripe, folder) = ready();
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &["env", "--pull"])), "PROJECT_ENVIRONMENT_HAS_NO_RESOURCES");
    fake_stripe.run(folder.path(), &EXA);
    let key = key(&fake_stripe, "search");
    for verb in [&["env"][..], &["env", "list"], &["status"], &["services", "list"], &["env", "--pull"]] {
        let output = fake_stripe.run(folder.path(), verb);
        assert!(!output.stdout.contains(&key) && !output.stderr.contains(&key), "{verb:?}");
    }
    assert_eq!(fake_stripe.envelope(folder.path(), &["env"])["data"]["variables"][0]["value"], "••••••••");
    assert_eq!(variable(folder.path(), ".env", "SEARCH_API_KEY"), Some(key.clone()));
    assert_eq!(fs::metadata(folder.path().join(".env")).unwrap().permissions().mode() & 0o777, 0o600);
    let vault = fs::read_to_string(folder.path().join(".projects/vault/vault.json")).unwrap();
    let spelled = key.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert!(!vault.contains(&key) && !vault.contains(&spelled), "the vault is sealed");
    let listed = fake_stripe.envelope(folder.path(), &["env", "list"]);
    let variable = &listed["data"]["environments"]["default"]["variables"][0];
    assert_eq!(*variable, json!({ "env_key": "SEARCH_API_KEY", "name": "search" }));
}

#[test]
fn variable_is_named_after_the_resource_or_the_provider() {
    let (fake_stripe, folder) = ready();
    for arguments in [&["agentmail/free"][..], &["agentmail/api", "--name", "the-mail"]] {
        let answer = fake_stripe.envelope(folder.path(), &[&["add", "--accept-tos", "--yes"], arguments].concat());
        assert_eq!(answer["ok"], true, "{answer}");
    }
    fake_stripe.run(folder.path(), &["env", "--pull"]);
    assert!(variable(folder.path(), ".env", "THE_MAIL_AGENTMAIL_API_KEY").is_some());
    fake_stripe.set("agentmail/api", "naming", json!("provider"));
    fake_stripe.run(folder.path(), &["env", "--pull"]);
    assert!(variable(folder.path(), ".env", "AGENTMAIL_AGENTMAIL_API_KEY").is_some());
}

#[test]
fn each_environment_has_its_file() {
    let (fake_stripe, folder) = ready();
    fake_stripe.envelope(folder.path(), &["env", "create", "agent", "--output", ".env.agent"]);
    assert_eq!(fake_stripe.envelope(folder.path(), &["env", "use", "unknown"])["ok"], false);
    assert_eq!(fake_stripe.envelope(folder.path(), &["env", "use", "agent"])["ok"], true);
    fake_stripe.run(folder.path(), &EXA);
    fake_stripe.run(folder.path(), &["env", "--pull"]);
    assert_eq!(variable(folder.path(), ".env.agent", "SEARCH_API_KEY"), Some(key(&fake_stripe, "search")));
    assert!(!folder.path().join(".env").exists());
    let status = fake_stripe.envelope(folder.path(), &["status"]);
    assert_eq!(status["data"]["active_environment"], "agent");
    assert_eq!(status["data"]["environments"]["agent"]["resources"], json!(["search"]));
}

#[test]
fn rotate_revokes_the_old_value_at_once() {
    let (fake_stripe, folder) = ready();
    fake_stripe.run(folder.path(), &EXA);
    let old = key(&fake_stripe, "search");
    assert!(fake_stripe.owner_of(&old).is_some());
    assert_eq!(fake_stripe.envelope(folder.path(), &["rotate", "search", "--yes"])["ok"], true);
    let new = key(&fake_stripe, "search");
    assert_eq!(fake_stripe.owner_of(&old), None);
    assert!(fake_stripe.owner_of(&new).is_some());

    fake_stripe.inject_faults(json!([{ "verb": "rotate", "fault": "no_change" }]));
    assert_eq!(fake_stripe.envelope(folder.path(), &["rotate", "search", "--yes"])["ok"], true);
    assert_eq!(key(&fake_stripe, "search"), new, "reported without a rotation");
    fake_stripe.set("exa/api", "unrotatable", json!(true));
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &["rotate", "search", "--yes"])), "provider_failure");
    assert_eq!(key(&fake_stripe, "search"), new);
}

#[test]
fn remove_deprovisions_and_keeps_the_env_file() {
    let (fake_stripe, folder) = ready();
    fake_stripe.run(folder.path(), &EXA);
    fake_stripe.run(folder.path(), &["env", "--pull"]);
    let old = key(&fake_stripe, "search");
    fake_stripe.inject_faults(json!([{ "verb": "remove", "fault": "survives" }]));
    assert_eq!(fake_stripe.envelope(folder.path(), &["remove", "search", "--yes"])["ok"], true);
    assert!(fake_stripe.owner_of(&old).is_some(), "reported without a removal");
    assert_eq!(fake_stripe.envelope(folder.path(), &["remove", "search", "--yes"])["ok"], true);
    assert_eq!(fake_stripe.owner_of(&old), None);
    assert_eq!(variable(folder.path(), ".env", "SEARCH_API_KEY"), Some(old));
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &["remove", "search", "--yes"])), "INVALID_ARGUMENT");
}

#[test]
fn limit_below_the_spending_suspends() {
    let (fake_stripe, folder) = ready();
    fake_stripe.run(folder.path(), &EXA);
    let key = key(&fake_stripe, "search");
    fake_stripe.bill("exa", 700);
    assert_eq!(fake_stripe.envelope(folder.path(), &["spend", "exa"])["data"]["amount"], "7.00");
    fake_stripe.run(folder.path(), &["billing", "update", "--limit", "5", "--yes"]);
    assert_eq!(fake_stripe.owner_of(&key), None);
    fake_stripe.run(folder.path(), &["billing", "update", "--limit", "12.50", "--provider", "exa", "--yes"]);
    assert_eq!(fake_stripe.limit("exa"), 1250, "the provider's own limit wins");
    assert!(fake_stripe.owner_of(&key).is_some());
    assert_eq!(fake_stripe.envelope(folder.path(), &["billing", "show"])["data"]["limit"], "5.00");
}

#[test]
fn logged_out_answer_is_not_json() {
    let (fake_stripe, folder) = ready();
    let output = fake_stripe.run(folder.path(), &["status"]);
    assert_eq!(output.code, 0, "{output:?}");
    fake_stripe.inject_faults(json!([{ "fault": "plugin_missing" }]));
    let without_plugin = fake_stripe.run(folder.path(), &["status"]);
    fake_stripe.log_out();
    let output = fake_stripe.run(folder.path(), &["status"]);
    assert_eq!((output.code, output.stdout.lines().next()), (1, Some(LOGGED_OUT)));
    assert!(!output.stdout.contains('{'));
    assert_eq!(output.stdout, without_plugin.stdout, "the two look the same");

    let version = |fake_stripe: &FakeStripeCli| {
        CommandOutput::of_other_program(fake_stripe.command(folder.path(), &["--version"]).output().unwrap())
    };
    assert_eq!(version(&fake_stripe).stdout, "stripe version 1.52.0\n");
    fake_stripe.inject_faults(json!([{ "fault": "cli_too_old", "times": 2 }]));
    assert_eq!(version(&fake_stripe).stdout, "stripe version 1.21.0\n");
    let old = fake_stripe.run(folder.path(), &["status"]);
    assert_eq!((old.code, old.stdout.as_str()), (1, ""));
    assert!(old.stderr.contains("unknown command"));
}

#[test]
fn whole_catalog_is_not_printed_to_a_pipe() {
    let (fake_stripe, folder) = (FakeStripeCli::new(), tempfile::tempdir().unwrap());
    assert_eq!(fake_stripe.run(folder.path(), &["catalog"]).stdout, "");
    let exa = fake_stripe.envelope(folder.path(), &["catalog", "exa"]);
    assert_eq!(exa["data"]["services"].as_array().unwrap().len(), 2);
    fake_stripe.inject_faults(json!([{ "verb": "catalog", "fault": "service_gone", "service": "exa/api" }]));
    let exa = fake_stripe.envelope(folder.path(), &["catalog", "exa"]);
    assert_eq!(exa["data"]["services"].as_array().unwrap().len(), 1);
}

#[test]
fn link_may_need_a_browser() {
    let (fake_stripe, folder) = ready();
    fake_stripe.unlink("neon");
    fake_stripe.inject_faults(json!([{ "verb": "link", "fault": "browser" }]));
    let link = ["link", "neon", "--accept-tos", "--yes"];
    let answer = fake_stripe.envelope(folder.path(), &link);
    assert_eq!(code(&answer), "BROWSER_AUTH_REQUIRED");
    let status = fake_stripe.envelope(folder.path(), &["status"]);
    let providers = status["data"]["providers"].as_array().unwrap();
    let neon = providers.iter().find(|provider| provider["name"] == "Neon").unwrap();
    assert_eq!(neon["redirect_url"], answer["error"]["details"]["redirect_url"]);
    assert_eq!(
        code(&fake_stripe.envelope(folder.path(), &["add", "neon/free", "--accept-tos", "--yes"])),
        "PROVIDER_NOT_LINKED"
    );
    fake_stripe.set("neon", "browser", json!(true));
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &link)), "BROWSER_AUTH_REQUIRED");
    fake_stripe.link("neon");
    assert_eq!(fake_stripe.envelope(folder.path(), &link)["ok"], true);
}

#[test]
fn secrets_are_random_and_identifiers_are_no_keys() {
    let (fake_stripe, folder) = ready();
    fake_stripe.set("neon/postgres", "connection_string", json!(true));
    for arguments in [&["neon/free"][..], &["neon/postgres", "--name", "one"], &["neon/postgres", "--name", "two"]] {
        let answer = fake_stripe.envelope(folder.path(), &[&["add", "--accept-tos", "--yes"], arguments].concat());
        assert_eq!(answer["ok"], true, "{answer}");
    }
    let values: Vec<String> = fake_stripe
        .resources()
        .iter()
        .flat_map(|live| live.values.values().map(|value| value.as_str().unwrap().to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(values.iter().collect::<HashSet<_>>().len(), 4, "{values:?}");
    for value in &values {
        assert_eq!(fake_stripe.owner_of(value).is_some(), value.starts_with("postgresql://"), "{value}");
    }
    let log = json!(fake_stripe.log()).to_string();
    assert!(log.contains("neon/postgres") && !log.contains(PREFIX), "{log}");
}

#[test]
fn concurrent_calls_keep_the_state_consistent() {
    let (fake_stripe, folder) = ready();
    let arguments = [&["projects"], &EXA[..], &["--json"]].concat();
    let start = || fake_stripe.command(folder.path(), &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let children: Vec<_> = (0..8).map(|_| start().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let names: HashSet<_> = fake_stripe.resources().into_iter().map(|live| live.name).collect();
    assert_eq!(names.len(), 9, "{names:?}");
    assert_eq!(fake_stripe.calls().iter().filter(|verb| *verb == "add").count(), 9);
}

#[test]
fn paid_service_needs_a_card() {
    let (fake_stripe, folder) = ready();
    fake_stripe.without_payment_method();
    let paid = ["add", "openrouter/pay_as_you_go", "--accept-tos", "--confirm-paid-service", "--yes"];
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &paid)), "PAYMENT_METHOD_REQUIRED");
    let free = ["add", "elevenlabs/tts", "--accept-tos", "--yes"];
    assert_eq!(fake_stripe.envelope(folder.path(), &free)["ok"], true);
}

#[test]
fn executable_is_found_on_path_as_stripe() {
    let (fake_stripe, folder) = (FakeStripeCli::new(), tempfile::tempdir().unwrap());
    fake_stripe.log_out();
    let mut command = Command::new("stripe");
    let (variable, root) = fake_stripe.env();
    command.arg("login").current_dir(folder.path()).env(variable, root).env("PATH", fake_stripe.path());
    assert!(command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap().success());
    init(&fake_stripe, folder.path());
}

/// Creates an account, and a folder whose project has Exa's free plan.
pub fn ready() -> (FakeStripeCli, TempDir) {
    let (fake_stripe, folder) = (FakeStripeCli::new(), tempfile::tempdir().unwrap());
    init(&fake_stripe, folder.path());
    let plan = fake_stripe.envelope(folder.path(), &["add", "exa/free", "--accept-tos", "--yes"]);
    assert_eq!(plan["ok"], true, "{plan}");
    (fake_stripe, folder)
}

pub fn init(fake_stripe: &FakeStripeCli, folder: &Path) {
    let answer = fake_stripe.envelope(folder, &INIT);
    assert_eq!(answer["ok"], true, "{answer}");
}

pub fn code(answer: &Value) -> &str {
    assert_eq!(answer["ok"], false, "{answer}");
    answer["error"]["code"].as_str().unwrap()
}

/// Returns the current API key of the resource with that name.
pub fn key(fake_stripe: &FakeStripeCli, name: &str) -> String {
    let live = fake_stripe.resources().into_iter().find(|live| live.name == name).unwrap();
    live.values["API_KEY"].as_str().unwrap().to_owned()
}

pub fn variable(folder: &Path, file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

const INIT: [&str; 8] =
    ["init", "mine", "--mode", "manual", "--skip-install", "--skip-skills", "--accept-tos", "--yes"];

pub const EXA: [&str; 6] = ["add", "exa/api", "--name", "search", "--accept-tos", "--yes"];

const LOGGED_OUT: &str = "You must be logged in to access the \"projects\" plugin.";
