//! The kill switch on the simulated backend: from the start of the command to the last key that is refused.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use stripe_projects_mcp::{
    backend::simulated::SimulatedStripe, clock::Clock, secret::Secret, settings::simulated_store,
};

use crate::{
    effort::Effort,
    server::{self, INITIALIZE, Server},
    table::{median, row, times},
};

pub fn show(folder: &Path, effort: &Effort, floor: Duration) {
    let one = median(kills(&folder.join("kill-one"), 1, effort.kills));
    row("suspend NAME, to a refused key", one, &format!("{} the floor; at most 50 ms", times(one, floor)));
    let all = median(kills(&folder.join("kill-all"), MANY, effort.kills_of_all));
    let beside = format!("{} that for one; at most 1,000 ms", times(all, one));
    row(&format!("suspend --all, {MANY} live, to no key left"), all, &beside);
}

fn kills(workspace: &Path, projects: usize, rounds: usize) -> Vec<Duration> {
    fs::create_dir(workspace).unwrap();
    let mut server = Server::start(server::ours(workspace), INITIALIZE);
    let store = SimulatedStripe::new(simulated_store(&workspace.join(".stripe-projects")), Clock::system());
    let mut found = Vec::new();
    for round in 0..rounds {
        for number in 0..projects {
            server.call("provision", &format!(r#"{{"name":"r{round}n{number}","provider":"search"}}"#));
        }
        let keys = keys(workspace);
        assert_eq!(keys.len(), projects);
        assert!(keys.iter().all(|key| opens(&store, key)));

        let named = format!("r{round}n0");
        let begun = Instant::now();
        let mut child = command(workspace, &["suspend", if projects == 1 { &named } else { "--all" }]).spawn().unwrap();
        for key in &keys {
            while opens(&store, key) {
                thread::sleep(Duration::from_micros(100));
            }
        }
        found.push(begun.elapsed());
        assert!(child.wait().unwrap().success());
        assert!(command(workspace, &["--yes", "teardown", "--all"]).status().unwrap().success());
    }
    found
}

fn command(workspace: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stripe-projects-mcp"));
    command.arg("--dir").arg(workspace).args(arguments).stdout(Stdio::null());
    command
}

/// Every key that is in the env file.
fn keys(workspace: &Path) -> Vec<Secret> {
    let text = fs::read_to_string(workspace.join(".env")).unwrap();
    text.lines().filter_map(|line| line.split_once('=')).map(|(_, value)| Secret::new(value.to_owned())).collect()
}

fn opens(store: &SimulatedStripe, key: &Secret) -> bool {
    store.owner_of(key).unwrap().is_some()
}

const MANY: usize = 100;
