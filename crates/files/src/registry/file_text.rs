//! Reads a file of the configuration, and judges who may have written it.

use std::{
    io,
    path::{Path, PathBuf},
};

use domain::visible::visible;

use super::{Origin, RegistryError, error::Problem};
use crate::fs::{self, Kind, WriteAccess};

/// Reads a file; `None` if there is none.
///
/// A dangling symbolic link is an error: to ignore it would loosen the limits of the file that it should lead to. A pipe
/// is refused before it is opened, because that would wait for a writer.
pub(super) fn read(path: &Path) -> Result<Option<String>, RegistryError> {
    match fs::kind(path) {
        Ok(Kind::Absent | Kind::File { .. }) => {}
        Err(error) if error.source.kind() != io::ErrorKind::InvalidInput => {
            return Err(unusable(path, Problem::Unreadable { why: error.source.kind() }));
        }
        Ok(Kind::Directory) | Err(_) => return Err(unusable(path, Problem::NotAFile)),
    }
    let read = fs::read(path, MAX_BYTES);
    let bytes = read.map_err(|error| unusable(path, Problem::Unreadable { why: error.source.kind() }))?;
    if bytes.is_none() && fs::dangling_link(path).is_some() {
        return Err(unusable(path, Problem::Dangling));
    }
    bytes.map(String::from_utf8).transpose().map_err(|_| unusable(path, Problem::NotText))
}

/// As [`read`], and refuses a file that another user owns or may write. Links are followed.
pub(super) fn read_protected(path: &Path) -> Result<Option<String>, RegistryError> {
    let text = read(path)?;
    if text.is_some() {
        match fs::write_access(path) {
            Ok(WriteAccess::Ours) => {}
            Ok(WriteAccess::Foreign) => return Err(unusable(path, Problem::NotYours)),
            Ok(WriteAccess::Open) => return Err(unusable(path, Problem::OpenToOthers)),
            Err(error) => return Err(unusable(path, Problem::Unreadable { why: error.source.kind() })),
        }
    }
    Ok(text)
}

/// Returns who may have written a file: one in the workspace or in any work tree may be an agent's or a repository's.
pub(super) fn origin(path: &Path, workspace: &Path) -> Origin {
    let real = fs::real_path(path).unwrap_or_else(|_| fs::in_real_folder(path));
    let is_work_tree = |folder: &Path| WORK_TREES.iter().any(|mark| folder.join(mark).exists());
    if real.starts_with(workspace) || real.ancestors().skip(1).any(is_work_tree) {
        Origin::Workspace
    } else {
        Origin::Owner
    }
}

/// Keeps the first of several paths that lead to the same file.
pub(super) fn without_duplicates<T>(candidates: Vec<T>, path: impl Fn(&T) -> &Path) -> Vec<T> {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut kept = Vec::new();
    for candidate in candidates {
        let real = fs::real_path(path(&candidate)).unwrap_or_else(|_| path(&candidate).to_owned());
        if !seen.contains(&real) {
            seen.push(real);
            kept.push(candidate);
        }
    }
    kept
}

pub(super) fn unusable(path: &Path, problem: Problem) -> RegistryError {
    RegistryError { file: shown(path), line: 1, column: 1, problem }
}

pub(super) fn shown(path: &Path) -> String {
    visible(path).to_string()
}

/// The names that mark a folder under version control.
const WORK_TREES: [&str; 3] = [".git", ".hg", ".jj"];

const MAX_BYTES: u64 = 1024 * 1024;
