//! The start of a server, and what it then takes of the memory.

use std::path::Path;

use crate::{
    effort::Effort,
    peer::Peer,
    server::{self, DISCOVER, INITIALIZE, Server},
    table::{line, median, ms, row, timed, times},
};

pub fn show(folder: &Path, peer: Option<&Peer>, effort: &Effort) {
    for (label, greeting) in [("initialize", INITIALIZE), ("server/discover", DISCOVER)] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..effort.starts {
            ours.push(timed(|| Server::start(server::ours(folder), greeting)).0);
            bare.push(timed(|| Server::start(server::bare(), greeting)).0);
        }
        let (ours, bare) = (median(ours), median(bare));
        let beside = format!("{} bare rmcp ({:.2} ms)", times(ours, bare), ms(bare));
        row(&format!("start to {label}"), ours, &beside);
    }
    for backend in ["stripe-cli", "stripe-api"] {
        let (mut real, mut simulated) = (Vec::new(), Vec::new());
        for _ in 0..effort.starts {
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
        "resident after initialize",
        &format!("{ours:.1} MB"),
        &format!("{:.1} x bare rmcp ({bare:.1} MB)", ours / bare),
    );
    if let Some(peer) = peer {
        the_peer(folder, peer, effort, ours);
    }
}

fn the_peer(folder: &Path, peer: &Peer, effort: &Effort, our_memory: f64) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..effort.starts.div_ceil(6) {
        ours.push(timed(|| Server::start(server::ours(folder), INITIALIZE)).0);
        theirs.push(timed(|| Server::start(peer.command(), INITIALIZE)).0);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    row("start to initialize, Python peer", theirs, &format!("{} ours", times(theirs, ours)));
    let memory = Server::start(peer.command(), INITIALIZE).resident();
    let beside = format!("{:.1} x ours", memory / our_memory);
    line("resident after initialize, Python peer", &format!("{memory:.1} MB"), &beside);
}
