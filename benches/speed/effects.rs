//! Measures the tools that change something, compared with the durable baseline.

use std::{path::Path, time::Duration};

use crate::{
    baseline::Baseline,
    rounds::Rounds,
    server::{self, INITIALIZE, Server},
    table::{median, row, timed, times},
};

/// Prints the rows and returns the baseline's median.
pub fn show(folder: &Path, rounds: &Rounds) -> Duration {
    let workspace = folder.join("effects");
    std::fs::create_dir(&workspace).unwrap();
    let mut baseline = Baseline::new(&workspace);
    let mut server = Server::start(server::ours(&workspace), INITIALIZE);
    server.call("provision", r#"{"name":"warm","provider":"search"}"#);
    let (mut baselines, mut provisions, mut rotations, mut teardowns) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds.calls {
        let provision = format!(r#"{{"name":"p{round}","provider":"supermemory"}}"#);
        let by_name = format!(r#"{{"name":"p{round}"}}"#);
        baselines.push(timed(|| baseline.once()).0);
        provisions.push(timed(|| server.call("provision", &provision)).0);
        rotations.push(timed(|| server.call("rotate_key", &by_name)).0);
        teardowns.push(timed(|| server.call("teardown", &by_name)).0);
    }
    let baseline = median(baselines);
    row("durable baseline: 2 synced txns, 1 file replace", baseline, "");
    for (label, measured) in [("provision", provisions), ("rotate_key", rotations), ("teardown", teardowns)] {
        let time = median(measured);
        row(label, time, &format!("{} the baseline", times(time, baseline)));
    }
    baseline
}
