//! The process that reaps after a server has ended: it waits for the grace period first.

use std::{
    env,
    ffi::OsString,
    process::{Command, Stdio},
};

use domain::lifetime::Lifetime;

/// The flags that this program was started with.
#[derive(Debug)]
pub struct DetachedReaper {
    pub(super) flags: Vec<OsString>,
}

impl DetachedReaper {
    /// Starts the process. If it does not start, or dies, the next process in that folder reaps.
    #[expect(clippy::disallowed_methods, reason = "it is this program; nothing secret is in its arguments")]
    pub fn reap_after(&self, grace: Lifetime) {
        let Ok(program) = env::current_exe() else { return };
        let mut command = Command::new(program);
        command.args(&self.flags).args(["reap", "--by-host", "--after", &grace.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0); // signals to the server do not reach it
        let _ = command.spawn();
    }
}
