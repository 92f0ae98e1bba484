//! How a database file is opened and written: private, durable, and shared by many processes.
//!
//! Every write is one immediate transaction, so what it has read still holds when it writes. A committed write survives
//! a power loss (`synchronous=FULL`). SQLite waits for other processes; a user sees an error only after the timeout.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use files::fs::{self, Lock};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, backup::Backup};

use crate::store::StoreError;

/// The migrations of a database file, in order. A file's version is the number of migrations that it has run.
pub struct Schema {
    pub migrations: &'static [&'static str],
}

/// A database file, opened (and created) on first use.
pub struct Database {
    path: PathBuf,
    schema: &'static Schema,
    /// How long a call waits for other processes.
    timeout: Duration,
    connection: Mutex<Option<Connection>>,
}

impl Database {
    pub fn new(path: PathBuf, schema: &'static Schema) -> Self {
        Self { path, schema, timeout: TIMEOUT, connection: Mutex::new(None) }
    }

    /// Returns the same file with a connection of its own, for callers that wait at most `timeout`.
    #[must_use]
    pub fn waiting_at_most(&self, timeout: Duration) -> Self {
        Self { path: self.path.clone(), schema: self.schema, timeout, connection: Mutex::new(None) }
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
    /// of this process, and a power loss only from the next synced write on.
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
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &mut *slot {
            Some(connection) => connection,
            empty => {
                let opened = open(&self.path, self.schema)?;
                DURABLE.adopt(&opened, self.timeout).map_err(StoreError::from)?;
                empty.insert(opened)
            }
        };
        if *durability == DURABLE {
            return committed(connection, behavior, work);
        }
        durability.adopt(connection, self.timeout).map_err(StoreError::from)?;
        let outcome = committed(connection, behavior, work);
        if let Err(error) = DURABLE.adopt(connection, self.timeout) {
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
    fn adopt(&self, connection: &Connection, at_most: Duration) -> Result<(), rusqlite::Error> {
        connection.busy_timeout(self.timeout.min(at_most))?;
        connection.pragma_update(None, "synchronous", self.synchronous)
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

fn open(path: &Path, schema: &Schema) -> Result<Connection, StoreError> {
    fs::create_private_file(path)?;
    let connection = Connection::open(path)?;
    connection.busy_timeout(TIMEOUT)?;
    if version(&connection)? != schema.migrations.len() {
        migrate(&connection, path, schema)?;
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Creates or migrates the tables. Holds a lock file, because SQLite does not wait when it switches to WAL.
fn migrate(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), StoreError> {
    let lock = path.with_extension("lock");
    let _held = Lock::on_file(&lock, TIMEOUT)?.ok_or(StoreError::Locked)?;
    let found = version(connection)?; // again, now that no other process changes it
    let known = schema.migrations.len();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found == known {
        return Ok(()); // another process was faster
    }
    if found > 0 {
        back_up(connection, path, found)?;
    }
    switch_to_wal(connection)?;
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for migration in schema.migrations.iter().skip(found) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", i64::try_from(known).unwrap_or(i64::MAX))?;
    Ok(transaction.commit()?)
}

/// Retries for as long as other processes read, if only the version; SQLite itself does not wait here.
fn switch_to_wal(connection: &Connection) -> Result<(), StoreError> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                thread::sleep(PAUSE);
            }
            switched => return Ok(switched?),
        }
    }
}

/// Copies the database, as that version left it, to a file beside it. SQLite makes the copy, so it includes the log and
/// stays consistent while other processes write.
fn back_up(connection: &Connection, path: &Path, version: usize) -> Result<(), StoreError> {
    let copy = path.with_extension(format!("v{version}.db"));
    fs::remove(&copy)?; // left by an interrupted migration
    fs::create_private_file(&copy)?;
    let mut into = Connection::open(&copy)?;
    Backup::new(connection, &mut into)?.run_to_completion(PAGES_AT_ONCE, Duration::ZERO, None)?;
    into.close().map_err(|(_, error)| error.into())
}

fn version(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(version).map_err(|_| StoreError::Unreadable { column: "user_version" })
}

/// A commit is on the disk when it returns.
const DURABLE: Durability = Durability { synchronous: "FULL", timeout: TIMEOUT };

/// In WAL mode such a commit is in the operating system's cache, and the order of commits is kept. Used for the audit row
/// of a call whose result is ready, so a client does not wait for a minute.
const RELAXED: Durability = Durability { synchronous: "NORMAL", timeout: Duration::from_secs(10) };

/// Copies all pages at once: no other process writes meanwhile, so there is no reason to pause.
const PAGES_AT_ONCE: i32 = i32::MAX;

/// More statements than either database has, so that none is parsed twice. The usual 16 are too few for one operation,
/// and a cache that is one too small evicts each statement just before its next use.
const STATEMENTS: usize = 128;

/// Between two attempts; other processes only read.
const PAUSE: Duration = Duration::from_millis(2);

/// How long a call waits for other processes.
const TIMEOUT: Duration = Duration::from_secs(30);
