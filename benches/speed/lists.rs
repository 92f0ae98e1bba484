//! A page of the list, of few projects and of many, and what the server then takes of the memory.

use std::path::Path;

use crate::{
    effort::Effort,
    seed,
    server::{self, INITIALIZE, Server},
    table::{line, median, row, timed, times},
};

/// The page is of fifty projects, also where there are more, and says how many there are.
pub fn show(folder: &Path, effort: &Effort) {
    let mut fewest = None;
    for projects in effort.lists {
        let workspace = folder.join(format!("list-{projects}"));
        seed::seed(&workspace, *projects);
        let mut server = Server::start(server::ours(&workspace), INITIALIZE);
        server.call("list_projects", "{}");
        let time = median((0..effort.calls).map(|_| timed(|| server.call("list_projects", "{}")).0).collect());
        let beside = times(time, *fewest.get_or_insert(time));
        row(&format!("list_projects, {projects} live"), time, &format!("{beside} {} live", effort.lists[0]));
        line(&format!("resident then, {projects} live"), &format!("{:.1} MB", server.resident()), "");
    }
}
