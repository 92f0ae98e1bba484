//! Many processes on one workspace: nothing is lost or duplicated. No process reports a locked database.

use std::{collections::BTreeSet, process::Stdio, thread};

use serde_json::json;

use crate::{
    raw_client::RawClient,
    workspace::{CommandOutput, Workspace},
};

const PROCESSES: usize = 8;
const CALLS_PER_PROCESS: usize = 50;

#[test]
fn eight_processes_provision_and_rotate_concurrently() {
    let workspace = Workspace::new();
    workspace.allow_many_projects();
    thread::scope(|scope| {
        for process in 0..PROCESSES {
            let workspace = &workspace;
            scope.spawn(move || {
                let mut server = RawClient::initialize(workspace);
                for call in 0..CALLS_PER_PROCESS {
                    let name = format!("p{process}-{call}");
                    let arguments = json!({ "name": name, "provider": "search", "spend_cap_usd": 0.1 });
                    let provisioned = server.call("provision", &arguments);
                    assert_eq!(provisioned["status"], "active", "{provisioned}");
                    let rotated = server.call("rotate_key", &json!({ "name": name }));
                    assert_eq!(rotated["key_version"], 2, "{rotated}");
                }
            });
        }
    });

    let list = workspace.json(&["list"]);
    let projects = list["projects"].as_array().unwrap();
    assert_eq!(projects.len(), PROCESSES * CALLS_PER_PROCESS);
    let mut owners = BTreeSet::new();
    for project in projects {
        assert_eq!(project["status"], "active");
        let key = workspace.variable(project["env_var"].as_str().unwrap()).unwrap();
        let owner = workspace.owner_of(&key).expect("the env file has the current key of every project");
        owners.insert(owner.as_str().to_owned());
    }
    assert_eq!(owners.len(), PROCESSES * CALLS_PER_PROCESS, "every project has a key of its own");
    assert_eq!(workspace.world().observe_everything().unwrap().len(), PROCESSES * CALLS_PER_PROCESS);
    assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), None);
}

#[test]
fn eight_processes_provision_one_name_and_one_succeeds() {
    let workspace = Workspace::new();
    let output = run_concurrently(&workspace, &["provision", "wanted", "search"]);
    assert_eq!(output.iter().filter(|output| output.code == 0).count(), 1, "{output:?}");
    assert!(
        output.iter().filter(|output| output.code != 0).all(|output| output.stderr.contains("live already")),
        "{output:?}"
    );
    assert_eq!(workspace.world().observe_everything().unwrap().len(), 1);
}

#[test]
fn eight_processes_cannot_exceed_a_shared_budget() {
    let workspace = Workspace::new();
    let registry = files::registry::BUILTIN;
    workspace.write("providers.toml", format!("{registry}\n[policy]\ntotal_cap_usd = 30\n"));
    let output: Vec<CommandOutput> = thread::scope(|scope| {
        let start = |number: usize| {
            let workspace = &workspace;
            scope.spawn(move || workspace.run(&["provision", &format!("p{number}"), "search", "--cap", "10"]))
        };
        let started: Vec<_> = (0..PROCESSES).map(start).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(output.iter().filter(|output| output.code == 0).count(), 3, "{output:?}");
    assert!(output.iter().filter(|output| output.code != 0).all(|output| output.code == 3), "{output:?}");
}

#[test]
fn eight_processes_rotate_one_key_and_the_last_one_works() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "shared", "search"]);
    let output = run_concurrently(&workspace, &["rotate", "shared"]);
    assert!(output.iter().all(|output| output.code == 0), "{output:?}");
    let project = workspace.json(&["list"])["projects"][0].clone();
    assert_eq!(project["key_version"], 1 + PROCESSES);
    assert!(workspace.owner_of(&workspace.variable("EXA_API_KEY").unwrap()).is_some());
}

fn run_concurrently(workspace: &Workspace, arguments: &[&str]) -> Vec<CommandOutput> {
    let start = |_| workspace.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..PROCESSES).map(start).collect();
    children.into_iter().map(|child| CommandOutput::from(child.wait_with_output().unwrap())).collect()
}
