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

use super::{Break, Ledger, LedgerError, accept, audit};
use crate::{
    fs::{self, Lock, Privacy},
    sqlite::DatabaseError,
};

/// The file and the lock that its writers hold.
pub(super) struct AnchorFile {
    path: PathBuf,
    pub lock: PathBuf,
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

impl AnchorFile {
    pub fn beside(database: &Path) -> Self {
        Self { path: database.with_file_name("audit.head"), lock: database.with_file_name("audit.lock") }
    }

    pub fn exists(&self) -> bool {
        self.path.exists()
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

    pub fn write(&self, seq: i64, hash: &str) -> Result<(), DatabaseError> {
        let line = format!("{VERSION} {seq} {hash}\n");
        Ok(fs::replace(&self.path, line.as_bytes(), Privacy::OwnerOnly)?)
    }
}

impl Ledger {
    /// Removes what a process that died while it sealed left beside the head record; one that is at it is left alone.
    ///
    /// # Errors
    /// When the state folder cannot be used.
    pub fn sweep(&self) -> Result<(), LedgerError> {
        if !fs::temporary(&self.head.path).exists() {
            return Ok(());
        }
        if let Some(_lock) = Lock::on_file(&self.head.lock, Duration::ZERO).map_err(DatabaseError::from)? {
            fs::sweep(&self.head.path).map_err(DatabaseError::from)?;
        }
        Ok(())
    }

    /// Brings the head record outside the database up to the last row. One process does it at a time; one that finds
    /// another at it leaves it to that one, or to the next call. `Some`: the record does not fit the chain, and was left
    /// as it is.
    ///
    /// # Errors
    /// When the ledger or the file cannot be written.
    pub fn seal(&self) -> Result<Option<Break>, LedgerError> {
        let Some(_lock) = Lock::on_file(&self.head.lock, TIMEOUT).map_err(DatabaseError::from)? else {
            return Ok(None);
        };
        let recorded = self.head.read()?;
        let (seq, hash, broken, begun, current) = self.write::<_, LedgerError>(|connection| {
            let (seq, hash) = audit::head(connection)?;
            let current = recorded == Recorded::At { seq, hash: hash.clone() };
            if !current {
                // A synced write takes every row before it to the disk. It counts, because SQLite does not write what
                // is there already, and then flushes nothing.
                connection.prepare_cached(COUNT)?.execute([NOTES, SEALS])?;
            }
            Ok((seq, hash, check(connection, &recorded)?, was_begun(connection)?, current))
        })?;
        if seq == 0 || broken.is_some() || (current && begun) {
            return Ok(broken);
        }
        self.head.write(seq, &hash)?;
        // After the file: a crash between the two leaves a file that nobody expects yet, and no false alarm.
        if !begun {
            self.put_note(NOTES, INITIALIZED, "yes")?;
        }
        Ok(None)
    }
}

/// How the file contradicts the chain, if it does. One that is behind does not, and neither does one that a human has
/// given up.
pub(super) fn check(connection: &Connection, recorded: &Recorded) -> Result<Option<Break>, LedgerError> {
    let (last, _) = audit::head(connection)?;
    Ok(match recorded {
        Recorded::Absent => was_begun(connection)?.then_some(Break::HeadFileMissing),
        Recorded::At { seq, hash } if row_has(connection, *seq, hash)? => None,
        Recorded::At { seq, hash } if accept::was_given_up(connection, *seq, hash)? => None,
        Recorded::At { seq, .. } => Some(Break::HeadFileDisagrees { seq: (*seq).min(last + 1) }),
        Recorded::Unreadable => Some(Break::HeadFileUnreadable),
    })
}

/// Whether the file was ever written, so that its absence means something.
fn was_begun(connection: &Connection) -> Result<bool, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM notes WHERE backend = ?1 AND key = ?2")?;
    Ok(statement.exists([NOTES, INITIALIZED])?)
}

/// Whether the chain has that row with that hash.
fn row_has(connection: &Connection, seq: i64, hash: &str) -> Result<bool, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?;
    let found: Option<String> = statement.query_row([seq], |row| row.get(0)).optional()?;
    Ok(found.as_deref() == Some(hash))
}

const COUNT: &str =
    "INSERT INTO notes VALUES (?1, ?2, '1') ON CONFLICT DO UPDATE SET value = CAST(value AS INTEGER) + 1";

const VERSION: &str = "v1";

/// SHA-256 in hex.
const HASH_LENGTH: usize = 64;

const LONGEST: u64 = 256;

/// Notes belong to backends; no backend is called that.
pub(super) const NOTES: &str = "audit";

pub(super) const INITIALIZED: &str = "head file";

/// How often the file was about to be replaced.
const SEALS: &str = "seals";

/// Another process that seals is done in milliseconds.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
