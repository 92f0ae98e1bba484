//! How fast it is, beside what it could be at best: `cargo bench --bench speed`.
//!
//! Everything is measured in one run on one machine and shown as a ratio to a reference of the same run: a bare rmcp
//! server for the start, the durable floor of this disk (two synced transactions and one atomic file replace) for what
//! changes something.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark says what went wrong by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark stands outside the house")]

mod api;
mod bare;
mod floor;
mod seed;
mod server;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use server::Server;

const STARTS: usize = 60;
const CALLS: usize = 200;

fn main() {
    if std::env::args().any(|argument| argument == bare::ARGUMENT) {
        return bare::serve();
    }
    let folder = tempfile::tempdir().unwrap();
    println!("{:<44} {:>10} {:>22}", "", "p50", "beside");
    starts(folder.path());
    lists(folder.path());
    effects(folder.path());
    calls_to_stripe(folder.path());
}

/// Interleaved, so that whatever else the machine does falls on both.
fn starts(folder: &Path) {
    for (label, greeting) in [("initialize", server::INITIALIZE), ("server/discover", server::DISCOVER)] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            ours.push(timed(|| Server::start(server::ours(folder), greeting)).0);
            bare.push(timed(|| Server::start(server::bare(folder), greeting)).0);
        }
        let (ours, bare) = (median(ours), median(bare));
        row(&format!("spawn to {label}"), ours, &format!("+{:.2} ms on bare rmcp", ms(ours) - ms(bare)));
    }
    for backend in ["stripe-cli", "stripe-api"] {
        let (mut ours, mut usual) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let mut command = server::ours(folder);
            command.env("STRIPE_PROJECTS_BACKEND", backend);
            ours.push(timed(|| Server::start(command, server::INITIALIZE)).0);
            usual.push(timed(|| Server::start(server::ours(folder), server::INITIALIZE)).0);
        }
        let (ours, usual) = (median(ours), median(usual));
        let beside = format!("{:+.2} ms on simulated", ms(ours) - ms(usual));
        row(&format!("spawn to initialize, {backend}"), ours, &beside);
    }
    let (ours, bare) = (
        Server::start(server::ours(folder), server::INITIALIZE).resident(),
        Server::start(server::bare(folder), server::INITIALIZE).resident(),
    );
    println!("{:<44} {ours:>7.1} MB {:>22}", "resident after initialize", format!("bare rmcp {bare:.1} MB"));
}

fn lists(folder: &Path) {
    for projects in [10, 10_000] {
        let workspace = folder.join(format!("list-{projects}"));
        seed::seed(&workspace, projects);
        let mut server = Server::start(server::ours(&workspace), server::INITIALIZE);
        server.call("list_projects", "{}");
        let times = (0..CALLS).map(|_| timed(|| server.call("list_projects", "{}")).0).collect();
        row(&format!("list_projects, {projects} live"), median(times), "");
        println!("{:<44} {:>7.1} MB", format!("resident then, {projects} live"), server.resident());
    }
}

fn effects(folder: &Path) {
    let workspace = folder.join("effects");
    std::fs::create_dir(&workspace).unwrap();
    let mut floor = floor::Floor::new(&workspace);
    let mut server = Server::start(server::ours(&workspace), server::INITIALIZE);
    server.call("provision", r#"{"name":"warm","provider":"search"}"#);
    let (mut floors, mut provisions, mut rotations, mut teardowns) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..CALLS {
        let provision = format!(r#"{{"name":"p{round}","provider":"supermemory"}}"#);
        let named = format!(r#"{{"name":"p{round}"}}"#);
        floors.push(timed(|| floor.once()).0);
        provisions.push(timed(|| server.call("provision", &provision)).0);
        rotations.push(timed(|| server.call("rotate_key", &named)).0);
        teardowns.push(timed(|| server.call("teardown", &named)).0);
    }
    let floor = median(floors);
    row("durable floor: 2 synced txns + 1 file replace", floor, "");
    for (label, times) in [("provision", provisions), ("rotate_key", rotations), ("teardown", teardowns)] {
        let time = median(times);
        row(label, time, &format!("{:.1} x the floor", ms(time) / ms(floor)));
    }
}

fn calls_to_stripe(folder: &Path) {
    let workspace = folder.join("api");
    std::fs::create_dir(&workspace).unwrap();
    let found = api::times(&workspace, CALLS);
    for (label, (ours, bare)) in ["one request to the simulator", "two requests (rotate, reveal)"].iter().zip(found) {
        let (ours, bare) = (median(ours), median(bare));
        row(&format!("stripe-api, {label}"), ours, &format!("{:+.2} ms on bare reqwest", ms(ours) - ms(bare)));
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed(), done)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn row(label: &str, time: Duration, beside: &str) {
    println!("{label:<44} {:>7.2} ms {beside:>22}", ms(time));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
