//! The file that an env file's path leads to, held open from the first check to the last step.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{EnvFile, EnvFileError};
use crate::fs::{self, FileContent, Folder, FsError, Lock};

/// The real file, with its folder open and locked.
pub(super) struct Target {
    pub path: PathBuf,
    pub name: String,
    pub folder: Folder,
    _lock: Lock,
}

impl Target {
    /// Locks the file that the path leads to. A path that changes meanwhile is followed once more.
    ///
    /// # Errors
    /// [`EnvFileError::LeadsOut`] for a link out of the workspace, [`EnvFileError::Locked`] after a timeout.
    pub(super) fn lock(env_file: &EnvFile, timeout: Duration) -> Result<Self, EnvFileError> {
        for _ in 0..ATTEMPTS {
            let path = env_file.real_path()?;
            let name = path.file_name().and_then(|name| name.to_str());
            let (Some(parent), Some(name)) = (path.parent(), name.map(str::to_owned)) else {
                return Err(unusable(&path).into());
            };
            let folder = Folder::open(parent)?;
            let lock = Lock::on_folder(&folder, &name, timeout)?;
            let lock = lock.ok_or_else(|| EnvFileError::Locked { path: path.clone() })?;
            if env_file.real_path()? == path {
                return Ok(Self { path, name, folder, _lock: lock });
            }
        }
        Err(EnvFileError::Unsteady { path: env_file.path().to_owned() })
    }

    /// Reads the file; `None` if it is missing.
    pub(super) fn read(&self) -> Result<Option<FileContent>, EnvFileError> {
        Ok(self.folder.read(&self.name, super::MAX_FILE_SIZE)?)
    }
}

impl EnvFile {
    /// Follows the links of the path.
    ///
    /// # Errors
    /// [`EnvFileError::LeadsOut`] for a link out of the workspace. A path outside it that a person named is not one.
    pub(super) fn real_path(&self) -> Result<PathBuf, EnvFileError> {
        let real = fs::resolve(&self.path)?;
        if real == self.path || real.starts_with(&self.surroundings.workspace) {
            return Ok(real);
        }
        Err(EnvFileError::LeadsOut { path: real })
    }
}

fn unusable(path: &Path) -> FsError {
    FsError { action: "use", path: path.to_owned(), source: io::ErrorKind::InvalidInput.into() }
}

/// How often a path is followed that changes at the same time.
const ATTEMPTS: usize = 16;
