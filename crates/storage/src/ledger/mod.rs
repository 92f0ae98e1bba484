//! The durable record of requests to the backend and their known outcomes.
//!
//! An entry is written before its request leaves, so a crash can lose an answer but never a question. Each write is
//! one transaction that includes its audit row: an effect that cannot be logged is not started. The ledger holds no
//! credential, only its mask and fingerprint.

mod alerts;
mod approvals;
mod audit;
mod diagnostic;
mod issued_keys;
mod journal;
mod kv;
mod lifetimes;
mod operation;
mod projects;
mod rows;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

pub use alerts::{Alert, Alerts, Claim, Crossing, Outbox, Outcome};
pub use approvals::{Approvals, Asked, Decided, QuietTime};
use audit::AnchorFile;
pub use audit::{Acceptance, AcceptedBreak, Answered, AuditLog, AuditRow, Break, Event, Proof, Verdict};
pub use issued_keys::{IssuedKey, IssuedKeys};
pub use journal::{Grant, Intent, Journal, NewProject};
pub use kv::Kv;
pub use lifetimes::{LifetimeTerms, Lifetimes};
pub use operation::{Operation, OperationId, OperationRecord};
pub use projects::{Page, Projects, ProvisionTx, Visibility};

use crate::store::{
    Access, Store, StoreError, Tx,
    sqlite::{Schema, SqliteStore},
};

/// The ledger of one workspace. Any number of processes may have it open.
///
/// Its methods are grouped by use: each group is a small handle that borrows the ledger.
pub struct Ledger {
    store: Arc<dyn Store>,
    anchor: AnchorFile,
}

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database is missing or empty, but `audit.head` beside it records rows. Starting again would lose track of
    /// billed resources.
    #[error("the ledger is gone: `audit.head` beside it records rows that it had")]
    Gone,
    /// A move that [`domain::project::Status::may_become`] forbids; the ledger and its caller disagree.
    #[error("the ledger has the project as {status}, which does not permit this step")]
    Moved { status: &'static str },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LedgerError {
    /// Whether another process has held the ledger until the timeout.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Store(StoreError::Locked))
    }
}

impl Ledger {
    /// The ledger in that store. The head of its audit chain is also kept in `folder`, outside the store.
    pub fn new(store: Arc<dyn Store>, folder: &Path) -> Self {
        Self { store, anchor: AnchorFile::in_folder(folder) }
    }

    /// The ledger of that state folder, in SQLite; created on first use.
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
        self.ensure_present()?;
        Ok(self.store.is_whole()?)
    }

    /// The version of the tables; opening an older ledger migrates it.
    pub fn version() -> usize {
        SCHEMA.migrations.len()
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

    /// Whether the database was lost: it is blank, but the anchor records rows.
    fn is_gone(&self) -> bool {
        self.store.is_blank() && self.anchor.exists()
    }

    fn ensure_present(&self) -> Result<(), LedgerError> {
        if self.is_gone() { Err(LedgerError::Gone) } else { Ok(()) }
    }

    fn read<T>(&self, work: impl FnMut(&dyn Tx) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.transact(Access::Read, work)
    }

    fn write<T, E: From<LedgerError>>(&self, work: impl FnMut(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        self.transact(Access::Write, work)
    }

    fn transact<T, E: From<LedgerError>>(
        &self,
        access: Access,
        work: impl FnMut(&dyn Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        self.ensure_present()?;
        self.store.run(access, work).map_err(LedgerError::from)?
    }
}

static SCHEMA: Schema = Schema {
    migrations: &[
        include_str!("schema_1.sql"),
        include_str!("schema_2.sql"),
        include_str!("schema_3.sql"),
        include_str!("schema_4.sql"),
        include_str!("schema_5.sql"),
        include_str!("schema_6.sql"),
        include_str!("schema_9.sql"),
    ],
};
