//! The durable record of requests to the backend and their known outcomes.
//!
//! An entry is written before its request leaves, so a crash can lose an answer but never a question. Each write is
//! one transaction that includes its audit row: an effect that cannot be logged is not started. The ledger holds no
//! credential, only its mask and fingerprint.

mod adoption;
mod alerts;
mod approvals;
mod audit;
mod budget;
mod cap_changes;
mod commitments;
mod connections;
mod diagnostic;
mod halts;
mod issued_keys;
mod journal;
mod kv;
mod lifetimes;
mod operation;
mod projects;
mod rows;
mod scope;
mod workspaces;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc, time::Duration};

use domain::{clock::Timestamp, workspace::WorkspaceId};
use files::state_folder::{StateFolder, StateFolderError};

pub use adoption::Adoption;
pub use alerts::{Alert, Alerts, Claim, Crossing, Outbox, Outcome};
pub use approvals::{Approvals, Asked, Decided, QuietTime};
use audit::AnchorFile;
pub use audit::{Acceptance, AcceptedBreak, Answered, AuditLog, AuditRow, Break, Event, Proof, Verdict};
pub use budget::{Budget, ProjectCommitment};
pub use cap_changes::CapChange;
pub use connections::Connections;
use halts::KillFiles;
pub use halts::{Halts, KillTarget};
pub use issued_keys::{IssuedKey, IssuedKeys};
pub use journal::{Grant, Intent, Journal, NewProject};
pub use kv::Kv;
pub use lifetimes::{LifetimeTerms, Lifetimes};
pub use operation::{Operation, OperationId, OperationRecord};
pub use projects::{Page, Projects, ProvisionTx, Visibility};
pub use scope::Registration;
use scope::{Scope, ScopedTx};
pub use workspaces::{Move, RegisteredWorkspace, Workspaces};

use crate::store::{
    Access, Store, StoreError,
    sqlite::{Schema, SqliteStore},
};

/// The ledger of one user, bound to one of the workspaces. Any number of processes may have it open.
///
/// Names, lists and lifetimes are those of the workspace; sums of caps, approvals by id and the audit are over all. Its
/// methods are grouped by use: each group is a small handle that borrows the ledger.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    anchor: AnchorFile,
    kill_files: KillFiles,
    scope: Scope,
    /// Checked before each use, if given.
    folder: Option<Arc<StateFolder>>,
}

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The system clock is more than a day behind the highest time that was recorded.
    #[error("the system clock shows {now:.0}, but {seen:.0} was recorded already")]
    ClockBehind { now: Timestamp, seen: Timestamp },
    /// The database is missing or empty, but `audit.head` beside it records rows. Starting again would lose track of
    /// billed resources.
    #[error("the ledger is gone: `audit.head` beside it records rows that it had")]
    Gone,
    /// A move that [`domain::project::Status::may_become`] forbids; the ledger and its caller disagree.
    #[error("the ledger has the project as {status}, which does not permit this step")]
    Moved { status: &'static str },
    /// The state folder is not used as it is.
    #[error(transparent)]
    StateFolder(#[from] StateFolderError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another folder is registered under the path of this one.
    #[error("this folder is not the one that was registered as a workspace under its path")]
    WorkspaceReplaced,
}

impl LedgerError {
    /// The error of a ledger that another process holds.
    pub fn locked() -> Self {
        StoreError::Locked.into()
    }

    /// Whether another process has held the ledger until the timeout.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Store(StoreError::Locked))
    }
}

impl Ledger {
    /// The ledger in that store. The head of its audit chain is also kept in `folder`, outside the store.
    pub fn new(store: Arc<dyn Store>, folder: &Path) -> Self {
        Self {
            store,
            anchor: AnchorFile::in_folder(folder),
            kill_files: KillFiles::in_folder(folder),
            scope: Scope::Id(WorkspaceId::none()),
            folder: None,
        }
    }

    /// The same ledger, for a caller that waits for other processes at most `timeout`.
    #[must_use]
    pub fn waiting_at_most(&self, timeout: Duration) -> Self {
        Self { store: self.store.waiting_at_most(timeout), ..self.clone() }
    }

    /// The same ledger in that folder, which is checked before each use.
    #[must_use]
    pub fn in_state_folder(self, folder: Arc<StateFolder>) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The same ledger for that folder, which is registered with the first write.
    #[must_use]
    pub fn in_folder(self, registration: Registration) -> Self {
        Self { scope: Scope::Folder(registration), ..self }
    }

    /// The same ledger for another workspace.
    #[must_use]
    pub fn in_workspace(&self, id: WorkspaceId) -> Self {
        Self { scope: Scope::Id(id), ..self.clone() }
    }

    /// Returns the id of the workspace; `None` while it is not registered.
    ///
    /// # Errors
    /// [`LedgerError::WorkspaceReplaced`], or when the ledger cannot be read.
    pub fn workspace(&self) -> Result<Option<WorkspaceId>, LedgerError> {
        if !self.exists() {
            return Ok(None);
        }
        let id = self.read(|tx| tx.workspace().map(str::to_owned))?;
        Ok(Some(id).filter(|id| !id.is_empty()).map(WorkspaceId::from_stored))
    }

    /// Returns the id of the workspace, and registers it first where needed.
    ///
    /// # Errors
    /// [`LedgerError::WorkspaceReplaced`], or when the ledger cannot be written.
    pub fn register_workspace(&self) -> Result<WorkspaceId, LedgerError> {
        match self.workspace()? {
            Some(id) => Ok(id),
            None => self.write(|tx| tx.registered().map(|id| WorkspaceId::from_stored(id.to_owned()))),
        }
    }

    /// The ledger of that state folder, in SQLite, bound to no folder; created on first use.
    pub fn of(state: &Path) -> Self {
        Self::new(Arc::new(SqliteStore::new(state.join("ledger.db"), &SCHEMA)), state)
    }

    /// Whether anything was ever provisioned here, so that a reader need not create it.
    pub fn exists(&self) -> bool {
        self.store.exists() || self.anchor.exists()
    }

    /// Whether the database is intact, as far as it can tell without reading everything twice.
    ///
    /// # Errors
    /// [`LedgerError::Gone`], or when it cannot be read at all.
    pub fn is_whole(&self) -> Result<bool, LedgerError> {
        self.ensure_usable()?;
        Ok(self.store.is_whole()?)
    }

    /// The version of the tables; opening an older ledger migrates it.
    pub fn version() -> usize {
        SCHEMA.migrations().len()
    }

    /// Resources of a lost ledger.
    pub fn adoption(&self) -> Adoption<'_> {
        Adoption(self)
    }

    /// Alerts about caps, and their outbox.
    pub fn alerts(&self) -> Alerts<'_> {
        Alerts(self)
    }

    /// Approval requests.
    pub fn approvals(&self) -> Approvals<'_> {
        Approvals(self)
    }

    /// The audit chain and its proof.
    pub fn audit(&self) -> AuditLog<'_> {
        AuditLog(self)
    }

    /// Commitments to the budgets of calendar months.
    pub fn budget(&self) -> Budget<'_> {
        Budget(self)
    }

    /// Connections to real backends.
    pub fn connections(&self) -> Connections<'_> {
        Connections(self)
    }

    /// Halt requests of kills.
    pub fn halts(&self) -> Halts<'_> {
        Halts(self)
    }

    /// Fingerprints and masks of delivered credentials.
    pub fn issued_keys(&self) -> IssuedKeys<'_> {
        IssuedKeys(self)
    }

    /// Operations: intents and their outcomes.
    pub fn journal(&self) -> Journal<'_> {
        Journal(self)
    }

    /// Values that backends keep between two processes.
    pub fn kv(&self) -> Kv<'_> {
        Kv(self)
    }

    /// Expiry times and host sessions of projects.
    pub fn lifetimes(&self) -> Lifetimes<'_> {
        Lifetimes(self)
    }

    /// Projects and the sums of their caps.
    pub fn projects(&self) -> Projects<'_> {
        Projects(self)
    }

    /// The workspaces.
    pub fn workspaces(&self) -> Workspaces<'_> {
        Workspaces(self)
    }

    /// Whether the database was lost: it is blank, but the anchor records rows.
    fn is_gone(&self) -> bool {
        self.store.is_blank() && self.anchor.exists()
    }

    fn ensure_usable(&self) -> Result<(), LedgerError> {
        self.check_folder()?;
        if self.is_gone() { Err(LedgerError::Gone) } else { Ok(()) }
    }

    fn check_folder(&self) -> Result<(), LedgerError> {
        Ok(self.folder.as_ref().map_or(Ok(()), |folder| folder.check())?)
    }

    fn read<T>(&self, work: impl FnMut(&ScopedTx<'_>) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.transact(Access::Read, work)
    }

    fn write<T, E: From<LedgerError>>(&self, work: impl FnMut(&ScopedTx<'_>) -> Result<T, E>) -> Result<T, E> {
        self.transact(Access::Write, work)
    }

    fn transact<T, E: From<LedgerError>>(
        &self,
        access: Access,
        mut work: impl FnMut(&ScopedTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.ensure_usable()?;
        if let (Access::Write | Access::WriteUnsynced, Some(folder)) = (access, &self.folder) {
            files::fs::create_private_folder(folder.path()).map_err(StoreError::from).map_err(LedgerError::from)?;
        }
        self.run(access, &mut work).map_err(LedgerError::from)?
    }

    /// Runs a transaction, also of a ledger that is gone.
    fn run<T, E>(
        &self,
        access: Access,
        mut work: impl FnMut(&ScopedTx<'_>) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        self.store.run(access, |tx| work(&ScopedTx::new(tx, &self.scope)))
    }
}

static SCHEMA: Schema = Schema::new(
    &[
        include_str!("schema_1.sql"),
        include_str!("schema_2.sql"),
        include_str!("schema_3.sql"),
        include_str!("schema_4.sql"),
        include_str!("schema_5.sql"),
        include_str!("schema_6.sql"),
        include_str!("schema_7.sql"),
        include_str!("schema_8.sql"),
        include_str!("schema_9.sql"),
        include_str!("schema_10.sql"),
        include_str!("schema_11.sql"),
    ],
    // After a new migration, a test prints it.
    "148a30d9c23ec4d8db8fe4cd0f0796cafe4a479c8ca9cb0f88152d31f111bb03",
);
