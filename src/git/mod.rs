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

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("the env file is in a git work tree, and git could not be run: {}", .0.kind())]
    NotRunnable(io::Error),
    #[error("the env file is in a git work tree, and git would not say whether it is tracked")]
    Unclear,
}
