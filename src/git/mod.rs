//! What we ask git: how it regards a file, and everything that it keeps.
//!
//! A repository's own configuration can name programs to run, and the agent can write there; so git is called with
//! those switched off, and finds the repository from the folder alone.

mod history;
mod process;
mod status;

use std::io;

pub use history::{Introduced, Object, common_folder, introductions, objects};
pub use status::{GitStatus, status};

use crate::diagnostic::{Channel, Diagnostic, Exit};

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("the env file is in a git work tree, and git could not be run: {}", .0.kind())]
    NotRunnable(#[source] io::Error),
    #[error("the env file is in a git work tree, and git would not say whether it is tracked")]
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
