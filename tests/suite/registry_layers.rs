//! Registries extend each other: built-in, the user's, the workspace's. The last one loosens and directs nothing.

use std::{fs, path::Path};

use serde_json::json;
use tempfile::TempDir;

use crate::{cli_call::CliCall, raw_client::RawClient, workspace::Workspace};

#[test]
fn each_registry_extends_the_one_before_by_key() {
    let (here, home) = (Workspace::new(), user(&registry("almanac", "ours/api", 5, "")));
    here.write(
        "providers.toml",
        format!("{}{}", registry("climate", "theirs/api", 6, ""), entry("search", "exa/api", 4, "")),
    );
    let shown = cli(&here, &home, &["providers"]).json();
    let caps = |key: &str| {
        let providers = shown["providers"].as_array().unwrap();
        providers.iter().find(|provider| provider["key"] == key).map(|provider| provider["default_cap_usd"].clone())
    };
    assert_eq!(caps("almanac"), Some(json!(5.0)));
    assert_eq!(caps("climate"), Some(json!(6.0)));
    assert_eq!(caps("search"), Some(json!(4.0)), "replaced by its key");
    assert!(caps("supermemory").is_some(), "the built-in ones stay");
    let doctor = cli(&here, &home, &["doctor"]).run();
    assert!(doctor.stdout.contains("providers.toml are valid (12 providers)"), "{doctor:?}");
}

#[test]
fn workspace_cannot_agree_to_terms() {
    let (here, home) = (Workspace::new(), user("version = 1\n[providers]\n"));
    fs::remove_file(home.path().join(".config/stripe-projects/providers.toml")).unwrap();
    here.write("providers.toml", registry("almanac", "ours/api", 5, "terms_accepted = true\n"));
    for arguments in [&["provision", "web", "almanac"][..], &["providers", "check"]] {
        let error = cli(&here, &home, arguments).json();
        assert_eq!(error["code"], "invalid_registry", "{error}");
        let place =
            format!("{}:8:18: `terms_accepted` does not count in a workspace", here.file("providers.toml").display());
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&place) && message.contains("~/.config/stripe-projects/providers.toml"), "{error}");
    }
    let named = here.file("providers.toml");
    here.write("elsewhere.toml", registry("almanac", "ours/api", 5, "terms_accepted = true\n"));
    fs::remove_file(named).unwrap();
    let error = cli(&here, &home, &["providers", "check", "--providers", "elsewhere.toml"]).json();
    assert_eq!(error["code"], "invalid_registry", "a file that a flag names is no better: {error}");
    // To take them back is allowed, and so is the same entry in the user's own registry.
    here.write("providers.toml", registry("almanac", "ours/api", 5, "terms_accepted = false\n"));
    cli(&here, &home, &["providers", "check"]).succeed();
    let home = user(&registry("almanac", "ours/api", 5, "terms_accepted = true\n"));
    cli(&here, &home, &["providers", "check"]).succeed();
}

/// A workspace's entry may have a higher default, but an agent gets no more without a person than before.
#[test]
fn workspace_cannot_raise_what_needs_no_approval() {
    let (here, home) = (Workspace::new(), user("version = 1\n[providers]\n"));
    fs::remove_file(home.path().join(".config/stripe-projects/providers.toml")).unwrap();
    for key in ["supermemory", "notes"] {
        let text = registry(key, "supermemory/memory", 90, "approval = 'never'\n");
        here.write("providers.toml", format!("{text}[policy]\napproval = 'never'\n"));
        let mut agent = agent(&here, &home);
        let response = agent.call("provision", &json!({ "name": "memory", "provider": key }));
        assert_eq!(response["code"], "approval_required", "{key}: {response}");
        assert!(response["hint"].as_str().unwrap().contains("ask for 25 USD or less"), "{response}");
        let small = json!({ "name": "memory", "provider": key, "spend_cap_usd": 25 });
        assert_eq!(agent.call("provision", &small)["status"], "active");
        agent.call("teardown", &json!({ "name": "memory" }));
    }
}

/// The user's own registry decides about approvals as a policy does.
#[test]
fn own_registry_may_grant_without_approval() {
    let (here, home) =
        (Workspace::new(), user(&registry("supermemory", "supermemory/memory", 90, "approval = 'never'\n")));
    let mut agent = agent(&here, &home);
    let asked = json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 90 });
    assert_eq!(agent.call("provision", &asked)["status"], "active");
}

/// A registry that the environment places into the workspace or a work tree is one of the workspace's.
#[test]
fn registry_in_a_work_tree_is_not_the_users() {
    let here = Workspace::new();
    let clone = TempDir::new().unwrap();
    fs::create_dir(clone.path().join(".git")).unwrap();
    let text = registry("almanac", "ours/api", 5, "terms_accepted = true\n");
    for folder in [here.path(), clone.path().to_owned()] {
        write(&folder.join("stripe-projects/providers.toml"), &text);
        write(&folder.join(".config/stripe-projects/providers.toml"), &text);
        for (name, home) in [("XDG_CONFIG_HOME", folder.clone()), ("HOME", folder.clone())] {
            let call = here.cli(&["providers", "check"]).env("XDG_CONFIG_HOME", "").env(name, &home);
            let error = call.json();
            assert_eq!(error["code"], "invalid_registry", "{name} = {}: {error}", home.display());
            assert!(error["message"].as_str().unwrap().contains("providers.toml:8:18: "), "{error}");
        }
    }
    let plain = TempDir::new().unwrap();
    write(&plain.path().join("stripe-projects/providers.toml"), &text);
    here.cli(&["providers", "check"]).env("XDG_CONFIG_HOME", plain.path()).succeed();
}

fn registry(key: &str, service: &str, cap: u32, more: &str) -> String {
    format!("version = 1\n{}", entry(key, service, cap, more))
}

fn entry(key: &str, service: &str, cap: u32, more: &str) -> String {
    let variable = key.to_uppercase();
    format!(
        "[providers.{key}]\nlabel = 'A'\nservice = '{service}'\nenv_var = '{variable}_KEY'\ndefault_cap_usd = {cap}\n\
         docs = 'https://example.com'\n{more}"
    )
}

/// Creates a home with that registry.
fn user(registry: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    write(&home.path().join(".config/stripe-projects/providers.toml"), registry);
    home
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn cli(here: &Workspace, home: &TempDir, arguments: &[&str]) -> CliCall {
    here.cli(arguments).env("HOME", home.path()).env("XDG_CONFIG_HOME", "")
}

fn agent(here: &Workspace, home: &TempDir) -> RawClient {
    let mut command = here.command(&["serve"]);
    command.env("HOME", home.path()).env("XDG_CONFIG_HOME", "");
    let mut client = RawClient::start(command);
    client.initialize_as("lines");
    client
}
