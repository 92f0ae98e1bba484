//! The policy files outside the workspace. Each call reads them anew, so an edit applies to the next call.

use std::path::{Path, PathBuf};

use super::config_folders::Candidate;
use super::file_text::{read_protected, shown, unusable, without_duplicates};
use super::{ConfigFolders, RegistryError, UserPolicy, error::Problem};
use crate::fs::{self, Stamp};

/// The policy files: all of them count. One that exists and cannot be read is an error, never "no limit".
#[derive(Clone, Debug, Default)]
pub struct PolicyFiles {
    /// The system's and the user's; each may be absent.
    usual: Vec<Candidate>,
    /// A file that was named; it must exist.
    named: Option<PathBuf>,
    workspace: PathBuf,
    has_home: bool,
}

impl PolicyFiles {
    /// Takes the places of policies from these folders, and a named file in addition.
    pub fn new(folders: &ConfigFolders, named: Option<PathBuf>, workspace: PathBuf) -> Self {
        Self { usual: folders.candidates("policy.toml"), named, workspace, has_home: folders.has_home() }
    }

    /// Returns whether the user has a home, in which limits could be.
    pub fn has_home(&self) -> bool {
        self.has_home
    }

    /// Returns the files that count: those that exist, and the named one. A file with two paths counts once.
    pub fn counting(&self) -> Vec<PathBuf> {
        let counting = self.all().into_iter().map(|candidate| candidate.path);
        counting.filter(|path| self.named.as_ref() == Some(path) || path.symlink_metadata().is_ok()).collect()
    }

    /// Returns the file that a user writes: in the environment's folder for configuration, else in the home.
    pub fn own(&self) -> Option<&Path> {
        self.usual.last().filter(|_| self.has_home).map(|candidate| candidate.path.as_path())
    }

    /// Returns the paths at which a policy would count.
    pub fn places(&self) -> impl Iterator<Item = &Path> {
        self.usual.iter().map(|candidate| candidate.path.as_path()).chain(self.named.as_deref())
    }

    /// Reads every policy as it is now.
    ///
    /// # Errors
    /// [`RegistryError`] of the first file that cannot be used, at line 1 and column 1 if it cannot be read.
    pub fn read(&self) -> Result<Vec<UserPolicy>, RegistryError> {
        let read = |candidate: Candidate| match read_protected(&candidate.path) {
            Err(error) => Some(Err(error)),
            Ok(Some(text)) => {
                let origin = candidate.origin(&self.workspace);
                Some(UserPolicy::parse_of(origin, &text, &shown(&candidate.path)))
            }
            Ok(None) if self.named.as_ref() == Some(&candidate.path) => {
                Some(Err(unusable(&candidate.path, Problem::NoFile)))
            }
            Ok(None) => None,
        };
        self.all().into_iter().filter_map(read).collect()
    }

    /// Returns stamps that change with the files.
    pub fn stamps(&self) -> Vec<Option<Stamp>> {
        self.places().map(fs::stamp).collect()
    }

    fn all(&self) -> Vec<Candidate> {
        let named = self.named.iter().map(|path| Candidate { path: path.clone(), is_chosen: true });
        without_duplicates(self.usual.iter().cloned().chain(named).collect(), |candidate| &candidate.path)
    }
}
