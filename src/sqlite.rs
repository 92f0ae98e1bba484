//! How a database file of ours is opened and written: private, durable, and shared by many processes.
//!
//! Every write is one immediate transaction, so that what it read is still true when it writes; a committed one
//! survives a power cut (`synchronous=FULL`). Waiting for another process is SQLite's business, never an error
//! that a user sees.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, backup::Backup};

use crate::{
    diagnostic::{Channel, Diagnostic, Exit},
    fs::{self, FsError, Lock},
};

/// What a database file of ours holds: migrations in order; the version is how many were run.
pub struct Schema {
    pub migrations: &'static [&'static str],
}

/// A database file, opened (and created) on first use.
pub struct Database {
    path: PathBuf,
    schema: &'static Schema,
    connection: Mutex<Option<Connection>>,
}

/// Why a database of ours could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite will not read it, or it contradicts itself.
    #[error("the database is damaged: {0}")]
    Damaged(#[source] rusqlite::Error),
    #[error("the database was written by a newer version of this program (schema {found}, this one knows {known})")]
    Newer { found: usize, known: usize },
    #[error("the database does not answer: {0}")]
    Sqlite(#[source] rusqlite::Error),
    #[error(transparent)]
    File(#[from] FsError),
    #[error("another process holds the database for too long")]
    Locked,
    /// A stored word that this program does not know; somebody edited the file.
    #[error("the database holds something unreadable in `{column}`")]
    Unreadable { column: &'static str },
}

impl Diagnostic for DatabaseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "ledger_damaged",
            Self::Newer { .. } => "ledger_newer",
            Self::File(_) | Self::Locked | Self::Sqlite(_) => "ledger_unavailable",
            Self::Unreadable { .. } => "ledger_unreadable",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::Damaged(_) | Self::Unreadable { .. } => channel.person(
                "end every server of this folder and put a backup of ledger.db into the state folder, without the files \
                 ledger.db-wal and ledger.db-shm; the projects in it are still billed, and Stripe shows them",
            ),
            Self::File(_) | Self::Sqlite(_) => {
                channel.person("check that the state folder (.stripe-projects) has free space and is writable")
            }
            Self::Locked => channel.select(
                "try again; if it stays locked, ask the user to end the process that is stuck".to_owned(),
                "try again; if it stays locked, end the process that is stuck".to_owned(),
            ),
            Self::Newer { .. } => channel.person("update this program"),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Failure
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            _ => Self::Sqlite(error),
        }
    }
}

impl Database {
    pub fn new(path: PathBuf, schema: &'static Schema) -> Self {
        Self { path, schema, connection: Mutex::new(None) }
    }

    /// Whether anything was ever written here, so that a look need not create it.
    pub fn exists(&self) -> bool {
        // One that cannot be looked for, in somebody else's folder perhaps, is no proof of none: opening it says why.
        self.path.try_exists().unwrap_or(true)
    }

    /// Whether there is nothing in it: no file, or one that nobody has written to yet.
    pub fn is_blank(&self) -> bool {
        !self.exists() || fs::is_empty(&self.path)
    }

    /// Reads from one consistent state.
    ///
    /// # Errors
    /// What `work` returns, or what SQLite says.
    pub fn read<T, E: From<DatabaseError>>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.transaction(TransactionBehavior::Deferred, &DURABLE, |transaction| work(transaction))
    }

    /// Reads what stays true. A process that dies while a commit of its is on the way to the disk leaves what nobody sees,
    /// until nobody has the database open any more: whoever opens it then finds that commit in the log. A write takes its
    /// place there, so what is read after one is no longer open.
    ///
    /// # Errors
    /// What `work` returns, or what SQLite says.
    pub fn read_durable<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.write(|connection| {
            write_something(connection).map_err(DatabaseError::from)?;
            work(connection)
        })
    }

    /// Writes all of it or nothing; durable on return.
    ///
    /// # Errors
    /// What `work` returns, and then nothing was written; or what SQLite says.
    pub fn write<T, E: From<DatabaseError>>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.transaction(TransactionBehavior::Immediate, &DURABLE, |transaction| work(transaction))
    }

    /// As [`Self::write`], but without waiting for the disk, and not for long for others: the end of this process cannot
    /// take it back, a power cut can until the next synced write.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_unsynced<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction(TransactionBehavior::Immediate, &RELAXED, |transaction| work(transaction))
    }

    fn transaction<T, E: From<DatabaseError>>(
        &self,
        behavior: TransactionBehavior,
        durability: &'static Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic while the lock was held rolled its transaction back; the connection is as good as before.
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &mut *slot {
            Some(connection) => connection,
            empty => empty.insert(open(&self.path, self.schema)?),
        };
        if *durability == DURABLE {
            return committed(connection, behavior, work);
        }
        durability.adopt(connection).map_err(DatabaseError::from)?;
        let outcome = committed(connection, behavior, work);
        if let Err(error) = DURABLE.adopt(connection) {
            *slot = None; // the next one opens it anew, and durable
            return Err(DatabaseError::from(error).into());
        }
        outcome
    }
}

/// What a transaction waits for.
#[derive(Eq, PartialEq)]
struct Durability {
    /// SQLite's word for when a commit returns.
    synchronous: &'static str,
    /// For other processes, before it gives up.
    timeout: Duration,
}

impl Durability {
    fn adopt(&self, connection: &Connection) -> Result<(), rusqlite::Error> {
        connection.busy_timeout(self.timeout)?;
        connection.pragma_update(None, "synchronous", self.synchronous)
    }
}

fn committed<T, E: From<DatabaseError>>(
    connection: &Connection,
    behavior: TransactionBehavior,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = Transaction::new_unchecked(connection, behavior).map_err(DatabaseError::from)?;
    let outcome = work(&transaction)?;
    transaction.commit().map_err(DatabaseError::from)?;
    Ok(outcome)
}

/// Changes a number that means nothing to anybody. To set what is set already would not do: SQLite leaves that out.
fn write_something(connection: &Connection) -> Result<(), rusqlite::Error> {
    let number: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    connection.pragma_update(None, "application_id", number.wrapping_add(1))
}

fn open(path: &Path, schema: &Schema) -> Result<Connection, DatabaseError> {
    fs::create_private_file(path)?;
    let connection = Connection::open(path)?;
    connection.busy_timeout(TIMEOUT)?;
    if version(&connection)? != schema.migrations.len() {
        migrate(&connection, path, schema)?;
    }
    DURABLE.adopt(&connection)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Creation and migration happen under a lock of ours: the switch to WAL is the one step for which SQLite does not
/// wait.
fn migrate(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), DatabaseError> {
    let lock = path.with_extension("lock");
    let _held = Lock::on_file(&lock, TIMEOUT)?.ok_or(DatabaseError::Locked)?;
    let found = version(connection)?; // again, now that nobody else is changing it
    let known = schema.migrations.len();
    if found > known {
        return Err(DatabaseError::Newer { found, known });
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

/// SQLite does not wait here for others who read at this moment, if only to see which version this is.
fn switch_to_wal(connection: &Connection) -> Result<(), DatabaseError> {
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

/// Keeps the database as that version left it, in a file beside it. SQLite copies it, so what stands in the log is in
/// the copy too, and a copy that another process is writing beside is whole.
fn back_up(connection: &Connection, path: &Path, version: usize) -> Result<(), DatabaseError> {
    let copy = path.with_extension(format!("v{version}.db"));
    fs::remove(&copy)?; // of a migration that did not get to its end
    fs::create_private_file(&copy)?;
    let mut into = Connection::open(&copy)?;
    Backup::new(connection, &mut into)?.run_to_completion(PAGES_AT_ONCE, Duration::ZERO, None)?;
    into.close().map_err(|(_, error)| error.into())
}

fn version(connection: &Connection) -> Result<usize, DatabaseError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(version).map_err(|_| DatabaseError::Unreadable { column: "user_version" })
}

/// A commit is on the disk when it returns.
const DURABLE: Durability = Durability { synchronous: "FULL", timeout: TIMEOUT };

/// In WAL mode a commit is then with the operating system, and the order of commits is kept. What is written so is the
/// row of a call whose answer is at hand, and a client does not wait for a minute.
const RELAXED: Durability = Durability { synchronous: "NORMAL", timeout: Duration::from_secs(10) };

/// Nobody else writes while it is copied, so there is no reason to pause.
const PAGES_AT_ONCE: i32 = i32::MAX;

/// More than either database has, so that none is parsed twice: an effect uses more than the 16 that are usual, and a
/// cache that is one too small forgets each just before it is used again.
const STATEMENTS: usize = 128;

/// Others only look.
const PAUSE: Duration = Duration::from_millis(2);

/// How long a call waits for other processes before it gives up.
const TIMEOUT: Duration = Duration::from_secs(30);
