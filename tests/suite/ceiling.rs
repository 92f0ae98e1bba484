//! The policy outside the workspace: it tightens, it is found, and where it cannot be read nothing is provisioned.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    alerts_receiver::{Receiver, SECRET},
    lines::Lines,
    workspace::{Ran, Workspace},
};

#[test]
fn a_workspace_cannot_widen_its_own_budget() {
    let (here, home) =
        (Workspace::new(), home("[policy]\ntotal_cap_usd = 30\n[providers.supermemory]\nmax_cap_usd = 20\n"));
    let wide = include_str!("../../providers.toml").replacen("max_cap_usd = 100", "max_cap_usd = 1000", 1);
    here.write("providers.toml", format!("{wide}\n[policy]\napproval = 'never'\ntotal_cap_usd = 5000\n"));
    let mut agent = agent(&here, &home);
    let ask = |name: &str, cap: u32| json!({ "name": name, "provider": "supermemory", "spend_cap_usd": cap });
    assert_eq!(agent.call("provision", &ask("a", 21))["code"], "cap_above_maximum");
    assert_eq!(agent.call("provision", &ask("a", 20))["status"], "active");
    assert_eq!(agent.call("provision", &ask("b", 11))["code"], "total_cap_reached");
    // Nor by another name for the same service.
    here.write("providers.toml", wide.replace("[providers.supermemory]", "[providers.notes]"));
    let renamed = json!({ "name": "b", "provider": "notes", "spend_cap_usd": 21 });
    assert_eq!(agent.call("provision", &renamed)["code"], "cap_above_maximum");
    let human = ran(command(&here, &home, &["provision", "b", "notes", "--cap", "21"]));
    assert_eq!(human.code, 3, "the human in that workspace is bound as well: {human:?}");
}

#[test]
fn a_workspace_cannot_do_without_the_human() {
    let (here, home) = (Workspace::new(), home("[policy]\napproval = 'always'\n"));
    here.write("providers.toml", format!("{}\n[policy]\napproval = 'never'\n", include_str!("../../providers.toml")));
    let asked = agent(&here, &home).call("provision", &json!({ "name": "web", "provider": "search" }));
    assert_eq!(asked["code"], "approval_required");
}

#[test]
fn a_workspace_cannot_send_alerts_elsewhere() {
    let (ours, theirs) = (Receiver::start(), Receiver::start());
    let alerts = |to: &Receiver| format!("[alerts]\nurl = 'http://{}/'\nallow_hosts = ['127.0.0.1']\n", to.address);
    let (here, home) = (Workspace::new(), home(&alerts(&ours)));
    for registry in [alerts(&theirs), String::new()] {
        here.write("providers.toml", format!("{}\n{registry}", include_str!("../../providers.toml")));
        assert_eq!(ran(command(&here, &home, &["provision", "web", "search", "--cap", "10"])).code, 0);
        let mut spend = command(&here, &home, &["usage", "record", "web", "5"]);
        spend.env("STRIPE_PROJECTS_ALERT_SECRET", SECRET);
        assert_eq!(ran(spend).code, 0);
        assert_eq!(ran(command(&here, &home, &["teardown", "web", "--yes"])).code, 0);
    }
    assert_eq!((ours.seen().len(), theirs.seen().len()), (2, 0));
}

#[test]
fn the_limits_that_count_are_the_ones_shown() {
    let (here, home) = (Workspace::new(), home("[providers.search]\ndefault_cap_usd = 2\nmax_cap_usd = 3\n"));
    let shown: Value = serde_json::from_str(&ran(command(&here, &home, &["providers", "--json"])).stdout).unwrap();
    let shown = shown["providers"].as_array().unwrap().iter().find(|provider| provider["key"] == "search").unwrap();
    assert_eq!((&shown["default_cap_usd"], &shown["max_cap_usd"]), (&json!(2.0), &json!(3.0)));
}

#[test]
fn a_broken_policy_stops_provisioning_and_nothing_else() {
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
        let home = home(text);
        let mut agent = agent(&here, &home);
        let refused = agent.call("provision", &json!({ "name": "web", "provider": "search" }));
        assert_eq!(refused["code"], "invalid_policy");
        assert!(refused["message"].as_str().unwrap().contains(place), "{refused}");
        assert!(!refused.to_string().contains("Canary"));
        assert_eq!(agent.call("list_projects", &json!({}))["live_count"], 1);
        assert_eq!(agent.call("rotate_key", &json!({ "name": "memory" }))["status"], "active");
        let human = ran(command(&here, &home, &["provision", "web", "search"]));
        assert_eq!(human.code, 2, "{human:?}");
    }
    let home = TempDir::new().unwrap();
    let path = home.path().join("stripe-projects/policy.toml");
    std::fs::create_dir_all(&path).unwrap();
    let refused = agent(&here, &home).call("provision", &json!({ "name": "web", "provider": "search" }));
    assert_eq!(refused["code"], "invalid_policy", "what is there and is no file is no permission");
    std::fs::remove_dir(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let refused = agent(&here, &home).call("provision", &json!({ "name": "web", "provider": "search" }));
    assert_eq!(refused["code"], "invalid_policy", "and nobody is waited for at a pipe: {refused}");
}

/// Whoever made the link meant there to be a policy.
#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_not_no_policy() {
    let here = Workspace::new();
    for dangling in ["stripe-projects/policy.toml", "stripe-projects"] {
        let home = TempDir::new().unwrap();
        let link = home.path().join(dangling);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(home.path().join("not-mounted"), &link).unwrap();
        for refused in [
            agent(&here, &home).call("provision", &json!({ "name": "web", "provider": "search" })),
            serde_json::from_str(&ran(command(&here, &home, &["provision", "web", "search", "--json"])).stdout)
                .unwrap(),
        ] {
            assert_eq!(refused["code"], "invalid_policy", "{dangling}: {refused}");
            assert!(
                refused["message"].as_str().unwrap().ends_with("the target of this symbolic link does not exist"),
                "{refused}"
            );
        }
        assert_eq!(ran(command(&here, &home, &["list"])).code, 0);
    }
}

#[test]
fn a_policy_that_is_named_has_to_be_there() {
    let (here, elsewhere) = (Workspace::new(), TempDir::new().unwrap());
    let path = elsewhere.path().join("mine.toml");
    let provision = || {
        let mut command = here.command(&["provision", "web", "search", "--json"]);
        command.env("STRIPE_PROJECTS_POLICY", &path);
        serde_json::from_str::<Value>(&ran(command).stdout).unwrap()
    };
    assert_eq!(provision()["code"], "invalid_policy");
    std::fs::write(&path, "[policy]\ndenied = ['exa']\n").unwrap();
    assert_eq!(provision()["code"], "provider_not_allowed");
    std::fs::write(&path, "").unwrap();
    assert_eq!(provision()["status"], "active");
}

#[test]
fn without_xdg_it_is_in_the_home() {
    let (here, home) = (Workspace::new(), TempDir::new().unwrap());
    let folder = home.path().join(".config/stripe-projects");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("policy.toml"), "[policy]\nallowed = []\n").unwrap();
    let mut command = here.command(&["provision", "web", "search"]);
    command.env_remove("XDG_CONFIG_HOME").env("HOME", home.path());
    let refused = ran(command);
    assert_eq!(refused.code, 3, "{refused:?}");
}

/// A folder of configuration with that policy in it.
fn home(policy: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("stripe-projects");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("policy.toml"), policy).unwrap();
    home
}

fn command(here: &Workspace, home: &TempDir, arguments: &[&str]) -> Command {
    let mut command = here.command(arguments);
    command.env("XDG_CONFIG_HOME", home.path());
    command
}

fn agent(here: &Workspace, home: &TempDir) -> Lines {
    let mut lines = Lines::start(command(here, home, &["serve"]));
    lines.hello("lines");
    lines
}

fn ran(mut command: Command) -> Ran {
    Ran::from(command.output().unwrap())
}
