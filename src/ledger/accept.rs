//! A break that a human accepts: that a head record was given up stays in the chain for ever.
//!
//! Whoever restores `ledger.db` from a backup has a head record that knows of rows which are gone. The row that accepts
//! it holds that record as it stood, so that what was given up can be told later from what was lost unseen.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::{
    Break, Event, Ledger, LedgerError, Verdict,
    anchor::{self, INITIALIZED, NOTES, Recorded, TIMEOUT},
    audit::{self, AuditRow},
    verify,
};
use crate::{fs::Lock, sqlite::DatabaseError};

/// What became of accepting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acceptance {
    /// From now on the chain is whole, and says what it walked over.
    Accepted,
    /// The chain inside the database does not hold; that is nothing to be accepted, and nothing was written.
    Broken(Break),
    /// There was no break.
    Nothing,
}

/// A row that accepts a break.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedBreak {
    pub seq: i64,
    /// In milliseconds since 1970.
    pub at: i64,
    /// Who accepted it.
    pub actor: String,
    /// How far the head record had come that was given up, if it could be read.
    pub head_row: Option<i64>,
}

impl AcceptedBreak {
    pub const ACTION: &str = "accept audit break";

    pub(super) fn of(row: &AuditRow) -> Option<Self> {
        let accepts = row.action == Self::ACTION && row.outcome == Verdict::Done.as_str();
        let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
        let head_row = detail.get(HEAD_ROW).and_then(Value::as_i64);
        accepts.then(|| Self { seq: row.seq, at: row.at, actor: row.actor.clone(), head_row })
    }
}

impl Ledger {
    /// Accepts that the head record outside the database does not fit the chain, provided that the chain itself is
    /// whole: first a row that says so for ever, then a new head record. A crash between the two leaves a record that
    /// the row has given up, and the next seal replaces it.
    ///
    /// # Errors
    /// When the ledger or the file cannot be written, or another process is sealing it all the time.
    pub fn accept_break(&self, event: &Event) -> Result<Acceptance, LedgerError> {
        let lock = Lock::on_file(&self.head.lock, TIMEOUT).map_err(DatabaseError::from)?;
        let _lock = lock.ok_or(DatabaseError::Locked)?;
        let recorded = self.head.read()?;
        let accepted = self.database.write::<_, LedgerError>(|connection| {
            if let Err(broken) = verify::walk(connection)? {
                return Ok(Err(Acceptance::Broken(broken)));
            }
            let Some(broken) = anchor::check(connection, &recorded)? else {
                return Ok(Err(Acceptance::Nothing));
            };
            let (row, hash) = match &recorded {
                Recorded::At { seq, hash } => (Some(*seq), Some(hash)),
                Recorded::Absent | Recorded::Unreadable => (None, None),
            };
            let detail = json!({ "break": broken.to_string(), HEAD_ROW: row, HEAD_HASH: hash });
            audit::append(connection, &Event { detail, ..event.clone() }, None)?;
            if recorded == Recorded::Absent {
                let sql = "DELETE FROM notes WHERE backend = ?1 AND key = ?2"; // so that a crash here is no new alarm
                connection.prepare_cached(sql)?.execute([NOTES, INITIALIZED])?;
            }
            Ok(Ok(audit::head(connection)?))
        })?;
        match accepted {
            Err(nothing) => Ok(nothing),
            Ok((seq, hash)) => {
                self.head.write(seq, &hash)?;
                self.put_note(NOTES, INITIALIZED, "yes")?;
                Ok(Acceptance::Accepted)
            }
        }
    }
}

/// Whether a human has given that head record up. Asked only of one that does not fit, so it may take its time.
pub(super) fn was_given_up(connection: &Connection, seq: i64, hash: &str) -> Result<bool, LedgerError> {
    let sql = "SELECT 1 FROM audit WHERE action = ?1 AND outcome = ?2 AND detail ->> ?3 = ?4 AND detail ->> ?5 = ?6";
    let mut statement = connection.prepare_cached(sql)?;
    let (action, done) = (AcceptedBreak::ACTION, Verdict::Done.as_str());
    Ok(statement.exists(params![action, done, HEAD_ROW, seq, HEAD_HASH, hash])?)
}

const HEAD_ROW: &str = "head_row";
const HEAD_HASH: &str = "head_hash";
