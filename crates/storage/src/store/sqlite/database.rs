//! How a database file is read and written: durably, by many processes.
//!
//! Every write is one immediate transaction, so what it has read still holds when it writes. A committed write survives
//! a power loss (`synchronous=FULL`). SQLite waits for other processes; a user sees an error only after the timeout.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use files::fs;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::{Schema, connection::OpenDatabase};
use crate::store::StoreError;

/// A database file, opened (and created) on first use.
pub struct Database {
    path: PathBuf,
    schema: &'static Schema,
    /// How long a call waits for other processes.
    timeout: Duration,
    open: Mutex<Option<OpenDatabase>>,
}

impl Database {
    pub fn new(path: PathBuf, schema: &'static Schema) -> Self {
        Self { path, schema, timeout: TIMEOUT, open: Mutex::new(None) }
    }

    /// Returns the same file with a connection of its own, for callers that wait at most `timeout`.
    #[must_use]
    pub fn waiting_at_most(&self, timeout: Duration) -> Self {
        Self { path: self.path.clone(), schema: self.schema, timeout, open: Mutex::new(None) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file exists, so that a reader need not create it.
    pub fn exists(&self) -> bool {
        // A file that cannot be looked for, such as one in another user's folder, may exist: opening it reports why.
        self.path.try_exists().unwrap_or(true)
    }

    /// Whether there is no file, or an empty one.
    pub fn is_blank(&self) -> bool {
        !self.exists() || fs::is_empty(&self.path)
    }

    /// Reads from one committed state.
    ///
    /// # Errors
    /// What `work` returns, or what SQLite reports.
    pub fn read<T, E: From<StoreError>>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.transaction(TransactionBehavior::Deferred, &DURABLE, |transaction| work(transaction))
    }

    /// Reads only durable state: writes first, so a commit left half-synced by a crashed process cannot appear later. Such
    /// a commit stays invisible in the log until every process has closed the database; a new write takes its place there.
    ///
    /// # Errors
    /// What `work` returns, or what SQLite reports.
    pub fn read_durable<T, E: From<StoreError>>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.write(|connection| {
            write_something(connection).map_err(StoreError::from)?;
            work(connection)
        })
    }

    /// Writes everything or nothing; durable on return.
    ///
    /// # Errors
    /// What `work` returns, and then nothing was written; or what SQLite reports.
    pub fn write<T, E: From<StoreError>>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.transaction(TransactionBehavior::Immediate, &DURABLE, |transaction| work(transaction))
    }

    /// Writes without waiting for the disk, and waits for other processes for a shorter time. The commit survives the end
    /// of this process, and a power loss only from the next synced write on. With a rollback journal it waits.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_unsynced<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction(TransactionBehavior::Immediate, &RELAXED, |transaction| work(transaction))
    }

    fn transaction<T, E: From<StoreError>>(
        &self,
        behavior: TransactionBehavior,
        durability: &'static Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic while the lock was held rolled its transaction back, and the connection stays usable.
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &mut *slot {
            Some(open) => open,
            empty => {
                let open = OpenDatabase::open(&self.path, self.schema)?;
                DURABLE.adopt(&open, self.timeout).map_err(StoreError::from)?;
                empty.insert(open)
            }
        };
        open.ensure_only_host()?;
        if *durability == DURABLE {
            return committed(&open.connection, behavior, work);
        }
        durability.adopt(open, self.timeout).map_err(StoreError::from)?;
        let outcome = committed(&open.connection, behavior, work);
        if let Err(error) = DURABLE.adopt(open, self.timeout) {
            *slot = None; // the next transaction opens it again, with full durability
            return Err(StoreError::from(error).into());
        }
        outcome
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Conflict(error.into()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

/// What a transaction waits for.
#[derive(Eq, PartialEq)]
struct Durability {
    /// SQLite's setting for when a commit returns.
    synchronous: &'static str,
    /// How long it waits for other processes.
    timeout: Duration,
}

impl Durability {
    /// Sets both. Only WAL keeps a database intact without a sync in each commit.
    fn adopt(&self, open: &OpenDatabase, at_most: Duration) -> Result<(), rusqlite::Error> {
        let synchronous = if open.has_rollback_journal() { DURABLE.synchronous } else { self.synchronous };
        open.connection.busy_timeout(self.timeout.min(at_most))?;
        open.connection.pragma_update(None, "synchronous", synchronous)
    }
}

fn committed<T, E: From<StoreError>>(
    connection: &Connection,
    behavior: TransactionBehavior,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = Transaction::new_unchecked(connection, behavior).map_err(StoreError::from)?;
    let outcome = work(&transaction)?;
    transaction.commit().map_err(StoreError::from)?;
    Ok(outcome)
}

/// Changes a number without a meaning. Setting the present value again would not do: SQLite skips such a write.
fn write_something(connection: &Connection) -> Result<(), rusqlite::Error> {
    let number: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    connection.pragma_update(None, "application_id", number.wrapping_add(1))
}

/// A commit is on the disk when it returns.
const DURABLE: Durability = Durability { synchronous: "FULL", timeout: TIMEOUT };

/// In WAL mode such a commit is in the operating system's cache, and the order of commits is kept. Used for the audit row
/// of a call whose result is ready, so a client does not wait for a minute.
const RELAXED: Durability = Durability { synchronous: "NORMAL", timeout: Duration::from_secs(10) };

/// How long a call waits for other processes.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
