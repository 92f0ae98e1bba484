//! Eight concurrent processes on one workspace, compared with eight processes on one durable baseline.

use std::{path::Path, thread, time::Duration};

use crate::{
    baseline::Worker,
    rounds::Rounds,
    server::{self, INITIALIZE, Server},
    table::{line, timed},
};

pub fn show(folder: &Path, rounds: &Rounds) {
    let ours = per_second(rounds, ours(&folder.join("concurrency"), rounds.concurrent));
    let baseline = per_second(rounds, baseline(&folder.join("concurrency-baseline"), rounds.concurrent));
    let comparison = format!("{:.2} of the durable baseline's {baseline:.0}/s", ours / baseline);
    line(&format!("{PROCESSES} concurrent processes, changes"), &format!("{ours:.0}/s"), &comparison);
}

fn ours(workspace: &Path, rounds: usize) -> Duration {
    std::fs::create_dir(workspace).unwrap();
    let start = |_| Server::start(server::ours(workspace), INITIALIZE);
    let mut servers: Vec<Server> = (0..PROCESSES).map(start).collect();
    servers[0].call("provision", r#"{"name":"warm","provider":"search"}"#);
    run_concurrently(servers, |number, server| {
        for round in 0..rounds {
            let name = format!("w{number}r{round}");
            let by_name = format!(r#"{{"name":"{name}"}}"#);
            server.call("provision", &format!(r#"{{"name":"{name}","provider":"search","spend_cap_usd":0.1}}"#));
            server.call("rotate_key", &by_name);
            server.call("teardown", &by_name);
        }
    })
}

fn baseline(folder: &Path, rounds: usize) -> Duration {
    std::fs::create_dir(folder).unwrap();
    let workers = (0..PROCESSES).map(|_| Worker::start(folder, rounds * CHANGES)).collect();
    run_concurrently(workers, |_, worker: &mut Worker| worker.work())
}

fn run_concurrently<T: Send>(workers: Vec<T>, work: impl Fn(usize, &mut T) + Sync) -> Duration {
    let (work, workers) = (&work, workers.into_iter().enumerate());
    let (elapsed, workers) = timed(|| {
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
    drop(workers); // outside the measurement, because their exit takes time
    elapsed
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred")]
fn per_second(rounds: &Rounds, elapsed: Duration) -> f64 {
    (PROCESSES * rounds.concurrent * CHANGES) as f64 / elapsed.as_secs_f64()
}

const PROCESSES: usize = 8;

/// Provision, rotate, teardown.
const CHANGES: usize = 3;
