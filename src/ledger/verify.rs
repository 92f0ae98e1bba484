//! The proof of the audit chain: every row is what was written, in its place, and none is missing at the end.

use rusqlite::{Connection, Error::QueryReturnedNoRows};

use super::{
    AcceptedBreak, AuditRow, Ledger, LedgerError,
    anchor::{self, Recorded},
    audit::{self, hash},
};
use crate::sqlite::DatabaseError;

/// What the walk along the chain found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proof {
    Broken(Break),
    Whole {
        rows: i64,
        /// Of the last row: whoever notes it elsewhere can tell later whether the chain still leads through it.
        head: String,
        /// Where rows are missing that a human has given up.
        accepted: Vec<AcceptedBreak>,
    },
}

/// Where a chain is broken first, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Break {
    /// Or it follows on another row than the one before it.
    #[error("row {seq} of the audit is not what was written")]
    Changed { seq: i64 },
    /// Rows were taken from the end, or an older ledger was put in the place of this one.
    #[error("row {seq} of the audit is not the one that `audit.head` knows, or is missing")]
    HeadFileDisagrees { seq: i64 },
    #[error("`audit.head`, which knows how far the audit had come, is missing")]
    HeadFileMissing,
    #[error("`audit.head`, which knows how far the audit had come, is not what was written")]
    HeadFileUnreadable,
    #[error("row {seq} of the audit is missing")]
    Missing { seq: i64 },
    /// The head record in the database has another last row.
    #[error("row {seq} of the audit is not the one that the ledger's own head record knows")]
    Surplus { seq: i64 },
}

impl Break {
    /// The number of the row that is not as it should be, if it is a row.
    pub fn row(self) -> Option<i64> {
        match self {
            Self::Changed { seq } | Self::HeadFileDisagrees { seq } | Self::Missing { seq } | Self::Surplus { seq } => {
                Some(seq)
            }
            Self::HeadFileMissing | Self::HeadFileUnreadable => None,
        }
    }

    /// Whether the chain in the database may be whole all the same, as it is after a backup was put in its place.
    pub fn may_be_accepted(self) -> bool {
        match self {
            Self::HeadFileDisagrees { .. } | Self::HeadFileMissing | Self::HeadFileUnreadable => true,
            Self::Changed { .. } | Self::Missing { .. } | Self::Surplus { .. } => false,
        }
    }
}

/// What a walk along a whole chain has come by.
pub(super) struct Walked {
    rows: i64,
    head: String,
    accepted: Vec<AcceptedBreak>,
}

impl Ledger {
    /// Walks the chain from its first row to what the two head records say of its end.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn verify(&self) -> Result<Proof, LedgerError> {
        // The file first: another process may add rows meanwhile, and then the database is ahead, as it may be.
        let recorded = self.head.read()?;
        if !self.exists() || self.is_gone() {
            return Ok(match recorded {
                Recorded::Absent => Proof::Whole { rows: 0, head: String::new(), accepted: Vec::new() },
                Recorded::At { .. } => Proof::Broken(Break::HeadFileDisagrees { seq: 1 }),
                Recorded::Unreadable => Proof::Broken(Break::HeadFileUnreadable),
            });
        }
        let proof = self.read(|connection| {
            let Walked { rows, head, accepted } = match walk(connection)? {
                Ok(walked) => walked,
                Err(broken) => return Ok(Proof::Broken(broken)),
            };
            let broken = anchor::check(connection, &recorded)?;
            Ok(broken.map_or(Proof::Whole { rows, head, accepted }, Proof::Broken))
        })?;
        // The very first record may have been written between the two looks; then there is one now.
        if proof == Proof::Broken(Break::HeadFileMissing) && self.head.read()? != Recorded::Absent {
            return self.verify();
        }
        Ok(proof)
    }

    /// The number of the first row that is not what it was, if any.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn first_broken_row(&self) -> Result<Option<i64>, LedgerError> {
        Ok(match self.verify()? {
            Proof::Broken(broken) => Some(broken.row().unwrap_or_default()),
            Proof::Whole { .. } => None,
        })
    }
}

/// Up to the last row, if every row is in order.
pub(super) fn walk(connection: &Connection) -> Result<Result<Walked, Break>, LedgerError> {
    let (last, last_hash) = match audit::head(connection) {
        Err(LedgerError::Database(DatabaseError::Sqlite(QueryReturnedNoRows))) => {
            return Ok(Err(Break::Surplus { seq: 1 }));
        }
        head => head?,
    };
    let (mut seq, mut before, mut broken, mut accepted) = (0, String::new(), None, Vec::new());
    audit::each_row(connection, |row: AuditRow| {
        seq += 1;
        broken = if row.seq != seq {
            Some(Break::Missing { seq })
        } else if row.hash != hash(&before, &row) {
            Some(Break::Changed { seq })
        } else {
            None
        };
        accepted.extend(AcceptedBreak::of(&row));
        before = row.hash;
        broken.is_none()
    })?;
    Ok(match broken {
        Some(broken) => Err(broken),
        None if seq < last => Err(Break::Missing { seq: seq + 1 }),
        None if seq > last => Err(Break::Surplus { seq: last + 1 }),
        None if before != last_hash => Err(Break::Surplus { seq: seq + 1 }),
        None => Ok(Walked { rows: seq, head: before, accepted }),
    })
}
