//! The error of every file operation.

use std::{
    io,
    path::{Path, PathBuf},
};

use domain::visible::visible;

/// A failed file operation: the action, the path and the system's error.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {}: {}", visible(path), describe(source))]
pub struct FsError {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> FsError {
    FsError { action, path: path.to_owned(), source }
}

/// The error for a pipe, a socket or a device in the place of a file.
pub(super) fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, NotRegular)
}

#[derive(Debug, thiserror::Error)]
#[error("not a regular file")]
struct NotRegular;

/// Describes an I/O error without its path.
fn describe(error: &io::Error) -> String {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<NotRegular>) {
        return NotRegular.to_string();
    }
    let kind = error.kind().to_string();
    match error.raw_os_error() {
        // Some errors, such as that of a failing disk, have no kind of their own.
        Some(code) if kind == UNNAMED => io::Error::from_raw_os_error(code).to_string(),
        _ => kind,
    }
}

/// How the standard library shows a kind that it has no name for.
const UNNAMED: &str = "uncategorized error";
