//! Several workspaces of one user: what an agent of one can see of another, and what a person can do from anywhere.

use std::{fs, path::Path, time::Duration};

use files::fs::Lock;
use serde_json::{Value, json};

use crate::{raw_client::RawClient, workspace::Workspace};

#[test]
fn agent_of_another_workspace_sees_and_changes_nothing() {
    let (here, other) = two_workspaces();
    let id = here.json(&["list"])["projects"][0]["project_id"].as_str().unwrap().to_owned();
    let before = here.read(".env");
    let mut agent = RawClient::initialize(&other);
    let list = agent.call("list_projects", &json!({ "include_torn_down": true }));
    assert_eq!((&list["live_count"], &list["projects"]), (&json!(0), &json!([])), "{list}");
    for tool in ["rotate_key", "teardown"] {
        assert_eq!(agent.call(tool, &json!({ "name": "memory" }))["code"], "project_not_found", "{tool}");
    }
    for name in [here.path().display().to_string(), format!("{}:memory", here.path().display())] {
        assert_eq!(agent.call("rotate_key", &json!({ "name": name }))["code"], "invalid_name", "{name}");
    }
    let projects = resource(&mut agent, "stripe-projects://projects");
    assert_eq!(projects["live_count"], 0, "{projects}");
    let read = agent.request("resources/read", &json!({ "uri": "stripe-projects://projects/memory" }));
    assert!(read["error"].is_object(), "{read}");
    agent.call("list_projects", &json!({}));
    let audit = resource(&mut agent, "stripe-projects://audit").to_string();
    assert!(audit.contains("rotate_key") || audit.contains("project_not_found"), "its own calls: {audit}");
    assert!(!audit.contains(&id) && !audit.contains("supermemory"), "{audit}");
    assert_eq!(here.read(".env"), before);
    assert_eq!(here.json(&["list"])["live_count"], 1);
}

#[test]
fn names_are_unique_per_workspace() {
    let (here, other) = two_workspaces();
    other.ok(&["provision", "memory", "supermemory"]);
    assert_eq!(other.run(&["provision", "memory", "supermemory"]).code, 3);
    let list = here.json(&["list", "--everywhere"]);
    let places: Vec<&str> =
        list["projects"].as_array().unwrap().iter().map(|project| project["workspace"].as_str().unwrap()).collect();
    assert_eq!(places, [other.path().to_str().unwrap(), here.path().to_str().unwrap()], "{list}");
    assert_eq!(list["live_count"], 2);
    other.ok(&["teardown", "memory", "--yes"]);
    assert_eq!(
        (here.json(&["list"])["live_count"].clone(), here.variable("SUPERMEMORY_API_KEY").is_some()),
        (json!(1), true)
    );
}

#[test]
fn limits_count_over_all_workspaces() {
    let (here, other) = two_workspaces();
    let configuration = here.home().join(".config/stripe-projects");
    fs::create_dir_all(&configuration).unwrap();
    fs::write(configuration.join("policy.toml"), "[policy]\ntotal_cap_usd = 30\n").unwrap();
    let refused = other.json(&["provision", "web", "search", "--cap", "9"]);
    assert_eq!(refused["code"], "total_cap_reached", "25 of 30 USD are committed in the other workspace: {refused}");
    here.ok(&["teardown", "memory", "--yes"]);
    other.ok(&["provision", "web", "search", "--cap", "9"]);
}

#[test]
fn lock_of_one_workspace_does_not_hold_another() {
    let (here, other) = two_workspaces();
    other.ok(&["provision", "memory", "supermemory"]);
    let id = other.ledger().workspace().unwrap().unwrap();
    let file = other.state().join(format!("locks/{}.memory.lock", id.as_str()));
    assert!(file.exists());
    let _held = Lock::on_file(&file, Duration::ZERO).unwrap().unwrap();
    here.ok(&["rotate", "memory"]);
}

#[test]
fn person_acts_on_a_workspace_from_anywhere() {
    let (here, other) = two_workspaces();
    other.ok(&["provision", "web", "search"]);
    let qualified = format!("{}:memory", here.path().display());
    let from = |folder: &Path, arguments: &[&str]| {
        let mut command = other.command(arguments);
        crate::workspace::CommandOutput::from(command.current_dir(folder).output().unwrap())
    };
    let home = here.home();
    for arguments in [["suspend", &qualified], ["resume", &qualified], ["rotate", &qualified]] {
        let output = from(&home, &arguments);
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
    }
    assert!(here.variable("SUPERMEMORY_API_KEY").is_some(), "its env file has the key");
    let listed = from(&home, &["list", "--everywhere"]).stdout;
    assert!(listed.contains(&qualified), "{listed}");
    assert_eq!(from(&home, &["list"]).code, 3, "the home is no workspace");
    assert_eq!(from(&home, &["teardown", "/nowhere:memory", "--yes"]).code, 4);

    let output = from(&home, &["suspend", "--all", "--everywhere"]);
    assert_eq!((output.code, output.stdout.lines().count()), (0, 2), "{output:?}");
    assert_eq!((here.variable("SUPERMEMORY_API_KEY"), other.variable("EXA_API_KEY")), (None, None));
    let output = from(&home, &["teardown", "--all", "--everywhere", "--yes"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(here.billed_resources().is_empty());
    assert!(from(&home, &["teardown", "--all", "--everywhere"]).stdout.is_empty(), "it asks first");
}

#[test]
fn project_whose_folder_is_gone_stays_listed() {
    let (here, other) = two_workspaces();
    let path = here.path();
    let label = path.to_str().unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(other.json(&["list", "--everywhere"])["live_count"], 1);
    let doctor = other.json(&["doctor"]).to_string();
    assert!(doctor.contains(&format!("the folder {label} of 1 live project is gone")), "{doctor}");
    let workspaces = other.json(&["workspaces"]);
    let gone = workspaces["workspaces"].as_array().unwrap().iter().find(|one| one["workspace"] == label).unwrap();
    assert_eq!((&gone["folder"], &gone["live_count"]), (&json!("gone"), &json!(1)), "{workspaces}");

    assert_eq!(other.json(&["list", "--dir", label])["live_count"], 1, "the path is registered");
    assert_eq!(other.json(&["list", "--dir", "/nowhere"])["code"], "no_folder");
    assert_eq!(RawClient::start(other.command(&["serve", "--dir", label])).wait().code, 2, "no agent works there");
    other.ok(&["teardown", &format!("{label}:memory"), "--yes"]);
    assert!(other.billed_resources().is_empty());
    fs::create_dir(&path).unwrap(); // for the end of the test
}

#[test]
fn replaced_folder_shows_nothing_to_an_agent() {
    let (here, _other) = two_workspaces();
    let moved = here.root().join("moved");
    fs::rename(here.path(), &moved).unwrap();
    fs::create_dir(here.path()).unwrap();

    let mut agent = RawClient::initialize(&here);
    for (tool, arguments) in [
        ("list_projects", json!({})),
        ("provision", json!({ "name": "more", "provider": "search" })),
        ("rotate_key", json!({ "name": "memory" })),
        ("teardown", json!({ "name": "memory" })),
    ] {
        let answer = agent.call(tool, &arguments);
        assert_eq!(answer["code"], "workspace_replaced", "{tool}: {answer}");
        assert!(answer["hint"].as_str().unwrap().contains("show this to the user, do not run it"), "{answer}");
    }
    for uri in ["stripe-projects://projects", "stripe-projects://projects/memory", "stripe-projects://audit"] {
        let read = agent.request("resources/read", &json!({ "uri": uri }));
        assert!(read["error"].is_object(), "{uri}: {read}");
    }
    let error = here.run(&["list"]);
    assert_eq!(error.code, 3);
    assert!(error.stderr.contains("workspaces move") && error.stderr.contains("workspaces detach"), "{error:?}");

    let (old, new) = (here.path().display().to_string(), moved.display().to_string());
    here.ok(&["workspaces", "move", &old, &new]);
    let list = here.json(&["list", "--dir", &new]);
    assert_eq!(list["live_count"], 1);
    let env_file = moved.join(".env").display().to_string();
    assert_eq!(list["projects"][0]["env_written_to"], env_file, "its env file moved along: {list}");
    here.ok(&["rotate", "memory", "--dir", &new]);
    assert_eq!(here.json(&["list"])["live_count"], 0, "the new folder is a workspace of its own");
    here.ok(&["provision", "memory", "supermemory"]);
    let taken = here.json(&["workspaces", "move", &new, &old]);
    assert_eq!(taken["code"], "workspace_taken", "{taken}");
}

#[test]
fn detached_workspace_keeps_its_projects() {
    let (here, _other) = two_workspaces();
    let path = here.path().display().to_string();
    here.ok(&["workspaces", "detach", &path]);
    assert_eq!(here.json(&["list"])["live_count"], 0);
    here.ok(&["provision", "memory", "search"]);
    let list = here.json(&["list", "--everywhere"]);
    let labels: Vec<&str> =
        list["projects"].as_array().unwrap().iter().map(|project| project["workspace"].as_str().unwrap()).collect();
    let detached = labels.iter().find(|label| label.starts_with(&format!("{path}@"))).unwrap();
    assert!(labels.contains(&path.as_str()), "{labels:?}");
    here.ok(&["teardown", &format!("{detached}:memory"), "--yes"]);
    assert_eq!(here.json(&["list", "--everywhere"])["live_count"], 1);
    assert_eq!(here.json(&["workspaces", "detach", "/nowhere"])["code"], "unknown_workspace");
}

#[test]
fn link_to_a_workspace_is_that_workspace() {
    let (here, _other) = two_workspaces();
    let link = here.root().join("link");
    std::os::unix::fs::symlink(here.path(), &link).unwrap();
    assert_eq!(here.json(&["list", "--dir", link.to_str().unwrap()])["live_count"], 1);
}

#[test]
fn scan_and_doctor_look_everywhere_only_if_asked() {
    let (here, other) = two_workspaces();
    here.allow_planted_keys();
    other.allow_planted_keys();
    other.write("notes.txt", here.variable("SUPERMEMORY_API_KEY").unwrap());
    assert_eq!(other.run(&["scan", "notes.txt"]).code, 0, "the key of another workspace is not known here");
    assert_eq!(other.run(&["scan", "notes.txt", "--everywhere"]).code, 7);
    here.write(".env", "");
    assert_eq!(other.run(&["doctor"]).code, 0);
    let doctor = other.run(&["doctor", "--everywhere"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.stdout.contains(&format!("{}: SUPERMEMORY_API_KEY", here.path().display())), "{doctor:?}");
}

/// Returns two workspaces of one user; the first one has a project `memory`.
fn two_workspaces() -> (Workspace, Workspace) {
    let here = Workspace::new();
    here.ok(&["provision", "memory", "supermemory", "--cap", "25"]);
    let other = here.beside();
    (here, other)
}

fn resource(agent: &mut RawClient, uri: &str) -> Value {
    let read = agent.request("resources/read", &json!({ "uri": uri }));
    let text = read["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{uri}: {read}"));
    serde_json::from_str(text).unwrap()
}
