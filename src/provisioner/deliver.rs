//! The port through which keys reach the programs that use them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    name::EnvVar,
    principal::Role,
    secret::{Fingerprint, Secret},
};
use files::{
    env_file::{EnvFile, EnvFileError, Preflight, Replace, Surroundings},
    fs,
};

use super::{Ports, Principal};
use crate::error::Error;

/// Tells which of some fingerprints are of credentials that were ever delivered by us.
pub type Recognise<'a> = &'a dyn Fn(&[Fingerprint]) -> Result<Vec<Fingerprint>, Error>;

/// Writes keys to a target, and removes them. A value that is not ours is overwritten only on request, and never removed.
pub trait Deliver: Send + Sync {
    /// Proves, without spending anything, that `target` can take a key and keeps it private.
    fn preflight(&self, target: &Path) -> Result<Preflight, EnvFileError>;

    /// Writes credentials into their variables, all of them or none.
    fn deliver(
        &self,
        target: &Path,
        credentials: &[(&EnvVar, &Secret)],
        replace: Replace,
        recognise: Recognise<'_>,
    ) -> Result<(), Error>;

    /// Removes the variables whose values are ours. Waits at most `within` for another process that writes the target.
    fn withdraw(
        &self,
        target: &Path,
        variables: &[&EnvVar],
        recognise: Recognise<'_>,
        within: Duration,
    ) -> Result<(), Error>;

    /// Returns the file that `target` leads to, through links; `None` if that cannot be determined.
    fn real_path(&self, target: &Path) -> Option<PathBuf>;

    /// Removes what a process that died while writing to `target` left behind.
    fn sweep(&self, target: &Path) -> Result<(), EnvFileError>;

    /// Removes what processes that died left behind wherever a file like `target` is written from.
    fn sweep_places(&self, target: &Path) -> Result<(), EnvFileError>;
}

/// Delivery to the env files of a workspace.
#[derive(Clone, Debug, Default)]
pub struct EnvFiles {
    surroundings: Surroundings,
    /// The files that the checked paths led to. A key goes to that file only: the path can be changed meanwhile.
    checked: Arc<Mutex<BTreeMap<PathBuf, PathBuf>>>,
}

impl EnvFiles {
    pub fn new(surroundings: Surroundings) -> Self {
        Self { surroundings, checked: Arc::default() }
    }

    fn checked(&self) -> MutexGuard<'_, BTreeMap<PathBuf, PathBuf>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, target: &Path) -> EnvFile {
        EnvFile::new(target.to_owned(), &self.surroundings)
    }
}

impl Deliver for EnvFiles {
    fn preflight(&self, target: &Path) -> Result<Preflight, EnvFileError> {
        let preflight = self.open(target).preflight()?;
        self.checked().insert(target.to_owned(), preflight.real_path().to_owned());
        Ok(preflight)
    }

    fn deliver(
        &self,
        target: &Path,
        credentials: &[(&EnvVar, &Secret)],
        replace: Replace,
        recognise: Recognise<'_>,
    ) -> Result<(), Error> {
        let checked = self.checked().get(target).cloned();
        self.open(target).deliver(credentials, checked.as_deref(), replace, recognise)
    }

    fn withdraw(
        &self,
        target: &Path,
        variables: &[&EnvVar],
        recognise: Recognise<'_>,
        within: Duration,
    ) -> Result<(), Error> {
        self.open(target).withdraw(variables, recognise, within)
    }

    fn real_path(&self, target: &Path) -> Option<PathBuf> {
        self.open(target).existing().ok().flatten()
    }

    fn sweep(&self, target: &Path) -> Result<(), EnvFileError> {
        self.open(target).sweep()
    }

    fn sweep_places(&self, target: &Path) -> Result<(), EnvFileError> {
        self.open(target).sweep_places()
    }
}

impl Ports {
    /// Returns the env file of a new project.
    ///
    /// Where a person named one that is a link out of the workspace, it is the file that the link leads to: only they
    /// may choose it, and what is recorded leads nowhere else later.
    pub(super) fn env_file_for(&self, principal: &Principal) -> PathBuf {
        if self.env_file_named
            && principal.role == Role::Person
            && let Ok(real) = fs::resolve(&self.env_file)
            && !real.starts_with(&self.workspace)
        {
            return real;
        }
        self.env_file.clone()
    }
}
