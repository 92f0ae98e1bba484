//! Measures speed relative to reference programs: `cargo bench --bench speed`.
//!
//! Each row is a ratio to a reference in the same run on the same machine. Calls that change nothing are compared with a
//! bare rmcp server and a Python server with the same four tools; calls that change something with the durable baseline
//! of this disk (two synced transactions and one atomic file replacement). Measurements alternate with their reference,
//! so that other load on the machine affects both.
//!
//! `cargo bench --bench speed -- --short` runs few rounds: it only checks that the benchmark works, and its figures are
//! not meaningful.

#![allow(
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark reports errors by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark may use the file system and start processes")]

mod api;
mod bare_rmcp;
mod baseline;
mod concurrency;
mod effects;
mod kill;
mod latency;
mod lists;
mod peer;
mod rounds;
mod seed;
mod server;
mod starts;
mod table;

use peer::Peer;
use rounds::Rounds;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(bare_rmcp::ARGUMENT) => return bare_rmcp::serve(),
        Some(baseline::ARGUMENT) => return baseline::run_worker(&arguments[2..]),
        _ => {}
    }
    let short = arguments.iter().any(|argument| argument == "--short");
    let rounds = if short { Rounds::short() } else { Rounds::full() };
    let folder = tempfile::tempdir().unwrap();
    let folder = &folder.path().canonicalize().unwrap().join("workspace"); // its state folder is beside it
    std::fs::create_dir(folder).unwrap();
    let peer = Peer::find();

    table::heading();
    starts::show(folder, peer.as_ref(), &rounds);
    latency::show(folder, peer.as_ref(), &rounds);
    lists::show(folder, &rounds);
    let baseline = effects::show(folder, &rounds);
    concurrency::show(folder, &rounds);
    kill::show(folder, &rounds, baseline);
    api::show(folder, &rounds);
}
