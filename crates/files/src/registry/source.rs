//! The files of the registry and of the user's policy. Each call reads them anew, so an edit applies to the next call.

use std::io;
use std::path::{Path, PathBuf};

use super::{Registry, RegistryError, UserPolicy, error::Problem};
use crate::fs::{self, Kind, Stamp};

/// The registry of a workspace.
#[derive(Clone, Debug)]
pub enum RegistryFile {
    /// A file that was named; it must exist.
    Named(PathBuf),
    /// The workspace's own file if it has one, else the built-in registry.
    OwnOrBuiltin(PathBuf),
}

impl RegistryFile {
    /// Returns the file in use; `None` while it is the built-in registry.
    pub fn in_use(&self) -> Option<&Path> {
        match self {
            Self::Named(path) => Some(path),
            Self::OwnOrBuiltin(path) => Some(path.as_path()).filter(|path| path.exists()),
        }
    }

    /// Reads the registry as it is now.
    ///
    /// # Errors
    /// [`RegistryError`], at line 1 and column 1 for an unreadable file.
    pub fn read(&self) -> Result<Registry, RegistryError> {
        let (Self::Named(path) | Self::OwnOrBuiltin(path)) = self;
        match (text(path)?, self) {
            (Some(text), _) => Registry::parse(&text, &shown(path)),
            (None, Self::OwnOrBuiltin(_)) => Registry::builtin(),
            (None, Self::Named(_)) => Err(unusable(path, Problem::NoFile)),
        }
    }

    /// Returns a stamp that changes with the file; `None` if there is no file.
    pub fn stamp(&self) -> Option<Stamp> {
        let (Self::Named(path) | Self::OwnOrBuiltin(path)) = self;
        fs::stamp(path)
    }
}

/// The file of the user's policy. One that exists and cannot be read is an error, never "no limit".
#[derive(Clone, Debug)]
pub enum UserPolicyFile {
    /// The file in the user's configuration folder; it may be absent.
    Default(PathBuf),
    /// A file that was named; it must exist.
    Named(PathBuf),
    /// The environment names no configuration folder.
    NoFolder,
}

impl UserPolicyFile {
    /// Returns the path, whether or not the file exists.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Default(path) | Self::Named(path) => Some(path),
            Self::NoFolder => None,
        }
    }

    /// Reads the policy as it is now; `None` if there is no file.
    ///
    /// # Errors
    /// [`RegistryError`], at line 1 and column 1 for an unreadable file.
    pub fn read(&self) -> Result<Option<UserPolicy>, RegistryError> {
        let (Self::Default(path) | Self::Named(path)) = self else {
            return Ok(None);
        };
        match (text(path)?, self) {
            (Some(text), _) => UserPolicy::parse(&text, &shown(path)).map(Some),
            (None, Self::Named(_)) => Err(unusable(path, Problem::NoFile)),
            (None, _) => Ok(None),
        }
    }

    /// Returns a stamp that changes with the file; `None` if there is no file.
    pub fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Default(path) | Self::Named(path) => fs::stamp(path),
            Self::NoFolder => None,
        }
    }
}

/// Reads a file; `None` if there is none.
///
/// A dangling symbolic link is an error: to ignore it would loosen the limits of the file that it should lead to. A pipe
/// is refused before it is opened, because that would wait for a writer.
pub(super) fn text(path: &Path) -> Result<Option<String>, RegistryError> {
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

fn unusable(path: &Path, problem: Problem) -> RegistryError {
    RegistryError { file: shown(path), line: 1, column: 1, problem }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

const MAX_BYTES: u64 = 1024 * 1024;
