//! The port through which keys reach the programs that use them.

use std::{path::Path, time::Duration};

use domain::{
    name::EnvVar,
    secret::{Fingerprint, Secret},
};
use files::env_file::{EnvFile, EnvFileError, Preflight, Replace};

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

    /// Removes what a process that died while writing left behind.
    fn sweep(&self, target: &Path) -> Result<(), EnvFileError>;
}

/// Delivery to env files.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvFiles;

impl Deliver for EnvFiles {
    fn preflight(&self, target: &Path) -> Result<Preflight, EnvFileError> {
        EnvFile::new(target.to_owned()).preflight()
    }

    fn deliver(
        &self,
        target: &Path,
        credentials: &[(&EnvVar, &Secret)],
        replace: Replace,
        recognise: Recognise<'_>,
    ) -> Result<(), Error> {
        EnvFile::new(target.to_owned()).deliver(credentials, replace, recognise)
    }

    fn withdraw(
        &self,
        target: &Path,
        variables: &[&EnvVar],
        recognise: Recognise<'_>,
        within: Duration,
    ) -> Result<(), Error> {
        EnvFile::new(target.to_owned()).withdraw(variables, recognise, within)
    }

    fn sweep(&self, target: &Path) -> Result<(), EnvFileError> {
        EnvFile::new(target.to_owned()).sweep()
    }
}
