//! Exclusive locks, which die with their process.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use super::{FsError, failed, folder_of, open_private};

/// An exclusive lock, held until dropped; a process that dies lets go of it.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks a file made for the purpose, waiting at most `patience`. `None`: somebody else holds it.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn on_file(path: &Path, timeout: Duration) -> Result<Option<Self>, FsError> {
        let file = open_private(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
        Self::wait(file, path, timeout)
    }

    /// The locked file as a child's input: the very one, opened once, so that the lock is held until both have let go
    /// of it. An empty lock file reads like `/dev/null`.
    ///
    /// # Errors
    /// When the process has too many files open.
    pub fn share(&self) -> Result<Stdio, FsError> {
        self.file.try_clone().map(Stdio::from).map_err(|error| failed("share", &self.path, error))
    }

    /// Locks the folder that `target` is in, so that no lock file lies about in a user's folder, and nothing that
    /// is renamed away was ever the lock.
    ///
    /// # Errors
    /// When the folder cannot be opened or locked.
    #[cfg(unix)]
    pub fn on_folder_of(target: &Path, timeout: Duration) -> Result<Option<Self>, FsError> {
        let folder = folder_of(target);
        let file = File::open(folder).map_err(|error| failed("open", folder, error))?;
        Self::wait(file, folder, timeout)
    }

    /// Where a folder cannot be opened like a file, a lock file beside the target serves.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    #[cfg(not(unix))]
    pub fn on_folder_of(target: &Path, timeout: Duration) -> Result<Option<Self>, FsError> {
        Self::on_file(&target.with_file_name(".stripe-projects.lock"), timeout)
    }

    fn wait(file: File, path: &Path, timeout: Duration) -> Result<Option<Self>, FsError> {
        let deadline = Instant::now() + timeout;
        let mut pause = Duration::from_micros(200);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { file, path: path.to_owned() })),
                Err(fs::TryLockError::Error(error)) => return Err(failed("lock", path, error)),
                Err(fs::TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}
