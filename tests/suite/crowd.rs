//! Many processes on one workspace: nothing is lost, nothing is doubled, nobody is told that a database is locked.

use std::{collections::BTreeSet, process::Stdio, thread};

use serde_json::json;

use crate::{
    lines::Lines,
    workspace::{Ran, Workspace},
};

const PROCESSES: usize = 8;
const EACH: usize = 50;

#[test]
fn eight_processes_provision_and_rotate_side_by_side() {
    let workspace = Workspace::new();
    thread::scope(|scope| {
        for process in 0..PROCESSES {
            let workspace = &workspace;
            scope.spawn(move || {
                let mut server = Lines::greet(workspace);
                for call in 0..EACH {
                    let name = format!("p{process}-{call}");
                    let provisioned = server.call("provision", &json!({ "name": name, "provider": "search" }));
                    assert_eq!(provisioned["status"], "active", "{provisioned}");
                    let rotated = server.call("rotate_key", &json!({ "name": name }));
                    assert_eq!(rotated["key_version"], 2, "{rotated}");
                }
            });
        }
    });

    let list = workspace.json(&["list"]);
    let projects = list["projects"].as_array().unwrap();
    assert_eq!(projects.len(), PROCESSES * EACH);
    let mut owners = BTreeSet::new();
    for project in projects {
        assert_eq!(project["status"], "active");
        let key = workspace.variable(project["env_var"].as_str().unwrap()).unwrap();
        let owner = workspace.owner_of(&key).expect("the env file has the current key of every project");
        owners.insert(owner.as_str().to_owned());
    }
    assert_eq!(owners.len(), PROCESSES * EACH, "every project has a key of its own");
    assert_eq!(workspace.world().observe_everything().unwrap().len(), PROCESSES * EACH);
    assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), None);
}

#[test]
fn eight_processes_want_one_name_and_one_gets_it() {
    let workspace = Workspace::new();
    let ran = at_once(&workspace, &["provision", "wanted", "search"]);
    assert_eq!(ran.iter().filter(|ran| ran.code == 0).count(), 1, "{ran:?}");
    assert!(ran.iter().filter(|ran| ran.code != 0).all(|ran| ran.stderr.contains("live already")), "{ran:?}");
    assert_eq!(workspace.world().observe_everything().unwrap().len(), 1);
}

#[test]
fn eight_processes_cannot_spend_the_last_of_a_budget_together() {
    let workspace = Workspace::new();
    let registry = include_str!("../../providers.toml");
    workspace.write("providers.toml", format!("{registry}\n[policy]\ntotal_cap_usd = 30\n"));
    let ran: Vec<Ran> = thread::scope(|scope| {
        let start = |number: usize| {
            let workspace = &workspace;
            scope.spawn(move || workspace.run(&["provision", &format!("p{number}"), "search", "--cap", "10"]))
        };
        let started: Vec<_> = (0..PROCESSES).map(start).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ran.iter().filter(|ran| ran.code == 0).count(), 3, "{ran:?}");
    assert!(ran.iter().filter(|ran| ran.code != 0).all(|ran| ran.code == 3), "{ran:?}");
}

#[test]
fn eight_processes_rotate_one_key_and_the_last_one_lives() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "shared", "search"]);
    let ran = at_once(&workspace, &["rotate", "shared"]);
    assert!(ran.iter().all(|ran| ran.code == 0), "{ran:?}");
    let project = workspace.json(&["list"])["projects"][0].clone();
    assert_eq!(project["key_version"], 1 + PROCESSES);
    assert!(workspace.owner_of(&workspace.variable("EXA_API_KEY").unwrap()).is_some());
}

fn at_once(workspace: &Workspace, arguments: &[&str]) -> Vec<Ran> {
    let start = |_| workspace.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..PROCESSES).map(start).collect();
    children.into_iter().map(|child| Ran::from(child.wait_with_output().unwrap())).collect()
}
