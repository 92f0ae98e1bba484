//! What changes something, beside the durable floor.

use std::{path::Path, time::Duration};

use crate::{
    effort::Effort,
    floor::Floor,
    server::{self, INITIALIZE, Server},
    table::{median, row, timed, times},
};

/// Returns the floor.
pub fn show(folder: &Path, effort: &Effort) -> Duration {
    let workspace = folder.join("effects");
    std::fs::create_dir(&workspace).unwrap();
    let mut floor = Floor::new(&workspace);
    let mut server = Server::start(server::ours(&workspace), INITIALIZE);
    server.call("provision", r#"{"name":"warm","provider":"search"}"#);
    let (mut floors, mut provisions, mut rotations, mut teardowns) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..effort.calls {
        let provision = format!(r#"{{"name":"p{round}","provider":"supermemory"}}"#);
        let named = format!(r#"{{"name":"p{round}"}}"#);
        floors.push(timed(|| floor.once()).0);
        provisions.push(timed(|| server.call("provision", &provision)).0);
        rotations.push(timed(|| server.call("rotate_key", &named)).0);
        teardowns.push(timed(|| server.call("teardown", &named)).0);
    }
    let floor = median(floors);
    row("durable floor: 2 synced txns, 1 file replace", floor, "");
    for (label, found) in [("provision", provisions), ("rotate_key", rotations), ("teardown", teardowns)] {
        let time = median(found);
        row(label, time, &format!("{} the floor", times(time, floor)));
    }
    floor
}
