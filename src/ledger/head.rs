//! The head record outside the database: how far the chain had come, in a file of its own beside it.
//!
//! Whoever puts an older `ledger.db` in the place of the newer one has a chain that is whole, and a head record that
//! knows of later rows. The order keeps honest crashes apart from that: rows are made durable first, then the file is
//! replaced, and it only ever moves forward. So after a crash the file is behind, which is fine; ahead of the database,
//! or different from it, it is only when somebody took rows away. Then it is left as it is: it is the evidence.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension as _};

use super::{Ledger, LedgerError, audit};
use crate::{
    fs::{self, Lock, Privacy},
    sqlite::DatabaseError,
};

/// The file and the lock that its writers hold.
pub(super) struct HeadFile {
    path: PathBuf,
    lock: PathBuf,
}

/// What the file says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Recorded {
    Absent,
    At {
        seq: i64,
        hash: String,
    },
    /// There is something, and it is no head record.
    Unreadable,
}

impl HeadFile {
    pub fn beside(database: &Path) -> Self {
        Self { path: database.with_file_name("audit.head"), lock: database.with_file_name("audit.lock") }
    }

    pub fn read(&self) -> Result<Recorded, LedgerError> {
        let Some(bytes) = fs::read(&self.path, LONGEST).map_err(DatabaseError::from)? else {
            return Ok(Recorded::Absent);
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            [VERSION, seq, hash] => match seq.parse() {
                Ok(seq) if seq > 0 && hash.len() == HASH_LENGTH => Recorded::At { seq, hash: hash.to_owned() },
                _ => Recorded::Unreadable,
            },
            _ => Recorded::Unreadable,
        })
    }

    fn write(&self, seq: i64, hash: &str) -> Result<(), DatabaseError> {
        let line = format!("{VERSION} {seq} {hash}\n");
        Ok(fs::replace(&self.path, line.as_bytes(), Privacy::OwnerOnly)?)
    }
}

impl Ledger {
    /// Brings the head record outside the database up to the last row. One process does it at a time; one that finds
    /// another at it leaves it to that one, or to the next call.
    ///
    /// # Errors
    /// When the ledger or the file cannot be written.
    pub fn seal(&self) -> Result<(), LedgerError> {
        let Some(_lock) = Lock::on_file(&self.head.lock, PATIENCE).map_err(DatabaseError::from)? else {
            return Ok(());
        };
        let recorded = self.head.read()?;
        // A synced write, even of what is there already, takes every row before it to the disk.
        let (seq, hash, fits, begun) = self.write::<_, LedgerError>(|connection| {
            let (seq, hash) = audit::head(connection)?;
            connection.prepare_cached("UPDATE audit_head SET seq = seq WHERE one = 1")?.execute([])?;
            let fits = match &recorded {
                Recorded::Absent => true,
                Recorded::At { seq, hash } => row_has(connection, *seq, hash)?,
                Recorded::Unreadable => false,
            };
            Ok((seq, hash, fits, was_begun(connection)?))
        })?;
        let vanished = recorded == Recorded::Absent && begun;
        let current = recorded == Recorded::At { seq, hash: hash.clone() };
        if seq == 0 || !fits || vanished || (current && begun) {
            return Ok(());
        }
        self.head.write(seq, &hash)?;
        // After the file: a crash between the two leaves a file that nobody expects yet, and no false alarm.
        if begun { Ok(()) } else { self.remember(NOTES, BEGUN, "yes") }
    }
}

/// Whether the file was ever written, so that its absence means something.
pub(super) fn was_begun(connection: &Connection) -> Result<bool, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM notes WHERE backend = ?1 AND key = ?2")?;
    Ok(statement.exists([NOTES, BEGUN])?)
}

/// Whether the chain has that row with that hash.
pub(super) fn row_has(connection: &Connection, seq: i64, hash: &str) -> Result<bool, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?;
    let found: Option<String> = statement.query_row([seq], |row| row.get(0)).optional()?;
    Ok(found.as_deref() == Some(hash))
}

const VERSION: &str = "v1";

/// SHA-256 in hex.
const HASH_LENGTH: usize = 64;

const LONGEST: u64 = 256;

/// Notes belong to backends; no backend is called that.
const NOTES: &str = "audit";

const BEGUN: &str = "head file";

/// Another process that seals is done in milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
