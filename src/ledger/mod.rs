//! The durable record of what we asked for and what we know came of it.
//!
//! An entry is written before the request leaves, so a crash can lose an answer but never a question. Each write is
//! one transaction that also carries its audit row: if it cannot be logged, it is not done. No credential is ever in
//! here: a mask and a fingerprint are all that is kept of one.

mod accept;
mod alerts;
mod anchor;
mod approvals;
mod audit;
mod diagnostic;
mod issued_keys;
mod journal;
mod kv;
mod lifetimes;
mod projects;
mod rows;
mod verify;

use std::path::Path;

pub use accept::{Acceptance, AcceptedBreak};
pub use alerts::{Alert, Claim, Crossing, Outbox, Outcome};
use anchor::AnchorFile;
pub use approvals::Asked;
pub use audit::{Answered, AuditRow, Event, Verdict};
pub use issued_keys::IssuedKey;
pub use journal::{Grant, Intent, NewProject, Operation};
pub use lifetimes::LifetimeTerms;
pub use projects::{Page, Tx, Visibility};
use rusqlite::Connection;
pub use verify::{Break, Proof};

use crate::sqlite::{Database, DatabaseError, Schema};

/// The ledger of one workspace. Any number of processes may have it open.
pub struct Ledger {
    database: Database,
    head: AnchorFile,
}

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There is none, or an empty file, and `audit.head` beside it knows of rows: to begin anew would be to forget what
    /// is billed.
    #[error("the ledger is gone: `audit.head` beside it knows of what stood there")]
    Gone,
    /// A move that [`crate::project::Status::may_become`] forbids; the ledger and its caller disagree.
    #[error("the project is {status} in the ledger, which rules this step out")]
    Moved { status: &'static str },
}

impl LedgerError {
    /// Whether another process has kept us waiting for all the time that there was.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Database(DatabaseError::Locked))
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Ledger {
    /// The ledger of that state folder, which is created on first use.
    pub fn of(state: &Path) -> Self {
        let path = state.join("ledger.db");
        Self { head: AnchorFile::beside(&path), database: Database::new(path, &SCHEMA) }
    }

    /// Whether anything was ever provisioned here, so that a look need not create it.
    pub fn exists(&self) -> bool {
        self.database.exists() || self.head.exists()
    }

    /// Whether there was a ledger here, and is none.
    fn is_gone(&self) -> bool {
        self.database.is_blank() && self.head.exists()
    }

    fn present(&self) -> Result<&Database, LedgerError> {
        if self.is_gone() { Err(LedgerError::Gone) } else { Ok(&self.database) }
    }

    /// Whether the file is whole, as far as SQLite can tell without reading all of it twice.
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub fn is_whole(&self) -> Result<bool, LedgerError> {
        self.read(|connection| {
            let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            Ok(verdict == "ok")
        })
    }

    /// The version of the tables, which opening brings up to date.
    pub fn version() -> usize {
        SCHEMA.migrations.len()
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.present()?.read(work)
    }

    fn write<T, E: From<LedgerError> + From<DatabaseError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.present()?.write(work)
    }

    fn write_unsynced<T, E: From<LedgerError> + From<DatabaseError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.present()?.write_unsynced(work)
    }
}

static SCHEMA: Schema = Schema {
    migrations: &[
        include_str!("schema_1.sql"),
        include_str!("schema_2.sql"),
        include_str!("schema_3.sql"),
        include_str!("schema_4.sql"),
        include_str!("schema_5.sql"),
    ],
};
