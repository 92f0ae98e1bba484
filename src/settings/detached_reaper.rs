//! The process that comes after a server which has to be gone: it waits out a grace period and reaps.

use std::{
    env,
    ffi::OsString,
    process::{Command, Stdio},
};

use crate::lifetime::Lifetime;

/// Knows how this program was started.
#[derive(Debug)]
pub struct DetachedReaper {
    pub(super) flags: Vec<OsString>,
}

impl DetachedReaper {
    /// Starts it. Should it not start, or die, whatever runs next in that folder does its work.
    #[expect(clippy::disallowed_methods, reason = "it is this program; nothing secret is in its arguments")]
    pub fn reap_after(&self, grace: Lifetime) {
        let Ok(program) = env::current_exe() else { return };
        let mut command = Command::new(program);
        command.args(&self.flags).args(["reap", "--after", &grace.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0); // what ends the server is not meant for it
        let _ = command.spawn();
    }
}
