//! The error of a git query.

use std::{io, path::PathBuf};

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit};
use domain::visible::visible;

use crate::fs::ProgramError;

/// Why git could not answer a query.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("the env file is in a git work tree, and git could not be run: {0}")]
    NoProgram(#[source] ProgramError),
    #[error("the env file is in a git work tree, and {} is not a regular file", visible(.0))]
    NotRegular(PathBuf),
    #[error("the env file is in a git work tree, and git could not be run: {}", .0.kind())]
    NotRunnable(#[source] io::Error),
    #[error("the env file is in a git work tree, and git did not answer in time")]
    TimedOut,
    #[error("the env file is in a git work tree, and git did not report whether it is tracked")]
    Unclear,
}

impl Diagnostic for GitError {
    fn code(&self) -> &'static str {
        "env_file_git_unknown"
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::NoProgram(ProgramError::Refused(_)) => {
                channel.person("put a git on PATH that only you or root can change, outside of the workspace")
            }
            Self::NotRegular(_) => channel.person("remove it, because git waits for it without end"),
            Self::NoProgram(ProgramError::Missing) | Self::NotRunnable(_) | Self::TimedOut | Self::Unclear => {
                channel.person("make `git status` work in that folder, or name a file outside of it with `--env-file`")
            }
        }
    }

    fn exit(&self) -> Exit {
        Exit::Refused
    }
}
