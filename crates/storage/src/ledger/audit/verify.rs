//! Verifies the chain: every row is unchanged and in its place, and none is missing at the end.

use super::{
    anchor::{INITIALIZED, NOTES, Recorded},
    chain::{self, AcceptedBreak, AuditRow, hash},
};
use crate::{
    ledger::{Ledger, LedgerError},
    store::{Tx, values},
};

/// The result of verifying the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proof {
    Broken(Break),
    Whole {
        rows: i64,
        /// The hash of the last row. Noted elsewhere, it shows later whether the chain still includes that row.
        head: String,
        /// The position of missing rows whose loss a person accepted.
        accepted: Vec<AcceptedBreak>,
    },
}

/// The first break of a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Break {
    /// Or its predecessor is another row than the one before it.
    #[error("row {seq} of the audit was changed")]
    Changed { seq: i64 },
    /// Rows were removed from the end, or an older ledger has replaced this one.
    #[error("row {seq} of the audit does not match `audit.head`, or is missing")]
    HeadFileDisagrees { seq: i64 },
    #[error("`audit.head`, which records the last audit row, is missing")]
    HeadFileMissing,
    #[error("`audit.head`, which records the last audit row, was changed")]
    HeadFileUnreadable,
    #[error("row {seq} of the audit is missing")]
    Missing { seq: i64 },
    /// The head record in the database has another last row.
    #[error("row {seq} of the audit does not match the ledger's own head record")]
    Surplus { seq: i64 },
}

impl Break {
    /// The number of the broken row, if the break is a row.
    pub fn row(self) -> Option<i64> {
        match self {
            Self::Changed { seq } | Self::HeadFileDisagrees { seq } | Self::Missing { seq } | Self::Surplus { seq } => {
                Some(seq)
            }
            Self::HeadFileMissing | Self::HeadFileUnreadable => None,
        }
    }

    /// Whether the chain in the database may still be intact, as it is after a backup was restored.
    pub fn may_be_accepted(self) -> bool {
        match self {
            Self::HeadFileDisagrees { .. } | Self::HeadFileMissing | Self::HeadFileUnreadable => true,
            Self::Changed { .. } | Self::Missing { .. } | Self::Surplus { .. } => false,
        }
    }
}

/// The facts about an intact chain.
pub(super) struct Walked {
    rows: i64,
    head: String,
    accepted: Vec<AcceptedBreak>,
}

pub(super) fn verify(ledger: &Ledger) -> Result<Proof, LedgerError> {
    ledger.check_folder()?;
    // The file first: if another process adds rows meanwhile, the database is ahead, as it may be.
    let recorded = ledger.anchor.read()?;
    if !ledger.exists() || ledger.is_gone() {
        return Ok(match recorded {
            Recorded::Absent => Proof::Whole { rows: 0, head: String::new(), accepted: Vec::new() },
            Recorded::At { .. } => Proof::Broken(Break::HeadFileDisagrees { seq: 1 }),
            Recorded::Unreadable => Proof::Broken(Break::HeadFileUnreadable),
        });
    }
    let proof = ledger.read(|tx| {
        let Walked { rows, head, accepted } = match walk(tx)? {
            Ok(walked) => walked,
            Err(broken) => return Ok(Proof::Broken(broken)),
        };
        let broken = check(tx, &recorded)?;
        Ok(broken.map_or(Proof::Whole { rows, head, accepted }, Proof::Broken))
    })?;
    // The very first anchor may have been written between the two reads; then it exists now.
    if proof == Proof::Broken(Break::HeadFileMissing) && ledger.anchor.read()? != Recorded::Absent {
        return verify(ledger);
    }
    Ok(proof)
}

/// Checks every row up to the last one.
pub(super) fn walk(tx: &dyn Tx) -> Result<Result<Walked, Break>, LedgerError> {
    let Some((last, last_hash)) = chain::find_head(tx)? else {
        return Ok(Err(Break::Surplus { seq: 1 }));
    };
    let (mut seq, mut before, mut broken, mut accepted) = (0, String::new(), None, Vec::new());
    chain::each_row(tx, |row: AuditRow| {
        seq += 1;
        broken = if row.seq != seq {
            Some(Break::Missing { seq })
        } else if row.hash != hash(&before, &row) {
            Some(Break::Changed { seq })
        } else {
            None
        };
        accepted.extend(AcceptedBreak::from_row(&row));
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

/// How the anchor file contradicts the chain, if it does. A file that is behind does not, and neither does one whose
/// rows whose loss a person accepted.
pub(super) fn check(tx: &dyn Tx, recorded: &Recorded) -> Result<Option<Break>, LedgerError> {
    let (last, _) = chain::head(tx)?;
    Ok(match recorded {
        Recorded::Absent => is_initialized(tx)?.then_some(Break::HeadFileMissing),
        Recorded::At { seq, hash } if has_row(tx, *seq, hash)? => None,
        Recorded::At { seq, hash } if chain::was_given_up(tx, *seq, hash)? => None,
        Recorded::At { seq, .. } => Some(Break::HeadFileDisagrees { seq: (*seq).min(last + 1) }),
        Recorded::Unreadable => Some(Break::HeadFileUnreadable),
    })
}

/// Whether the anchor file was ever written.
pub(super) fn is_initialized(tx: &dyn Tx) -> Result<bool, LedgerError> {
    let sql = "SELECT 1 FROM notes WHERE backend = ?1 AND key = ?2";
    Ok(!tx.rows(sql, &values![NOTES, INITIALIZED])?.is_empty())
}

/// Whether the chain has that row with that hash.
fn has_row(tx: &dyn Tx, seq: i64, hash: &str) -> Result<bool, LedgerError> {
    let rows = tx.rows("SELECT hash FROM audit WHERE seq = ?1", &values![seq])?;
    Ok(rows.first().map(|row| row.get::<&str>(0)).transpose()? == Some(hash))
}
