//! The process that comes after a server which has to be gone: it waits out a grace period and reaps.

use std::{
    env,
    ffi::OsString,
    path::Path,
    process::{Command, Stdio},
};

use super::Given;
use crate::lease::Lease;

/// Knows how this program was started.
#[derive(Debug)]
pub struct Successor {
    pub(super) flags: Vec<OsString>,
}

impl Successor {
    /// Starts it. Should it not start, or die, whatever runs next in that folder does its work.
    #[expect(clippy::disallowed_methods, reason = "it is this program; nothing secret is in its arguments")]
    pub fn reap_after(&self, grace: Lease) {
        let Ok(program) = env::current_exe() else { return };
        let mut command = Command::new(program);
        command.args(&self.flags).args(["reap", "--after", &grace.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0); // what ends the server is not meant for it
        let _ = command.spawn();
    }
}

/// What was given, as it is given again; the environment is inherited.
pub(super) fn flags(given: &Given, dir: &Path) -> Vec<OsString> {
    let mut flags = vec!["--dir".into(), dir.into()];
    let paths = [
        ("--env-file", &given.env_file),
        ("--providers", &given.providers),
        ("--state-dir", &given.state_dir),
        ("--stripe-bin", &given.stripe_bin),
        ("--stripe-api-key-file", &given.stripe_api_key_file),
    ];
    let words = [
        ("--backend", &given.backend),
        ("--payment-method", &given.payment_method),
        ("--stripe-api-base", &given.stripe_api_base),
    ];
    for (flag, path) in paths {
        flags.extend(path.iter().flat_map(|path| [flag.into(), path.into()]));
    }
    for (flag, word) in words {
        flags.extend(word.iter().flat_map(|word| [flag.into(), word.into()]));
    }
    if given.accept_tos {
        flags.push("--accept-tos".into());
    }
    flags
}
