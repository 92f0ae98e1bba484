//! Measures calls without work on our server, a bare rmcp server and the Python peer.

use std::{path::Path, time::Duration};

use crate::{
    peer::Peer,
    rounds::Rounds,
    server::{self, INITIALIZE, Server},
    table::{median, ms, row, timed, times},
};

pub fn show(folder: &Path, peer: Option<&Peer>, rounds: &Rounds) {
    let mut ours = Server::start(server::ours(folder), INITIALIZE);
    let mut bare = Server::start(server::bare(), INITIALIZE);
    let mut peer = peer.map(|peer| Server::start(peer.command(), INITIALIZE));
    let calls: [(&str, Call); 3] = [
        ("ping", |server| server.request_method("ping")),
        ("tools/list", |server| server.request_method("tools/list")),
        ("list_projects, none live", |server| server.call("list_projects", "{}")),
    ];
    for (label, call) in calls {
        let mut measured: [Vec<Duration>; 3] = Default::default();
        for _ in 0..rounds.calls {
            measured[0].push(timed(|| call(&mut ours)).0);
            measured[1].push(timed(|| call(&mut bare)).0);
            if let Some(peer) = &mut peer {
                measured[2].push(timed(|| call(peer)).0);
            }
        }
        let [ours, bare, python] = measured;
        let (ours, bare) = (median(ours), median(bare));
        row(label, ours, &format!("{} bare rmcp ({:.3} ms)", times(ours, bare), ms(bare)));
        if peer.is_some() {
            let python = median(python);
            row(&format!("{label}, Python peer"), python, &format!("{} ours", times(python, ours)));
        }
    }
}

type Call = fn(&mut Server);
