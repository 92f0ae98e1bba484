//! The stand-in behaves as the real `stripe projects` was recorded to; otherwise what is proven with it is worth nothing.

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
    fake_stripe::{PREFIX, StandIn},
    workspace::Ran,
};

#[test]
fn an_answer_is_an_envelope_and_nothing_works_before_init() {
    let (stand_in, folder) = (StandIn::new(), tempfile::tempdir().unwrap());
    let answer = stand_in.ask(folder.path(), &["status"]);
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["command"], "projects status");
    assert_eq!(answer["version"], "0.1");
    assert_eq!(answer["error"]["code"], "PROJECT_NOT_INITIALIZED");
    assert_eq!(answer["meta"], json!({ "authenticated": true, "project_initialized": false }));
    assert_eq!(code(&stand_in.ask(folder.path(), &EXA)), "PROJECT_NOT_INITIALIZED");

    let refused = stand_in.ask(folder.path(), &["init", "mine", "--preflight"]);
    assert_eq!(code(&refused), "TOS_ACCEPTANCE_REQUIRED");
    assert_eq!(refused["error"]["details"]["preflight"][2]["pass"], false);
    let ready = stand_in.ask(folder.path(), &["init", "mine", "--accept-tos", "--preflight"]);
    assert_eq!(ready["data"]["ready"], true);
    assert!(ready["data"]["preflight"].as_array().unwrap().iter().all(|row| row["pass"] == true && row["code"] != ""));
    assert!(!folder.path().join(".projects").exists(), "a preflight changes nothing");

    assert_eq!(code(&stand_in.ask(folder.path(), &["init", "mine", "--accept-tos"])), "JSON_REQUIRES_CONFIRMATION");
    init(&stand_in, folder.path());
    assert_eq!(code(&stand_in.ask(folder.path(), &INIT)), "PROJECT_ALREADY_CONNECTED");
    let status = stand_in.ask(folder.path(), &["status"]);
    assert_eq!(status["data"]["project"]["id"], stand_in.project_id());
    assert_eq!(status["meta"]["project_initialized"], true);
}

#[test]
fn add_is_not_idempotent_and_shows_no_value() {
    let (stand_in, folder) = ready();
    let first = stand_in.run(folder.path(), &EXA);
    assert!(first.stdout.starts_with("A newer version"), "text comes before the envelope: {first:?}");
    assert!(first.stderr.contains("Warning"), "{first:?}");
    let second = stand_in.run(folder.path(), &EXA);
    assert!(!first.stdout.contains(PREFIX) && !second.stdout.contains(PREFIX));
    let names: Vec<_> = stand_in.resources().into_iter().map(|live| live.name).collect();
    assert_eq!(names, ["exa-free", "search", "search-2"]);

    let listed = stand_in.ask(folder.path(), &["services", "list"]);
    assert_eq!(listed["data"]["services"][1]["name"], "search-2");
    assert_eq!(listed["data"]["services"][1]["provider_name"], "Exa");
    assert!(listed["data"]["services"][0]["id"].as_str().unwrap().starts_with("fres_"));
    assert_eq!(listed["data"]["plans"][0]["service_id"], "free");
    assert_eq!(stand_in.calls().iter().filter(|verb| *verb == "add").count(), 3);
}

#[test]
fn add_refuses_what_the_real_one_refuses() {
    let (stand_in, folder) = ready();
    let folder = folder.path();
    let refused = |arguments: &[&str]| {
        let before = stand_in.resources().len();
        let answer = stand_in.ask(folder, &[&["add"], arguments].concat());
        assert_eq!(stand_in.resources().len(), before, "refused and made");
        answer
    };
    assert_eq!(code(&refused(&["nobody/nothing", "--accept-tos", "--yes"])), "INVALID_ARGUMENT");
    assert_eq!(code(&refused(&["exa/api", "--accept-tos"])), "JSON_REQUIRES_CONFIRMATION");
    assert_eq!(code(&refused(&["elevenlabs/tts", "--yes"])), "TOS_ACCEPTANCE_REQUIRED");

    let plan = refused(&["neon/postgres", "--accept-tos", "--yes"]);
    assert_eq!(code(&plan), "PLAN_REQUIRED");
    let commands = plan["error"]["details"]["commands"].as_array().unwrap();
    assert!(commands.contains(&json!("stripe projects add neon/free")), "{commands:?}");

    let memory = |config: &str| refused(&["supermemory/memory", "--config", config, "--accept-tos", "--yes"]);
    assert_eq!(code(&memory("{}")), "invalid_fields");
    assert_eq!(code(&memory(r#"{"plan":"gold"}"#)), "invalid_fields");
    assert_eq!(code(&memory(r#"{"plan":"pro"}"#)), "PRICE_CONFIRMATION_REQUIRED");
    assert_eq!(code(&memory("{")), "INVALID_ARGUMENT");
    stand_in.unlink("supermemory");
    assert_eq!(code(&memory(r#"{"plan":"pro"}"#)), "PROVIDER_NOT_LINKED");

    let again = refused(&["exa/free", "--accept-tos", "--yes"]);
    assert_eq!(code(&again), "resource_count_constraint_exceeded");
    let ran = stand_in.run(folder, &["add", "exa/free", "--accept-tos", "--yes"]);
    assert_eq!(ran.code, 0, "an exit code says little: {ran:?}");

    let preflight = ["--preflight", "--name", "memory", "--accept-tos", "--config", r#"{"plan":"free"}"#];
    let preflight = refused(&[&["supermemory/memory"], &preflight[..]].concat());
    let rows = preflight["error"]["details"]["preflight"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["pass"] == false).count(), 2, "not linked, and a price: {rows:?}");
    stand_in.link("supermemory");
    stand_in.set("supermemory/memory", "confirm_by_tier", json!(true));
    let config = ["supermemory/memory", "--config", r#"{"plan":"free"}"#, "--accept-tos", "--yes"];
    assert_eq!(stand_in.ask(folder, &[&["add"], &config[..]].concat())["ok"], true);
}

#[test]
fn values_are_in_the_pulled_file_only() {
    let (stand_in, folder) = ready();
    assert_eq!(code(&stand_in.ask(folder.path(), &["env", "--pull"])), "PROJECT_ENVIRONMENT_HAS_NO_RESOURCES");
    stand_in.run(folder.path(), &EXA);
    let key = key(&stand_in, "search");
    for verb in [&["env"][..], &["env", "list"], &["status"], &["services", "list"], &["env", "--pull"]] {
        let ran = stand_in.run(folder.path(), verb);
        assert!(!ran.stdout.contains(&key) && !ran.stderr.contains(&key), "{verb:?}");
    }
    assert_eq!(stand_in.ask(folder.path(), &["env"])["data"]["variables"][0]["value"], "••••••••");
    assert_eq!(variable(folder.path(), ".env", "SEARCH_API_KEY"), Some(key.clone()));
    assert_eq!(fs::metadata(folder.path().join(".env")).unwrap().permissions().mode() & 0o777, 0o600);
    let vault = fs::read_to_string(folder.path().join(".projects/vault/vault.json")).unwrap();
    let spelled = key.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert!(!vault.contains(&key) && !vault.contains(&spelled), "the vault is sealed");
    let listed = stand_in.ask(folder.path(), &["env", "list"]);
    let variable = &listed["data"]["environments"]["default"]["variables"][0];
    assert_eq!(*variable, json!({ "env_key": "SEARCH_API_KEY", "name": "search" }));
}

#[test]
fn a_variable_is_named_after_the_resource_or_after_the_provider() {
    let (stand_in, folder) = ready();
    for arguments in [&["agentmail/free"][..], &["agentmail/api", "--name", "the-mail"]] {
        let answer = stand_in.ask(folder.path(), &[&["add", "--accept-tos", "--yes"], arguments].concat());
        assert_eq!(answer["ok"], true, "{answer}");
    }
    stand_in.run(folder.path(), &["env", "--pull"]);
    assert!(variable(folder.path(), ".env", "THE_MAIL_AGENTMAIL_API_KEY").is_some());
    stand_in.set("agentmail/api", "naming", json!("provider"));
    stand_in.run(folder.path(), &["env", "--pull"]);
    assert!(variable(folder.path(), ".env", "AGENTMAIL_AGENTMAIL_API_KEY").is_some());
}

#[test]
fn environments_have_a_file_each() {
    let (stand_in, folder) = ready();
    stand_in.ask(folder.path(), &["env", "create", "agent", "--output", ".env.agent"]);
    assert_eq!(stand_in.ask(folder.path(), &["env", "use", "nobody"])["ok"], false);
    assert_eq!(stand_in.ask(folder.path(), &["env", "use", "agent"])["ok"], true);
    stand_in.run(folder.path(), &EXA);
    stand_in.run(folder.path(), &["env", "--pull"]);
    assert_eq!(variable(folder.path(), ".env.agent", "SEARCH_API_KEY"), Some(key(&stand_in, "search")));
    assert!(!folder.path().join(".env").exists());
    let status = stand_in.ask(folder.path(), &["status"]);
    assert_eq!(status["data"]["active_environment"], "agent");
    assert_eq!(status["data"]["environments"]["agent"]["resources"], json!(["search"]));
}

#[test]
fn rotate_kills_the_old_value_at_once() {
    let (stand_in, folder) = ready();
    stand_in.run(folder.path(), &EXA);
    let old = key(&stand_in, "search");
    assert!(stand_in.owner_of(&old).is_some());
    assert_eq!(stand_in.ask(folder.path(), &["rotate", "search", "--yes"])["ok"], true);
    let new = key(&stand_in, "search");
    assert_eq!(stand_in.owner_of(&old), None);
    assert!(stand_in.owner_of(&new).is_some());

    stand_in.weather(json!([{ "verb": "rotate", "fault": "no_change" }]));
    assert_eq!(stand_in.ask(folder.path(), &["rotate", "search", "--yes"])["ok"], true);
    assert_eq!(key(&stand_in, "search"), new, "rotated in words only");
    stand_in.set("exa/api", "unrotatable", json!(true));
    assert_eq!(code(&stand_in.ask(folder.path(), &["rotate", "search", "--yes"])), "provider_failure");
    assert_eq!(key(&stand_in, "search"), new);
}

#[test]
fn remove_deprovisions_and_leaves_the_env_file_alone() {
    let (stand_in, folder) = ready();
    stand_in.run(folder.path(), &EXA);
    stand_in.run(folder.path(), &["env", "--pull"]);
    let old = key(&stand_in, "search");
    stand_in.weather(json!([{ "verb": "remove", "fault": "survives" }]));
    assert_eq!(stand_in.ask(folder.path(), &["remove", "search", "--yes"])["ok"], true);
    assert!(stand_in.owner_of(&old).is_some(), "removed in words only");
    assert_eq!(stand_in.ask(folder.path(), &["remove", "search", "--yes"])["ok"], true);
    assert_eq!(stand_in.owner_of(&old), None);
    assert_eq!(variable(folder.path(), ".env", "SEARCH_API_KEY"), Some(old));
    assert_eq!(code(&stand_in.ask(folder.path(), &["remove", "search", "--yes"])), "INVALID_ARGUMENT");
}

#[test]
fn a_limit_below_what_is_spent_suspends() {
    let (stand_in, folder) = ready();
    stand_in.run(folder.path(), &EXA);
    let key = key(&stand_in, "search");
    stand_in.bill("exa", 700);
    assert_eq!(stand_in.ask(folder.path(), &["spend", "exa"])["data"]["amount"], "7.00");
    stand_in.run(folder.path(), &["billing", "update", "--limit", "5", "--yes"]);
    assert_eq!(stand_in.owner_of(&key), None);
    stand_in.run(folder.path(), &["billing", "update", "--limit", "12.50", "--provider", "exa", "--yes"]);
    assert_eq!(stand_in.limit("exa"), 1250, "the provider's own limit wins");
    assert!(stand_in.owner_of(&key).is_some());
    assert_eq!(stand_in.ask(folder.path(), &["billing", "show"])["data"]["limit"], "5.00");
}

#[test]
fn without_a_login_there_is_no_json() {
    let (stand_in, folder) = ready();
    let ran = stand_in.run(folder.path(), &["status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    stand_in.weather(json!([{ "fault": "plugin_missing" }]));
    let without_plugin = stand_in.run(folder.path(), &["status"]);
    stand_in.log_out();
    let ran = stand_in.run(folder.path(), &["status"]);
    assert_eq!((ran.code, ran.stdout.lines().next()), (1, Some(LOGGED_OUT)));
    assert!(!ran.stdout.contains('{'));
    assert_eq!(ran.stdout, without_plugin.stdout, "the two look the same");

    let version =
        |stand_in: &StandIn| Ran::of_another(stand_in.command(folder.path(), &["--version"]).output().unwrap());
    assert_eq!(version(&stand_in).stdout, "stripe version 1.52.0\n");
    stand_in.weather(json!([{ "fault": "cli_too_old", "times": 2 }]));
    assert_eq!(version(&stand_in).stdout, "stripe version 1.21.0\n");
    let old = stand_in.run(folder.path(), &["status"]);
    assert_eq!((old.code, old.stdout.as_str()), (1, ""));
    assert!(old.stderr.contains("unknown command"));
}

#[test]
fn the_whole_catalog_is_not_told_to_a_pipe() {
    let (stand_in, folder) = (StandIn::new(), tempfile::tempdir().unwrap());
    assert_eq!(stand_in.run(folder.path(), &["catalog"]).stdout, "");
    let exa = stand_in.ask(folder.path(), &["catalog", "exa"]);
    assert_eq!(exa["data"]["services"].as_array().unwrap().len(), 2);
    stand_in.weather(json!([{ "verb": "catalog", "fault": "service_gone", "service": "exa/api" }]));
    let exa = stand_in.ask(folder.path(), &["catalog", "exa"]);
    assert_eq!(exa["data"]["services"].as_array().unwrap().len(), 1);
}

#[test]
fn linking_may_want_a_person_in_a_browser() {
    let (stand_in, folder) = ready();
    stand_in.unlink("neon");
    stand_in.weather(json!([{ "verb": "link", "fault": "browser" }]));
    let link = ["link", "neon", "--accept-tos", "--yes"];
    let answer = stand_in.ask(folder.path(), &link);
    assert_eq!(code(&answer), "BROWSER_AUTH_REQUIRED");
    let status = stand_in.ask(folder.path(), &["status"]);
    let providers = status["data"]["providers"].as_array().unwrap();
    let neon = providers.iter().find(|provider| provider["name"] == "Neon").unwrap();
    assert_eq!(neon["redirect_url"], answer["error"]["details"]["redirect_url"]);
    assert_eq!(
        code(&stand_in.ask(folder.path(), &["add", "neon/free", "--accept-tos", "--yes"])),
        "PROVIDER_NOT_LINKED"
    );
    stand_in.set("neon", "browser", json!(true));
    assert_eq!(code(&stand_in.ask(folder.path(), &link)), "BROWSER_AUTH_REQUIRED");
    stand_in.link("neon");
    assert_eq!(stand_in.ask(folder.path(), &link)["ok"], true);
}

#[test]
fn secrets_are_random_and_identifiers_open_nothing() {
    let (stand_in, folder) = ready();
    stand_in.set("neon/postgres", "connection_string", json!(true));
    for arguments in [&["neon/free"][..], &["neon/postgres", "--name", "one"], &["neon/postgres", "--name", "two"]] {
        let answer = stand_in.ask(folder.path(), &[&["add", "--accept-tos", "--yes"], arguments].concat());
        assert_eq!(answer["ok"], true, "{answer}");
    }
    let values: Vec<String> = stand_in
        .resources()
        .iter()
        .flat_map(|live| live.values.values().map(|value| value.as_str().unwrap().to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(values.iter().collect::<HashSet<_>>().len(), 4, "{values:?}");
    for value in &values {
        assert_eq!(stand_in.owner_of(value).is_some(), value.starts_with("postgresql://"), "{value}");
    }
    let log = json!(stand_in.log()).to_string();
    assert!(log.contains("neon/postgres") && !log.contains(PREFIX), "{log}");
}

#[test]
fn calls_at_once_do_not_tear_the_world() {
    let (stand_in, folder) = ready();
    let arguments = [&["projects"], &EXA[..], &["--json"]].concat();
    let start = || stand_in.command(folder.path(), &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let children: Vec<_> = (0..8).map(|_| start().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let names: HashSet<_> = stand_in.resources().into_iter().map(|live| live.name).collect();
    assert_eq!(names.len(), 9, "{names:?}");
    assert_eq!(stand_in.calls().iter().filter(|verb| *verb == "add").count(), 9);
}

#[test]
fn a_paid_service_wants_a_card() {
    let (stand_in, folder) = ready();
    stand_in.without_payment_method();
    let paid = ["add", "openrouter/pay_as_you_go", "--accept-tos", "--confirm-paid-service", "--yes"];
    assert_eq!(code(&stand_in.ask(folder.path(), &paid)), "PAYMENT_METHOD_REQUIRED");
    let free = ["add", "elevenlabs/tts", "--accept-tos", "--yes"];
    assert_eq!(stand_in.ask(folder.path(), &free)["ok"], true);
}

#[test]
fn it_is_found_on_the_path_as_stripe() {
    let (stand_in, folder) = (StandIn::new(), tempfile::tempdir().unwrap());
    stand_in.log_out();
    let mut command = Command::new("stripe");
    let (variable, root) = stand_in.env();
    command.arg("login").current_dir(folder.path()).env(variable, root).env("PATH", stand_in.path());
    assert!(command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap().success());
    init(&stand_in, folder.path());
}

/// A world, and a folder whose project has Exa's free plan.
pub fn ready() -> (StandIn, TempDir) {
    let (stand_in, folder) = (StandIn::new(), tempfile::tempdir().unwrap());
    init(&stand_in, folder.path());
    let plan = stand_in.ask(folder.path(), &["add", "exa/free", "--accept-tos", "--yes"]);
    assert_eq!(plan["ok"], true, "{plan}");
    (stand_in, folder)
}

pub fn init(stand_in: &StandIn, folder: &Path) {
    let answer = stand_in.ask(folder, &INIT);
    assert_eq!(answer["ok"], true, "{answer}");
}

pub fn code(answer: &Value) -> &str {
    assert_eq!(answer["ok"], false, "{answer}");
    answer["error"]["code"].as_str().unwrap()
}

/// The current API key of the resource of that name.
pub fn key(stand_in: &StandIn, name: &str) -> String {
    let live = stand_in.resources().into_iter().find(|live| live.name == name).unwrap();
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
