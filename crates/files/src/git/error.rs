//! The error of a git query.

use std::io;

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit};

/// Why git could not answer a query.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("the env file is in a git work tree, and git could not be run: {}", .0.kind())]
    NotRunnable(#[source] io::Error),
    #[error("the env file is in a git work tree, and git did not report whether it is tracked")]
    Unclear,
}

impl Diagnostic for GitError {
    fn code(&self) -> &'static str {
        "env_file_git_unknown"
    }

    fn hint(&self, channel: Channel) -> String {
        channel.person("make `git status` work in that folder, or name a file outside of it with `--env-file`")
    }

    fn exit(&self) -> Exit {
        Exit::Refused
    }
}
