//! Where the registry is kept: a file that is read anew for each call, so that an edit counts from the next one on.

use std::path::{Path, PathBuf};

use super::{Registry, RegistryError, error::Problem};
use crate::fs;

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
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

const LONGEST_REGISTRY: u64 = 1024 * 1024;
