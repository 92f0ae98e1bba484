//! How fast it is, beside what it could be at best: `cargo bench --bench speed`.
//!
//! Everything is measured in one run on one machine and shown as a ratio to a reference of the same run: a bare rmcp
//! server and a Python server with the same four tools for what only answers, the durable floor of this disk (two
//! synced transactions and one atomic file replace) for what changes something. References are interleaved with what
//! stands beside them, so that whatever else the machine does falls on both.
//!
//! `cargo bench --bench speed -- --short` goes through all of it with few rounds: it proves that the benchmark works,
//! and its figures mean nothing.

#![allow(
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark says what went wrong by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark stands outside the house")]

mod api;
mod bare;
mod crowd;
mod effects;
mod effort;
mod floor;
mod kill;
mod latency;
mod lists;
mod peer;
mod seed;
mod server;
mod starts;
mod table;

use effort::Effort;
use peer::Peer;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(bare::ARGUMENT) => return bare::serve(),
        Some(floor::ARGUMENT) => return floor::work(&arguments[2..]),
        _ => {}
    }
    let short = arguments.iter().any(|argument| argument == "--short");
    let effort = if short { Effort::short() } else { Effort::full() };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let peer = Peer::find();

    table::heading();
    starts::show(folder, peer.as_ref(), &effort);
    latency::show(folder, peer.as_ref(), &effort);
    lists::show(folder, &effort);
    let floor = effects::show(folder, &effort);
    crowd::show(folder, &effort);
    kill::show(folder, &effort, floor);
    api::show(folder, &effort);
}
