//! How a database file is opened: only if it is ours, with only our tables, and in the journal mode that its file system
//! supports.
//!
//! WAL needs memory that all processes share. Where other hosts may use the folder too, or where SQLite cannot share
//! memory, the file has a rollback journal instead, and a lease beside it keeps other hosts away.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use domain::visible::visible;
use files::fs::{self, FileSystem, Host, HostLease, Lock};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, backup::Backup, config::DbConfig, ffi,
};

use super::{Schema, database::TIMEOUT};
use crate::store::StoreError;

/// An open database file.
pub(super) struct OpenDatabase {
    pub connection: Connection,
    /// Held where the file has a rollback journal.
    lease: Option<HostLease>,
}

impl OpenDatabase {
    /// Opens the file, and creates or migrates its tables.
    pub fn open(path: &Path, schema: &Schema) -> Result<Self, StoreError> {
        let path = &fs::in_real_folder(path);
        let opened = match with_wal(path, schema)? {
            Some(connection) => Self { connection, lease: None },
            None => Self::with_rollback_journal(path, schema)?,
        };
        opened.connection.pragma_update(None, "foreign_keys", true)?;
        opened.connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(opened)
    }

    /// Whether the file has a rollback journal, which a power loss may damage unless each commit is synced.
    pub fn has_rollback_journal(&self) -> bool {
        self.lease.is_some()
    }

    /// Checks that no other host uses the file. Call it before each transaction.
    ///
    /// # Errors
    /// [`StoreError::OnAnotherHost`]
    pub fn ensure_only_host(&self) -> Result<(), StoreError> {
        match self.lease.as_ref().map(HostLease::keep).transpose()?.flatten() {
            None => Ok(()),
            Some(holder) => Err(StoreError::OnAnotherHost { host: holder.host.name, process: holder.process }),
        }
    }

    fn with_rollback_journal(path: &Path, schema: &Schema) -> Result<Self, StoreError> {
        let lease = lease_file(path);
        ensure_ours(&lease)?;
        let lease = HostLease::open(&lease, Host::current())?;
        let opened = Self { connection: connect(path)?, lease: Some(lease) };
        opened.ensure_only_host()?;
        let _held = migration_lock(path)?;
        switch_to_rollback_journal(&opened.connection)?;
        migrate(&opened.connection, path, schema)?;
        Ok(opened)
    }
}

/// Opens the file in WAL mode; `None` where it cannot be in that mode.
fn with_wal(path: &Path, schema: &Schema) -> Result<Option<Connection>, StoreError> {
    let folder = path.parent().unwrap_or(path);
    if FileSystem::of(folder)? == FileSystem::Network || lease_file(path).is_file() {
        return Ok(None);
    }
    let connection = connect(path)?;
    let version = match schema.version_of(&connection) {
        Err(error) if lacks_shared_memory(&error, path)? => return Ok(None),
        version => version?,
    };
    if version < schema.migrations().len() || journal_mode(&connection)? != WAL {
        let _held = migration_lock(path)?;
        if !fs::can_resize(&shared_memory_probe(path))? || !switch_to_wal(&connection)? {
            return Ok(None);
        }
        migrate(&connection, path, schema)?;
    }
    Ok(Some(connection))
}

/// Opens a connection that runs no code of the file: no trigger, no view, no function that its schema calls.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    fs::create_private_file(path)?;
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm"), beside(path, "-journal")] {
        ensure_ours(&file)?;
    }
    // SQLite itself follows no link to the files beside it.
    let connection = Connection::open_with_flags(path, OpenFlags::default() | OpenFlags::SQLITE_OPEN_NOFOLLOW)?;
    connection.busy_timeout(TIMEOUT)?;
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    ] {
        connection.set_db_config(setting, value)?;
    }
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

fn ensure_ours(file: &Path) -> Result<(), StoreError> {
    match fs::foreign(file)? {
        None => Ok(()),
        Some(why) => Err(StoreError::ForeignFile {
            name: visible(file.file_name().unwrap_or_default()).to_string(),
            why: why.as_str(),
        }),
    }
}

/// Whether an error means that SQLite cannot share memory through files of that folder.
fn lacks_shared_memory(error: &StoreError, path: &Path) -> Result<bool, StoreError> {
    let StoreError::Unavailable(cause) = error else { return Ok(false) };
    let code = match cause.downcast_ref::<rusqlite::Error>() {
        Some(rusqlite::Error::SqliteFailure(failure, _)) => failure.extended_code,
        _ => return Ok(false),
    };
    match code {
        ffi::SQLITE_IOERR_SHMMAP => Ok(true),
        // A full disk fails in the same way, and changes nothing about the file system.
        ffi::SQLITE_IOERR_SHMLOCK | ffi::SQLITE_IOERR_SHMOPEN | ffi::SQLITE_IOERR_SHMSIZE => {
            Ok(!fs::can_resize(&shared_memory_probe(path))?)
        }
        _ => Ok(false),
    }
}

/// Locks a file, because SQLite does not wait when it switches the journal mode.
fn migration_lock(path: &Path) -> Result<Lock, StoreError> {
    Lock::on_file(&path.with_extension("lock"), TIMEOUT)?.ok_or(StoreError::Locked)
}

/// Creates or migrates the tables, if no other process was faster. The caller holds the lock.
fn migrate(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), StoreError> {
    let (found, known) = (schema.version_of(connection)?, schema.migrations().len());
    if found == known {
        return Ok(());
    }
    if found > 0 {
        back_up(connection, path, found)?;
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for migration in schema.migrations().iter().skip(found) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", i64::try_from(known).unwrap_or(i64::MAX))?;
    Ok(transaction.commit()?)
}

/// Retries for as long as other processes read, if only the version; SQLite itself does not wait here. Returns whether
/// the file is in WAL mode now.
fn switch_to_wal(connection: &Connection) -> Result<bool, StoreError> {
    retry_while_busy(|| set_journal_mode(connection, WAL))
}

/// Ends WAL mode too. Without the exclusive mode, SQLite would need shared memory to leave it.
fn switch_to_rollback_journal(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let switched = retry_while_busy(|| set_journal_mode(connection, TRUNCATE));
    connection.pragma_update(None, "locking_mode", "NORMAL")?; // the next read releases the lock
    if switched? { Ok(()) } else { Err(StoreError::Unavailable("the file system supports no rollback journal".into())) }
}

fn retry_while_busy<T>(mut attempt: impl FnMut() -> Result<T, rusqlite::Error>) -> Result<T, StoreError> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match attempt() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                thread::sleep(PAUSE);
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Returns whether SQLite has switched: where it cannot, it keeps the old mode without an error.
fn set_journal_mode(connection: &Connection, mode: &str) -> Result<bool, rusqlite::Error> {
    let present: String = connection.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))?;
    Ok(present == mode)
}

fn journal_mode(connection: &Connection) -> Result<String, StoreError> {
    Ok(connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?)
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

/// Its presence means that the file has a rollback journal. Removing it makes the next opening try WAL again.
fn lease_file(path: &Path) -> PathBuf {
    path.with_extension("host")
}

/// Ends like the file that SQLite shares memory through, for what depends on names.
fn shared_memory_probe(path: &Path) -> PathBuf {
    path.with_extension("probe-shm")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

const TRUNCATE: &str = "truncate";
const WAL: &str = "wal";

/// Copies all pages at once: no other process writes meanwhile, so there is no reason to pause.
const PAGES_AT_ONCE: i32 = i32::MAX;

/// More statements than either database has, so that none is parsed twice. The usual 16 are too few for one operation,
/// and a cache that is one too small evicts each statement just before its next use.
const STATEMENTS: usize = 128;

/// Between two attempts; other processes only read.
const PAUSE: Duration = Duration::from_millis(2);
