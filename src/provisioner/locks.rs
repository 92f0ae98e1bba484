//! The port to locks: one for each project, one for each host session.

use std::{fmt::Debug, path::PathBuf, time::Duration};

use domain::name::ProjectName;
use files::fs::{self, Lock};

use crate::error::Error;

/// Exclusive locks over all processes of a workspace. They end with the process that holds them.
pub trait Locks: Send + Sync {
    /// Locks a project. `None`: another call or process held it for the whole `timeout`.
    fn project(&self, name: &ProjectName, timeout: Duration) -> Result<Option<Box<dyn Held>>, Error>;

    /// Locks a session, without waiting. `None`: its process is alive.
    fn session(&self, id: &str) -> Result<Option<Box<dyn Held>>, Error>;

    /// Removes what a session's lock leaves behind.
    fn remove_session(&self, id: &str) -> Result<(), Error>;

    /// Prepares the place where locks and the ledger are kept: private, and ignored by git.
    fn prepare(&self) -> Result<(), Error>;
}

/// A lock that is held until dropped.
pub trait Held: Debug + Send {}

impl Held for Lock {}

/// Lock files in the state folder.
#[derive(Debug)]
pub struct LockFiles {
    state: PathBuf,
}

impl LockFiles {
    pub fn new(state: PathBuf) -> Self {
        Self { state }
    }

    fn folder(&self) -> PathBuf {
        self.state.join("locks")
    }

    fn ignore_file(&self) -> PathBuf {
        self.state.join(".gitignore")
    }

    fn session_file(&self, id: &str) -> PathBuf {
        self.folder().join(format!("{id}.session"))
    }
}

impl Locks for LockFiles {
    fn project(&self, name: &ProjectName, timeout: Duration) -> Result<Option<Box<dyn Held>>, Error> {
        if !self.ignore_file().exists() || !self.folder().is_dir() {
            self.prepare()?;
        }
        Ok(held(Lock::on_file(&self.folder().join(format!("{name}.lock")), timeout)?))
    }

    fn session(&self, id: &str) -> Result<Option<Box<dyn Held>>, Error> {
        Ok(held(Lock::on_file(&self.session_file(id), Duration::ZERO)?))
    }

    fn remove_session(&self, id: &str) -> Result<(), Error> {
        Ok(fs::remove(&self.session_file(id))?)
    }

    fn prepare(&self) -> Result<(), Error> {
        fs::create_private_folder(&self.folder())?;
        let ignore = self.ignore_file();
        let _lock = Lock::on_folder_of(&ignore, PREPARE_TIMEOUT)?.ok_or(Error::ProjectBusy)?;
        Ok(fs::replace(&ignore, b"*\n", fs::Privacy::Unchanged)?)
    }
}

fn held(lock: Option<Lock>) -> Option<Box<dyn Held>> {
    lock.map(|lock| Box::new(lock) as Box<dyn Held>)
}

const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);
