//! Measures the start of a server and its memory afterwards.

use std::path::Path;

use crate::{
    peer::Peer,
    rounds::Rounds,
    server::{self, DISCOVER, INITIALIZE, Server},
    table::{line, median, ms, row, timed, times},
};

pub fn show(folder: &Path, peer: Option<&Peer>, rounds: &Rounds) {
    for (label, request) in [("initialize", INITIALIZE), ("server/discover", DISCOVER)] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..rounds.starts {
            ours.push(timed(|| Server::start(server::ours(folder), request)).0);
            bare.push(timed(|| Server::start(server::bare(), request)).0);
        }
        let (ours, bare) = (median(ours), median(bare));
        let comparison = format!("{} bare rmcp ({:.2} ms)", times(ours, bare), ms(bare));
        row(&format!("start to {label}"), ours, &comparison);
    }
    for backend in ["stripe-cli", "stripe-api"] {
        let (mut real, mut simulated) = (Vec::new(), Vec::new());
        for _ in 0..rounds.starts {
            let mut command = server::ours(folder);
            command.env("STRIPE_PROJECTS_BACKEND", backend);
            real.push(timed(|| Server::start(command, INITIALIZE)).0);
            simulated.push(timed(|| Server::start(server::ours(folder), INITIALIZE)).0);
        }
        let (real, simulated) = (median(real), median(simulated));
        row(&format!("start to initialize, {backend}"), real, &format!("{} simulated", times(real, simulated)));
    }
    let ours = Server::start(server::ours(folder), INITIALIZE).resident();
    let bare = Server::start(server::bare(), INITIALIZE).resident();
    line(
        "resident memory after initialize",
        &format!("{ours:.1} MB"),
        &format!("{:.1} x bare rmcp ({bare:.1} MB)", ours / bare),
    );
    if let Some(peer) = peer {
        python_peer(folder, peer, rounds, ours);
    }
}

fn python_peer(folder: &Path, peer: &Peer, rounds: &Rounds, our_memory: f64) {
    let (mut ours, mut python) = (Vec::new(), Vec::new());
    for _ in 0..rounds.starts.div_ceil(6) {
        ours.push(timed(|| Server::start(server::ours(folder), INITIALIZE)).0);
        python.push(timed(|| Server::start(peer.command(), INITIALIZE)).0);
    }
    let (ours, python) = (median(ours), median(python));
    row("start to initialize, Python peer", python, &format!("{} ours", times(python, ours)));
    let memory = Server::start(peer.command(), INITIALIZE).resident();
    let comparison = format!("{:.1} x ours", memory / our_memory);
    line("resident memory after initialize, Python peer", &format!("{memory:.1} MB"), &comparison);
}
