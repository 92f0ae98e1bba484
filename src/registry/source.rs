//! Where the registry is kept, and the policy above it: files that are read anew for each call, so that an edit counts
//! from the next one on.

use std::io;
use std::path::{Path, PathBuf};

use super::{Ceiling, Registry, RegistryError, error::Problem};
use crate::fs::{self, Kind, Stamp};

/// The registry of a workspace.
#[derive(Clone, Debug)]
pub enum RegistryFile {
    /// A file that somebody named; it has to be there.
    Named(PathBuf),
    /// The workspace's own file if it has one, else the built-in registry.
    OwnOrBuiltin(PathBuf),
}

impl RegistryFile {
    /// The file that counts; `None` while the built-in registry does.
    pub fn in_use(&self) -> Option<&Path> {
        match self {
            Self::Named(path) => Some(path),
            Self::OwnOrBuiltin(path) => Some(path.as_path()).filter(|path| path.exists()),
        }
    }

    /// Reads it as it is now.
    ///
    /// # Errors
    /// [`RegistryError`], which for an unreadable file stands at its first character.
    pub fn read(&self) -> Result<Registry, RegistryError> {
        let (Self::Named(path) | Self::OwnOrBuiltin(path)) = self;
        match (text(path)?, self) {
            (Some(text), _) => Registry::parse(&text, &shown(path)),
            (None, Self::OwnOrBuiltin(_)) => Registry::builtin(),
            (None, Self::Named(_)) => Err(unusable(path, Problem::NoFile)),
        }
    }

    /// What the file is known by, without reading it; `None` when there is none to be seen.
    pub fn stamp(&self) -> Option<Stamp> {
        let (Self::Named(path) | Self::OwnOrBuiltin(path)) = self;
        fs::stamp(path)
    }
}

/// The policy outside the workspace. What is there and cannot be read is an error and never "no limit".
#[derive(Clone, Debug)]
pub enum CeilingFile {
    /// A file that somebody named; it has to be there.
    Named(PathBuf),
    /// No such place on this machine.
    Nowhere,
    /// Where a user's configuration is kept; there may be none.
    Usual(PathBuf),
}

impl CeilingFile {
    /// Where it is, or would be.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Named(path) | Self::Usual(path) => Some(path),
            Self::Nowhere => None,
        }
    }

    /// Reads it as it is now; `None` where there is none.
    ///
    /// # Errors
    /// [`RegistryError`], which for an unreadable file stands at its first character.
    pub fn read(&self) -> Result<Option<Ceiling>, RegistryError> {
        let (Self::Named(path) | Self::Usual(path)) = self else {
            return Ok(None);
        };
        match (text(path)?, self) {
            (Some(text), _) => Ceiling::parse(&text, &shown(path)).map(Some),
            (None, Self::Named(_)) => Err(unusable(path, Problem::NoFile)),
            (None, _) => Ok(None),
        }
    }

    /// What the file is known by, without reading it; `None` when there is none to be seen.
    pub fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Named(path) | Self::Usual(path) => fs::stamp(path),
            Self::Nowhere => None,
        }
    }
}

/// `None` where there is no such file. A link that leads nowhere is none: somebody meant there to be one, and to take
/// it for none would loosen what it says.
///
/// What is no file, such as a pipe, is refused before it is opened: somebody would have to be waited for.
fn text(path: &Path) -> Result<Option<String>, RegistryError> {
    match fs::kind(path) {
        Ok(Kind::Absent | Kind::File { .. }) => {}
        Err(error) if error.source.kind() != io::ErrorKind::InvalidInput => {
            return Err(unusable(path, Problem::Unreadable { why: error.source.kind() }));
        }
        Ok(Kind::Directory) | Err(_) => return Err(unusable(path, Problem::NotAFile)),
    }
    let read = fs::read(path, LONGEST_REGISTRY);
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

const LONGEST_REGISTRY: u64 = 1024 * 1024;
