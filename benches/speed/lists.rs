//! Measures one page of `list_projects` with few and many projects, and the server's memory afterwards.

use std::path::Path;

use crate::{
    rounds::Rounds,
    seed,
    server::{self, INITIALIZE, Server},
    table::{line, median, row, timed, times},
};

/// The page has at most fifty projects, and the total count.
pub fn show(folder: &Path, rounds: &Rounds) {
    let mut smallest = None;
    for projects in rounds.lists {
        let workspace = folder.join(format!("list-{projects}"));
        seed::seed(&workspace, *projects);
        let mut server = Server::start(server::ours(&workspace), INITIALIZE);
        server.call("list_projects", "{}");
        let time = median((0..rounds.calls).map(|_| timed(|| server.call("list_projects", "{}")).0).collect());
        let ratio = times(time, *smallest.get_or_insert(time));
        row(&format!("list_projects, {projects} live"), time, &format!("{ratio} {} live", rounds.lists[0]));
        line(&format!("resident memory, {projects} live"), &format!("{:.1} MB", server.resident()), "");
    }
}
