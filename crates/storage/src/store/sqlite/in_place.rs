//! Reads a database file without creating, migrating or waiting for anything, as a kill has to.
//!
//! SQLite needs a shared-memory file to read a write-ahead log together with other processes. On a full disk it cannot
//! be created, so a log that no process uses is indexed in the memory of this one, and a file without a log is read as
//! it is.

use std::{fmt::Write as _, path::Path, time::Duration};

use files::fs;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::store::{Ending, StoreError};

/// Runs `work` on the last committed state, and again in another way where one fails.
///
/// # Errors
/// Why it could not be opened at all. The error of `work` is its own.
pub(super) fn read(path: &Path, mut work: impl FnMut(&Connection) -> Ending) -> Result<(), StoreError> {
    let (mut first, mut has_run) = (None, false);
    for way in ways(path) {
        match way.open(path) {
            Ok(connection) if work(&connection) == Ending::Commit => return Ok(()),
            Ok(_) => has_run = true, // its caller has the error
            Err(error) => first = first.or(Some(error)),
        }
    }
    if has_run { Ok(()) } else { Err(first.unwrap_or(StoreError::Locked)) }
}

/// How a database file is opened for reading.
#[derive(Clone, Copy)]
enum Way {
    /// Together with processes that use it.
    Shared,
    /// Alone, with the index of the log in memory.
    Alone,
    /// Without locks and without a log.
    AsItIs,
}

/// The ways to try, the most exact one first.
fn ways(path: &Path) -> Vec<Way> {
    let has = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        !matches!(fs::length(Path::new(&name)), None | Some(0))
    };
    let mut ways = Vec::new();
    if has("-shm") || has("-journal") {
        ways.push(Way::Shared);
    }
    if !ways.is_empty() || has("-wal") {
        ways.extend([Way::Alone, Way::Shared]);
    }
    ways.push(Way::AsItIs);
    ways
}

impl Way {
    fn open(self, path: &Path) -> Result<Connection, StoreError> {
        let existing = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self {
            Self::Shared | Self::Alone => {
                Connection::open_with_flags(path, existing | OpenFlags::SQLITE_OPEN_READ_WRITE)?
            }
            Self::AsItIs => Connection::open_with_flags(
                immutable(path),
                existing | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
            )?,
        };
        connection.busy_timeout(TIMEOUT)?;
        // Closing it is no reason to write, and the ledger has neither triggers nor views.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        connection.pragma_update(None, "query_only", true)?;
        if matches!(self, Self::Alone) {
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        }
        Ok(connection)
    }
}

/// Returns the URI of a file that no process changes. Characters with a meaning in it are escaped.
fn immutable(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(*byte)),
            _ => {
                let _ = write!(uri, "%{byte:02x}"); // a `String` takes everything
            }
        }
    }
    uri + "?immutable=1"
}

/// Short, because it waits for a writer only where there is no write-ahead log.
const TIMEOUT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let mut found = Vec::new();
        read(path, |connection| {
            let Ok(mut statement) = connection.prepare("SELECT name FROM t ORDER BY name") else {
                return Ending::RollBack;
            };
            found = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            Ending::Commit
        })
        .unwrap();
        found
    }

    fn files(folder: &TempDir) -> Vec<String> {
        let name = |path: std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        fs::files_in(folder.path()).unwrap().into_iter().map(name).collect()
    }

    fn database(folder: &TempDir) -> (std::path::PathBuf, Connection) {
        let path = folder.path().join("a #?%.db");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("CREATE TABLE t (name TEXT); INSERT INTO t VALUES ('a')").unwrap();
        (path, writer)
    }

    #[test]
    fn closed_database_is_read_and_nothing_is_created() {
        let folder = TempDir::new().unwrap();
        let (path, writer) = database(&folder);
        drop(writer);
        assert_eq!(names(&path), ["a"]);
        assert_eq!(files(&folder), ["a #?%.db"]);
    }

    #[test]
    fn held_write_lock_does_not_delay_the_read() {
        let folder = TempDir::new().unwrap();
        let (path, writer) = database(&folder);
        writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES ('b')").unwrap();
        assert_eq!(names(&path), ["a"], "the last committed state");
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(names(&path), ["a", "b"]);
    }

    /// As after a process that was killed: the log has what the database file does not.
    #[test]
    fn log_without_shared_memory_is_read_without_creating_it() {
        let folder = TempDir::new().unwrap();
        let (path, writer) = database(&folder);
        let copy = TempDir::new().unwrap();
        for ending in ["", "-wal"] {
            let name = format!("a #?%.db{ending}");
            std::fs::copy(folder.path().join(&name), copy.path().join(&name)).unwrap();
        }
        drop(writer);
        assert_eq!(names(&copy.path().join(path.file_name().unwrap())), ["a"]);
        assert_eq!(files(&copy), ["a #?%.db", "a #?%.db-wal"]);
    }
}
