//! One call that has nothing to do, by us, a bare rmcp server and the Python peer.

use std::{path::Path, time::Duration};

use crate::{
    effort::Effort,
    peer::Peer,
    server::{self, INITIALIZE, Server},
    table::{median, ms, row, timed, times},
};

pub fn show(folder: &Path, peer: Option<&Peer>, effort: &Effort) {
    let mut ours = Server::start(server::ours(folder), INITIALIZE);
    let mut bare = Server::start(server::bare(), INITIALIZE);
    let mut peer = peer.map(|peer| Server::start(peer.command(), INITIALIZE));
    let calls: [(&str, Call); 3] = [
        ("ping", |server| server.ask("ping")),
        ("tools/list", |server| server.ask("tools/list")),
        ("list_projects, none live", |server| server.call("list_projects", "{}")),
    ];
    for (label, call) in calls {
        let mut found: [Vec<Duration>; 3] = Default::default();
        for _ in 0..effort.calls {
            found[0].push(timed(|| call(&mut ours)).0);
            found[1].push(timed(|| call(&mut bare)).0);
            if let Some(peer) = &mut peer {
                found[2].push(timed(|| call(peer)).0);
            }
        }
        let [ours, bare, theirs] = found;
        let (ours, bare) = (median(ours), median(bare));
        row(label, ours, &format!("{} bare rmcp ({:.3} ms)", times(ours, bare), ms(bare)));
        if peer.is_some() {
            let theirs = median(theirs);
            row(&format!("{label}, Python peer"), theirs, &format!("{} ours", times(theirs, ours)));
        }
    }
}

type Call = fn(&mut Server);
