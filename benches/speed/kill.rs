//! Measures `suspend` on the simulated backend, from the start of the command until the last key is refused.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use backends::simulated::SimulatedStripe;
use domain::{clock::Clock, secret::Secret};
use stripe_projects_mcp::settings::simulated_store;

use crate::{
    rounds::Rounds,
    server::{self, INITIALIZE, Server},
    table::{median, row, times},
};

pub fn show(folder: &Path, rounds: &Rounds, baseline: Duration) {
    let one = median(kills(&folder.join("kill-one"), 1, rounds.kills));
    row("suspend NAME, until its key is refused", one, &format!("{} the baseline; limit 50 ms", times(one, baseline)));
    let all = median(kills(&folder.join("kill-all"), MANY, rounds.kills_of_all));
    let comparison = format!("{} the time for one; limit 1,000 ms", times(all, one));
    row(&format!("suspend --all, {MANY} live, until all refused"), all, &comparison);
}

fn kills(workspace: &Path, projects: usize, rounds: usize) -> Vec<Duration> {
    fs::create_dir(workspace).unwrap();
    let mut server = Server::start(server::ours(workspace), INITIALIZE);
    let store = SimulatedStripe::new(simulated_store(&server::state_of(workspace)), Clock::system());
    let mut measured = Vec::new();
    for round in 0..rounds {
        for number in 0..projects {
            server.call(
                "provision",
                &format!(r#"{{"name":"r{round}n{number}","provider":"search","spend_cap_usd":0.1}}"#),
            );
        }
        let keys = keys(workspace);
        assert_eq!(keys.len(), projects);
        assert!(keys.iter().all(|key| is_valid(&store, key)));

        let first = format!("r{round}n0");
        let start = Instant::now();
        let mut child = command(workspace, &["suspend", if projects == 1 { &first } else { "--all" }]).spawn().unwrap();
        for key in &keys {
            while is_valid(&store, key) {
                thread::sleep(Duration::from_micros(100));
            }
        }
        measured.push(start.elapsed());
        assert!(child.wait().unwrap().success());
        assert!(command(workspace, &["--yes", "teardown", "--all"]).status().unwrap().success());
    }
    measured
}

fn command(workspace: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stripe-projects-mcp"));
    command
        .arg("--dir")
        .arg(workspace)
        .arg("--state-dir")
        .arg(server::state_of(workspace))
        .args(arguments)
        .stdout(Stdio::null());
    command
}

/// Returns every key in the env file.
fn keys(workspace: &Path) -> Vec<Secret> {
    let text = fs::read_to_string(workspace.join(".env")).unwrap();
    text.lines().filter_map(|line| line.split_once('=')).map(|(_, value)| Secret::new(value.to_owned())).collect()
}

fn is_valid(store: &SimulatedStripe, key: &Secret) -> bool {
    store.owner_of(key).unwrap().is_some()
}

const MANY: usize = 100;
