//! Git queries: the status of a file, and the objects and commits of a repository.
//!
//! A repository's configuration can name programs to run, and the agent can write to it. Git is therefore started with
//! those settings disabled, and finds the repository from the working folder alone.

mod error;
mod history;
mod process;
mod status;

pub use error::GitError;
pub use history::{Introduction, Object, common_folder, introductions, objects};
pub use process::resolve_program;
pub use status::{GitStatus, status, would_take};
