//! Eight processes at once on one workspace, and eight at once on one floor.

use std::{path::Path, thread, time::Duration};

use crate::{
    effort::Effort,
    floor::Worker,
    server::{self, INITIALIZE, Server},
    table::{line, timed},
};

pub fn show(folder: &Path, effort: &Effort) {
    let ours = per_second(effort, ours(&folder.join("crowd"), effort.crowd));
    let floor = per_second(effort, floor(&folder.join("crowd-floor"), effort.crowd));
    let beside = format!("{:.2} of the floor's {floor:.0}/s", ours / floor);
    line(&format!("{PROCESSES} processes at once, effects"), &format!("{ours:.0}/s"), &beside);
}

fn ours(workspace: &Path, rounds: usize) -> Duration {
    std::fs::create_dir(workspace).unwrap();
    let start = |_| Server::start(server::ours(workspace), INITIALIZE);
    let mut servers: Vec<Server> = (0..PROCESSES).map(start).collect();
    servers[0].call("provision", r#"{"name":"warm","provider":"search"}"#);
    at_once(servers, |number, server| {
        for round in 0..rounds {
            let name = format!("w{number}r{round}");
            let named = format!(r#"{{"name":"{name}"}}"#);
            server.call("provision", &format!(r#"{{"name":"{name}","provider":"search"}}"#));
            server.call("rotate_key", &named);
            server.call("teardown", &named);
        }
    })
}

fn floor(folder: &Path, rounds: usize) -> Duration {
    std::fs::create_dir(folder).unwrap();
    let workers = (0..PROCESSES).map(|_| Worker::start(folder, rounds * EFFECTS)).collect();
    at_once(workers, |_, worker: &mut Worker| worker.work())
}

fn at_once<T: Send>(workers: Vec<T>, work: impl Fn(usize, &mut T) + Sync) -> Duration {
    let (work, workers) = (&work, workers.into_iter().enumerate());
    let (took, workers) = timed(|| {
        thread::scope(|scope| {
            let started: Vec<_> = workers
                .map(|(number, mut worker)| {
                    scope.spawn(move || {
                        work(number, &mut worker);
                        worker
                    })
                })
                .collect();
            started.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<T>>()
        })
    });
    drop(workers); // they take their time to end, and that is not what is measured
    took
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred")]
fn per_second(effort: &Effort, took: Duration) -> f64 {
    (PROCESSES * effort.crowd * EFFECTS) as f64 / took.as_secs_f64()
}

const PROCESSES: usize = 8;

/// Provision, rotate, teardown.
const EFFECTS: usize = 3;
