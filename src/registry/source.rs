//! Where the registry is kept: a file that is read anew for each call, so that an edit counts from the next one on.

use std::path::{Path, PathBuf};

use super::{Registry, RegistryError, error::Problem};
use crate::fs::{self, Stamp};

/// The registry of a workspace.
#[derive(Clone, Debug)]
pub enum RegistryFile {
    /// A file that somebody named; it has to be there.
    Named(PathBuf),
    /// The workspace's own file if it has one, else the built-in registry.
    OwnOrBuiltin(PathBuf),
}

impl RegistryFile {
    /// Reads it as it is now.
    ///
    /// # Errors
    /// [`RegistryError`], which for an unreadable file stands at its first character.
    pub fn read(&self) -> Result<Registry, RegistryError> {
        let (Self::Named(path) | Self::OwnOrBuiltin(path)) = self;
        let unusable = |problem| RegistryError { file: shown(path), line: 1, column: 1, problem };
        match (fs::read(path, LONGEST_REGISTRY), self) {
            (Ok(Some(bytes)), _) => {
                let text = String::from_utf8(bytes).map_err(|_| unusable(Problem::NotText))?;
                Registry::parse(&text, &shown(path))
            }
            (Ok(None), Self::OwnOrBuiltin(_)) => Registry::builtin(),
            (Ok(None), Self::Named(_)) => Err(unusable(Problem::NoFile)),
            (Err(error), _) => Err(unusable(Problem::Unreadable { why: error.source.kind() })),
        }
    }

    /// What the file is known by, without reading it; `None` when there is none to be seen.
    pub fn stamp(&self) -> Option<Stamp> {
        let (Self::Named(path) | Self::OwnOrBuiltin(path)) = self;
        fs::stamp(path)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

const LONGEST_REGISTRY: u64 = 1024 * 1024;
