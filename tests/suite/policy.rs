//! The policy outside the workspace: it tightens limits, and an unreadable policy stops provisioning.

use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::{
    alerts_receiver::{AlertReceiver, SECRET},
    cli_call::CliCall,
    raw_client::RawClient,
    workspace::Workspace,
};

#[test]
fn workspace_cannot_raise_its_budget() {
    let (here, home) =
        (Workspace::new(), config_home("[policy]\ntotal_cap_usd = 30\n[providers.supermemory]\nmax_cap_usd = 20\n"));
    let wide = files::registry::BUILTIN.replacen("max_cap_usd = 100", "max_cap_usd = 1000", 1);
    here.write("providers.toml", format!("{wide}\n[policy]\napproval = 'never'\ntotal_cap_usd = 5000\n"));
    let mut agent = agent(&here, &home);
    let ask = |name: &str, cap: u32| json!({ "name": name, "provider": "supermemory", "spend_cap_usd": cap });
    assert_eq!(agent.call("provision", &ask("a", 21))["code"], "cap_above_maximum");
    assert_eq!(agent.call("provision", &ask("a", 20))["status"], "active");
    assert_eq!(agent.call("provision", &ask("b", 11))["code"], "total_cap_reached");
    // Another name for the same service does not help either.
    here.write("providers.toml", wide.replace("[providers.supermemory]", "[providers.notes]"));
    let renamed = json!({ "name": "b", "provider": "notes", "spend_cap_usd": 21 });
    assert_eq!(agent.call("provision", &renamed)["code"], "cap_above_maximum");
    cli(&here, &home, &["provision", "b", "notes", "--cap", "21"]).exit(3); // the policy binds the user as well
}

#[test]
fn workspace_cannot_bypass_approval() {
    let (here, home) = (Workspace::new(), config_home("[policy]\napproval = 'always'\n"));
    here.write("providers.toml", format!("{}\n[policy]\napproval = 'never'\n", files::registry::BUILTIN));
    let response = agent(&here, &home).call("provision", &json!({ "name": "web", "provider": "search" }));
    assert_eq!(response["code"], "approval_required");
}

#[test]
fn workspace_cannot_redirect_alerts() {
    let (ours, theirs) = (AlertReceiver::start(), AlertReceiver::start());
    let alerts =
        |to: &AlertReceiver| format!("[alerts]\nurl = 'http://{}/'\nallow_hosts = ['127.0.0.1']\n", to.address);
    let (here, home) = (Workspace::new(), config_home(&alerts(&ours)));
    cli(&here, &home, &["provision", "web", "search", "--cap", "10"]).succeed();
    here.write("providers.toml", format!("{}\n{}", files::registry::BUILTIN, alerts(&theirs)));
    let record = |usd: &str| {
        let usage = cli(&here, &home, &["usage", "record", "web", usd]);
        usage.env("STRIPE_PROJECTS_ALERT_SECRET", SECRET).succeed()
    };
    record("5");
    assert_eq!(cli(&here, &home, &["providers", "check"]).json()["code"], "invalid_registry");
    std::fs::remove_file(here.file("providers.toml")).unwrap();
    record("3");
    assert_eq!((ours.received().len(), theirs.received().len()), (2, 0), "the first alert was kept until then");
}

#[test]
fn shown_limits_are_the_effective_ones() {
    let (here, home) = (Workspace::new(), config_home("[providers.search]\ndefault_cap_usd = 2\nmax_cap_usd = 3\n"));
    let listed = cli(&here, &home, &["providers"]).json();
    let search = listed["providers"].as_array().unwrap().iter().find(|provider| provider["key"] == "search").unwrap();
    assert_eq!((&search["default_cap_usd"], &search["max_cap_usd"]), (&json!(2.0), &json!(3.0)));
}

#[test]
fn broken_policy_stops_provisioning_only() {
    let here = Workspace::new();
    here.ok(&["provision", "memory", "supermemory"]);
    for (text, place) in [
        ("[policy]\nmax_live_project = 1\n", "policy.toml:2:1: unknown key; did you mean `max_live_projects`?"),
        (
            "[policy]\napproval = 'sk_live_51Canary0123456789abcdef'\n",
            "policy.toml:2:12: this looks like a credential, which this file must not contain",
        ),
        ("[policy\n", "policy.toml:1:8: invalid TOML"),
    ] {
        let home = config_home(text);
        let mut agent = agent(&here, &home);
        let error = agent.call("provision", &json!({ "name": "web", "provider": "search" }));
        assert_eq!(error["code"], "invalid_policy");
        assert!(error["message"].as_str().unwrap().contains(place), "{error}");
        assert!(!error.to_string().contains("Canary"));
        assert_eq!(agent.call("list_projects", &json!({}))["live_count"], 1);
        assert_eq!(agent.call("rotate_key", &json!({ "name": "memory" }))["status"], "active");
        cli(&here, &home, &["provision", "web", "search"]).exit(2);
    }
    let home = TempDir::new().unwrap();
    let path = home.path().join("stripe-projects/policy.toml");
    std::fs::create_dir_all(&path).unwrap();
    let error = agent(&here, &home).call("provision", &json!({ "name": "web", "provider": "search" }));
    assert_eq!(error["code"], "invalid_policy", "a path that is not a file grants nothing");
    std::fs::remove_dir(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let error = agent(&here, &home).call("provision", &json!({ "name": "web", "provider": "search" }));
    assert_eq!(error["code"], "invalid_policy", "a pipe does not block: {error}");
}

/// The link shows that a policy was intended.
#[cfg(unix)]
#[test]
fn dangling_policy_link_is_an_error() {
    let here = Workspace::new();
    for dangling in ["stripe-projects/policy.toml", "stripe-projects"] {
        let home = TempDir::new().unwrap();
        let link = home.path().join(dangling);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(home.path().join("not-mounted"), &link).unwrap();
        for error in [
            agent(&here, &home).call("provision", &json!({ "name": "web", "provider": "search" })),
            cli(&here, &home, &["provision", "web", "search"]).json(),
        ] {
            assert_eq!(error["code"], "invalid_policy", "{dangling}: {error}");
            assert!(
                error["message"].as_str().unwrap().ends_with("the target of this symbolic link does not exist"),
                "{error}"
            );
        }
        cli(&here, &home, &["list"]).succeed();
    }
}

#[test]
fn named_policy_must_exist() {
    let (here, elsewhere) = (Workspace::new(), TempDir::new().unwrap());
    let path = elsewhere.path().join("mine.toml");
    let provision = || here.cli(&["provision", "web", "search"]).env("STRIPE_PROJECTS_POLICY", &path).json();
    assert_eq!(provision()["code"], "invalid_policy");
    std::fs::write(&path, "[policy]\ndenied = ['exa']\n").unwrap();
    assert_eq!(provision()["code"], "provider_not_allowed");
    std::fs::write(&path, "").unwrap();
    assert_eq!(provision()["status"], "active");
}

#[test]
fn policy_without_xdg_is_read_from_home() {
    let (here, home) = (Workspace::new(), TempDir::new().unwrap());
    let folder = home.path().join(".config/stripe-projects");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("policy.toml"), "[policy]\nallowed = []\n").unwrap();
    let call = here.cli(&["provision", "web", "search"]).env_remove("XDG_CONFIG_HOME");
    call.env("HOME", home.path()).exit(3);
}

/// Creates a configuration folder with that policy.
pub fn config_home(policy: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("stripe-projects");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("policy.toml"), policy).unwrap();
    home
}

pub fn cli(here: &Workspace, home: &TempDir, arguments: &[&str]) -> CliCall {
    here.cli(arguments).env("XDG_CONFIG_HOME", home.path())
}

pub fn agent(here: &Workspace, home: &TempDir) -> RawClient {
    let mut command = here.command(&["serve"]);
    command.env("XDG_CONFIG_HOME", home.path());
    let mut client = RawClient::start(command);
    client.initialize_as("lines");
    client
}
