//! The port to locks: one for each project, one for each host session.

use std::{fmt::Debug, path::PathBuf, sync::Arc, time::Duration};

use domain::{name::ProjectName, workspace::WorkspaceId};
use files::{
    fs::{self, Lock},
    state_folder::StateFolder,
};
use storage::ledger::Ledger;

use crate::error::Error;

/// Exclusive locks over all processes of a user. They end with the process that holds them.
pub trait Locks: Send + Sync {
    /// Locks a project of a workspace. `None`: another call or process held it for the whole `timeout`.
    fn project(
        &self,
        workspace: &WorkspaceId,
        name: &ProjectName,
        timeout: Duration,
    ) -> Result<Option<Box<dyn Held>>, Error>;

    /// Locks a session, without waiting. `None`: its process is alive.
    fn session(&self, id: &str) -> Result<Option<Box<dyn Held>>, Error>;

    /// Removes what a session's lock leaves behind.
    fn remove_session(&self, id: &str) -> Result<(), Error>;

    /// Creates the place where locks and the ledger are kept, for its owner only.
    fn prepare(&self) -> Result<(), Error>;
}

/// A lock that is held until dropped.
pub trait Held: Debug + Send {
    /// Tells whether nothing of this name was locked before.
    fn is_new(&self) -> bool;

    /// Leaves nothing of the lock behind.
    fn remove(&self);
}

impl Held for Lock {
    fn is_new(&self) -> bool {
        Self::is_new(self)
    }

    fn remove(&self) {
        Self::remove(self);
    }
}

/// The lock of a project. It leaves nothing behind for a name that no project has.
pub struct ProjectLock {
    held: Box<dyn Held>,
    ledger: Arc<Ledger>,
    name: ProjectName,
}

impl ProjectLock {
    pub fn new(held: Box<dyn Held>, ledger: Arc<Ledger>, name: ProjectName) -> Self {
        Self { held, ledger, name }
    }
}

impl Debug for ProjectLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectLock").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Held for ProjectLock {
    fn is_new(&self) -> bool {
        self.held.is_new()
    }

    fn remove(&self) {
        self.held.remove();
    }
}

impl Drop for ProjectLock {
    fn drop(&mut self) {
        let is_unknown = || !self.ledger.exists() || matches!(self.ledger.projects().newest(&self.name), Ok(None));
        if self.held.is_new() && is_unknown() {
            self.held.remove();
        }
    }
}

/// Lock files in the state folder.
#[derive(Debug)]
pub struct LockFiles {
    state: Arc<StateFolder>,
}

impl LockFiles {
    pub fn new(state: Arc<StateFolder>) -> Self {
        Self { state }
    }

    fn folder(&self) -> PathBuf {
        self.state.path().join("locks")
    }

    fn session_file(&self, id: &str) -> PathBuf {
        self.folder().join(format!("{id}.session"))
    }
}

impl Locks for LockFiles {
    fn project(
        &self,
        workspace: &WorkspaceId,
        name: &ProjectName,
        timeout: Duration,
    ) -> Result<Option<Box<dyn Held>>, Error> {
        let file = format!("{}.{name}.lock", workspace.as_str());
        Ok(held(Lock::on_file(&self.folder().join(file), timeout)?))
    }

    fn session(&self, id: &str) -> Result<Option<Box<dyn Held>>, Error> {
        Ok(held(Lock::on_file(&self.session_file(id), Duration::ZERO)?))
    }

    fn remove_session(&self, id: &str) -> Result<(), Error> {
        Ok(fs::remove(&self.session_file(id))?)
    }

    fn prepare(&self) -> Result<(), Error> {
        self.state.create()?;
        let folder = self.folder();
        if !folder.is_dir() {
            fs::create_private_folder(&folder)?;
        }
        Ok(())
    }
}

fn held(lock: Option<Lock>) -> Option<Box<dyn Held>> {
    lock.map(|lock| Box::new(lock) as Box<dyn Held>)
}
