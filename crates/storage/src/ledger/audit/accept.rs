//! Records a person's acceptance of an audit gap, for example after restoring a backup.
//!
//! After `ledger.db` was restored from a backup, the anchor file records rows that no longer exist. The row that accepts this
//! includes the file's content, so that an accepted loss can be distinguished from an unnoticed one later.

use serde_json::json;

use super::{
    anchor::{INITIALIZED, NOTES, Recorded, TIMEOUT},
    chain::{self, Event, HEAD_HASH, HEAD_ROW},
    verify::{self, Break},
};
use crate::{
    ledger::{Ledger, LedgerError, scope::ScopedTx},
    store::{Access, StoreError, Tx as _, values},
};

/// The outcome of accepting a break.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acceptance {
    /// The chain verifies again, and lists the accepted break.
    Accepted,
    /// The chain inside the database is broken. That cannot be accepted, and nothing was written.
    Broken(Break),
    /// There was no break.
    Nothing,
}

pub(super) fn accept_break(ledger: &Ledger, event: &Event) -> Result<Acceptance, LedgerError> {
    ledger.check_folder()?;
    let _lock = ledger.anchor.lock(TIMEOUT)?.ok_or(StoreError::Locked)?;
    let recorded = ledger.anchor.read()?;
    // Not `Ledger::write`: a ledger that is gone is what may be accepted here.
    let accepted = ledger.run(Access::Write, |tx| append_acceptance(tx, &recorded, event))??;
    match accepted {
        Err(unaccepted) => Ok(unaccepted),
        Ok((seq, hash)) => {
            ledger.anchor.write(seq, &hash)?;
            ledger.kv().put_note(NOTES, INITIALIZED, "yes")?;
            Ok(Acceptance::Accepted)
        }
    }
}

/// Adds the row, and returns the new head of the chain.
fn append_acceptance(
    tx: &ScopedTx<'_>,
    recorded: &Recorded,
    event: &Event,
) -> Result<Result<(i64, String), Acceptance>, LedgerError> {
    if let Err(broken) = verify::walk(tx)? {
        return Ok(Err(Acceptance::Broken(broken)));
    }
    let Some(broken) = verify::check(tx, recorded)? else {
        return Ok(Err(Acceptance::Nothing));
    };
    let (row, hash) = match recorded {
        Recorded::At { seq, hash } => (Some(*seq), Some(hash)),
        Recorded::Absent | Recorded::Unreadable => (None, None),
    };
    let detail = json!({ "break": broken.to_string(), HEAD_ROW: row, HEAD_HASH: hash });
    chain::append(tx, &Event { detail, ..event.clone() }, None)?;
    if *recorded == Recorded::Absent {
        // So that a crash before the file is written raises no new alarm.
        tx.run("DELETE FROM notes WHERE backend = ?1 AND key = ?2", &values![NOTES, INITIALIZED])?;
    }
    Ok(Ok(chain::head(tx)?))
}
