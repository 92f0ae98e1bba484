//! The audit: a row for every intent, outcome and refusal, chained by hashes.
//!
//! Row `n` carries SHA-256 over row `n` and the hash of row `n - 1`; the newest hash is also kept in `audit_head`, and
//! in a file beside the database (`head.rs`), so that a removed end shows too. Whoever can write all of them can forge
//! the whole chain: this detects, it does not prevent.

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Ledger, LedgerError};
use crate::{clock::Timestamp, name::ProjectName, project::Project, secret::hex};

/// What is to be written down. `detail` holds sanitised facts: amounts, keys of the registry, error codes.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: Timestamp,
    /// `mcp`, `cli`, `recovery`, or `alerts`.
    pub door: &'static str,
    /// Who asked, as far as the door can tell.
    pub actor: String,
    pub action: &'static str,
    pub verdict: Verdict,
    pub detail: Value,
}

/// How far a call had come when its row was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// A call has been answered; the detail says what came of it and how long it took.
    Called,
    Done,
    /// The backend said no, or recovery found that nothing had happened.
    Failed,
    Intended,
    /// A rule of ours said no, before anything was done.
    Refused,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Called => "called",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Intended => "intended",
            Self::Refused => "refused",
        }
    }
}

/// The row of a call that is over.
#[derive(Clone, Debug)]
pub struct Answered {
    pub event: Event,
    pub name: Option<ProjectName>,
    /// The id of the project that the call was about.
    pub project: Option<String>,
}

/// One row as it was stored.
#[derive(Clone, Debug)]
pub struct AuditRow {
    pub seq: i64,
    pub at: i64,
    pub door: String,
    pub actor: String,
    pub action: String,
    pub project: Option<String>,
    pub name: Option<String>,
    pub outcome: String,
    pub detail: String,
    pub hash: String,
}

impl Ledger {
    /// Writes a row that belongs to no intent: a refusal, or usage.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn note(&self, event: &Event, name: Option<&ProjectName>) -> Result<(), LedgerError> {
        self.write(|connection| chain(connection, event, None, name.map(ProjectName::as_str)))
    }

    /// Writes the rows of calls that are over. They survive the end of this process at once, and a power cut from the
    /// next synced write on: what they tell of has rows of its own that were synced before.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn note_calls(&self, calls: &[Answered]) -> Result<(), LedgerError> {
        self.write_unsynced(|connection| {
            calls.iter().try_for_each(|call| {
                chain(connection, &call.event, call.project.as_deref(), call.name.as_ref().map(ProjectName::as_str))
            })
        })
    }

    /// Every row, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditRow>, LedgerError> {
        let mut rows = Vec::new();
        self.read(|connection| {
            each_row(connection, |row| {
                rows.push(row);
                true
            })
        })?;
        Ok(rows)
    }

    /// The last rows, newest first, as long as they are wanted.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn look_back(&self, wanted: impl FnMut(AuditRow) -> bool) -> Result<(), LedgerError> {
        self.read(|connection| rows_in(connection, "DESC", wanted))
    }
}

/// Adds a row to the chain, inside the transaction of what it tells of.
pub(super) fn append(connection: &Connection, event: &Event, project: Option<&Project>) -> Result<(), LedgerError> {
    let id = project.map(|project| project.id.as_str());
    chain(connection, event, id, project.map(|project| project.name.as_str()))
}

/// The same for what is about a name that no project may have yet.
pub(super) fn append_named(connection: &Connection, event: &Event, name: &ProjectName) -> Result<(), LedgerError> {
    chain(connection, event, None, Some(name.as_str()))
}

fn chain(connection: &Connection, event: &Event, project: Option<&str>, name: Option<&str>) -> Result<(), LedgerError> {
    let (seq, before) = head(connection)?;
    let mut row = AuditRow {
        seq: seq + 1,
        at: event.at.as_millisecond(),
        door: event.door.to_owned(),
        actor: event.actor.clone(),
        action: event.action.to_owned(),
        project: project.map(str::to_owned),
        name: name.map(str::to_owned),
        outcome: event.verdict.as_str().to_owned(),
        detail: event.detail.to_string(),
        hash: String::new(),
    };
    row.hash = hash(&before, &row);
    connection.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?.execute(
        params![
            row.seq,
            row.at,
            row.door,
            row.actor,
            row.action,
            row.project,
            row.name,
            row.outcome,
            row.detail,
            row.hash,
        ],
    )?;
    let sql = "UPDATE audit_head SET seq = ?1, hash = ?2 WHERE one = 1";
    connection.prepare_cached(sql)?.execute(params![row.seq, row.hash])?;
    Ok(())
}

pub(super) fn head(connection: &Connection) -> Result<(i64, String), LedgerError> {
    let mut statement = connection.prepare_cached("SELECT seq, hash FROM audit_head WHERE one = 1")?;
    Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Over a JSON array, so that no two different rows have the same bytes.
pub(super) fn hash(before: &str, row: &AuditRow) -> String {
    let bytes = json!([
        before,
        row.seq,
        row.at,
        row.door,
        row.actor,
        row.action,
        row.project,
        row.name,
        row.outcome,
        row.detail
    ]);
    hex(&Sha256::digest(bytes.to_string()))
}

/// Shows every row, oldest first, until `look` has seen enough.
pub(super) fn each_row(connection: &Connection, look: impl FnMut(AuditRow) -> bool) -> Result<(), LedgerError> {
    rows_in(connection, "ASC", look)
}

fn rows_in(connection: &Connection, order: &str, mut look: impl FnMut(AuditRow) -> bool) -> Result<(), LedgerError> {
    let sql = format!(
        "SELECT seq, at, door, actor, action, project, name, outcome, detail, hash FROM audit ORDER BY seq {order}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let row = AuditRow {
            seq: row.get(0)?,
            at: row.get(1)?,
            door: row.get(2)?,
            actor: row.get(3)?,
            action: row.get(4)?,
            project: row.get(5)?,
            name: row.get(6)?,
            outcome: row.get(7)?,
            detail: row.get(8)?,
            hash: row.get(9)?,
        };
        if !look(row) {
            break;
        }
    }
    Ok(())
}
