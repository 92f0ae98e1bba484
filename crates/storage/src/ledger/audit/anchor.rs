//! The anchor: a file outside the database that records the end of the chain.
//!
//! If an older `ledger.db` replaces the newer one, its chain is intact, but the anchor records later rows. The order of
//! writes tells that from a crash: rows are made durable first, then the file is replaced, and it only moves forward. So
//! after a crash the file is behind, which is fine. It is ahead of the database, or different, only if rows were removed.
//! Then it stays as it is, as evidence.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use files::fs::{self, Lock, Privacy};

use crate::{ledger::LedgerError, store::StoreError};

/// The file, and the lock file that its writers hold.
#[derive(Clone)]
pub struct AnchorFile {
    path: PathBuf,
    lock: PathBuf,
}

/// The content of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Recorded {
    Absent,
    At {
        seq: i64,
        hash: String,
    },
    /// The file holds something else.
    Unreadable,
}

impl AnchorFile {
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("audit.head"), lock: folder.join("audit.lock") }
    }

    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    pub(super) fn read(&self) -> Result<Recorded, LedgerError> {
        let Some(bytes) = fs::read(&self.path, LONGEST).map_err(StoreError::from)? else {
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

    pub(super) fn write(&self, seq: i64, hash: &str) -> Result<(), LedgerError> {
        let line = format!("{VERSION} {seq} {hash}\n");
        Ok(fs::replace(&self.path, line.as_bytes(), Privacy::OwnerOnly).map_err(StoreError::from)?)
    }

    /// Locks the file for a writer; `None` when another process holds the lock until the timeout.
    pub(super) fn lock(&self, timeout: Duration) -> Result<Option<Lock>, LedgerError> {
        Ok(Lock::on_file(&self.lock, timeout).map_err(StoreError::from)?)
    }

    /// Removes the temporary file of a writer that died; leaves that of a running one alone.
    pub(super) fn sweep(&self) -> Result<(), LedgerError> {
        if !fs::temporary(&self.path).exists() {
            return Ok(());
        }
        if let Some(_lock) = self.lock(Duration::ZERO)? {
            fs::sweep(&self.path).map_err(StoreError::from)?;
        }
        Ok(())
    }
}

const VERSION: &str = "v1";

/// SHA-256 in hex.
const HASH_LENGTH: usize = 64;

const LONGEST: u64 = 256;

/// The namespace of the audit among the notes; no backend has this name.
pub(super) const NOTES: &str = "audit";

/// Set once the file was written, so that its absence then means something.
pub(super) const INITIALIZED: &str = "head file";

/// Another process that seals takes milliseconds.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
