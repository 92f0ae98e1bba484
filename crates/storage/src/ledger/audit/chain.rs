//! Rows of the audit, and the chain of hashes over them.

use domain::{clock::Timestamp, name::ProjectName, project::Project, secret::hex};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    ledger::{LedgerError, scope::ScopedTx},
    store::{Row, StoreError, Tx, values},
};

/// An event to be recorded. `detail` holds sanitised facts: amounts, keys of the registry, error codes.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: Timestamp,
    /// `mcp`, `cli`, `recovery`, or `alerts`.
    pub channel: &'static str,
    /// The caller, as far as the channel knows it.
    pub actor: String,
    pub action: &'static str,
    pub verdict: Verdict,
    pub detail: Value,
}

/// How far a call had come when its row was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// A call has ended; the detail has its outcome and duration.
    Called,
    Done,
    /// The backend refused, or recovery found that nothing had happened.
    Failed,
    Intended,
    /// A rule refused it before anything was done.
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

/// A finished call.
#[derive(Clone, Debug)]
pub struct Answered {
    pub event: Event,
    pub name: Option<ProjectName>,
    /// The id of the call's project.
    pub project: Option<String>,
    /// How many equal calls without an effect the row stands for; zero for a call with one.
    pub looks: u64,
}

/// One row as it was stored.
#[derive(Clone, Debug)]
pub struct AuditRow {
    pub seq: i64,
    pub at: i64,
    pub channel: String,
    pub actor: String,
    pub action: String,
    pub project: Option<String>,
    pub name: Option<String>,
    pub outcome: String,
    pub detail: String,
    /// The id of the workspace that the row belongs to.
    pub workspace: Option<String>,
    pub hash: String,
}

/// A row that accepts a break of the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedBreak {
    pub seq: i64,
    /// In milliseconds since 1970.
    pub at: i64,
    /// The person who accepted it.
    pub actor: String,
    /// The last row that the given-up anchor recorded, if it could be read.
    pub head_row: Option<i64>,
}

impl AcceptedBreak {
    pub const ACTION: &str = "accept audit break";

    pub(super) fn from_row(row: &AuditRow) -> Option<Self> {
        let accepts = row.action == Self::ACTION && row.outcome == Verdict::Done.as_str();
        accepts.then(|| {
            let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
            let head_row = detail.get(HEAD_ROW).and_then(Value::as_i64);
            Self { seq: row.seq, at: row.at, actor: row.actor.clone(), head_row }
        })
    }
}

/// Adds a row to the chain, in the transaction of the change that it records.
pub fn append(tx: &ScopedTx<'_>, event: &Event, project: Option<&Project>) -> Result<(), LedgerError> {
    let id = project.map(|project| project.id.as_str());
    append_row(tx, event, id, project.map(|project| project.name.as_str()))
}

/// Adds a row about a name that may have no project yet.
pub fn append_named(tx: &ScopedTx<'_>, event: &Event, name: &ProjectName) -> Result<(), LedgerError> {
    append_row(tx, event, None, Some(name.as_str()))
}

/// Appends a row about no project.
pub fn append_unnamed(tx: &ScopedTx<'_>, event: &Event) -> Result<(), LedgerError> {
    append_row(tx, event, None, None)
}

pub(super) fn append_row(
    tx: &ScopedTx<'_>,
    event: &Event,
    project: Option<&str>,
    name: Option<&str>,
) -> Result<(), LedgerError> {
    let (seq, before) = head(tx)?;
    let mut row = AuditRow {
        seq: seq + 1,
        at: event.at.as_millisecond(),
        channel: event.channel.to_owned(),
        actor: event.actor.clone(),
        action: event.action.to_owned(),
        project: project.map(str::to_owned),
        name: name.map(str::to_owned),
        outcome: event.verdict.as_str().to_owned(),
        detail: event.detail.to_string(),
        workspace: tx.for_audit()?.map(str::to_owned),
        hash: String::new(),
    };
    row.hash = hash(&before, &row);
    let values = values![
        row.seq,
        row.at,
        &row.channel,
        &row.actor,
        &row.action,
        project,
        name,
        &row.outcome,
        &row.detail,
        &row.hash,
        row.workspace.as_deref(),
    ];
    tx.run("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", &values)?;
    tx.run("UPDATE audit_head SET seq = ?1, hash = ?2 WHERE one = 1", &values![row.seq, &row.hash])?;
    // The highest time seen: budgets do not go back with the clock.
    tx.run("UPDATE clock SET seen_at = ?1 WHERE one = 1 AND seen_at < ?1", &values![row.at])?;
    Ok(())
}

/// The number and the hash of the last row, as the database records them.
pub(super) fn head(tx: &dyn Tx) -> Result<(i64, String), LedgerError> {
    find_head(tx)?.ok_or_else(|| StoreError::Unavailable("the head of the audit is missing".into()).into())
}

/// The same, or `None` when the record is gone.
pub(super) fn find_head(tx: &dyn Tx) -> Result<Option<(i64, String)>, LedgerError> {
    let rows = tx.rows("SELECT seq, hash FROM audit_head WHERE one = 1", &[])?;
    Ok(rows.first().map(|row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?))).transpose()?)
}

/// Over a JSON array, so that no two different rows have the same bytes.
pub(super) fn hash(before: &str, row: &AuditRow) -> String {
    let mut bytes = json!([
        before,
        row.seq,
        row.at,
        row.channel,
        row.actor,
        row.action,
        row.project,
        row.name,
        row.outcome,
        row.detail
    ]);
    if let (Some(workspace), Some(fields)) = (&row.workspace, bytes.as_array_mut()) {
        fields.push(json!(workspace));
    }
    hex(&Sha256::digest(bytes.to_string()))
}

/// Tells whether a person accepted the loss of that anchor file. Called only on a mismatch, so it may be slow.
pub(super) fn was_given_up(tx: &dyn Tx, seq: i64, hash: &str) -> Result<bool, LedgerError> {
    let sql = "SELECT detail FROM audit WHERE action = ?1 AND outcome = ?2";
    for row in tx.rows(sql, &values![AcceptedBreak::ACTION, Verdict::Done.as_str()])?.iter() {
        let detail: Value = serde_json::from_str(row.get(0)?).unwrap_or_default();
        let word = |key| detail.get(key);
        if word(HEAD_ROW).and_then(Value::as_i64) == Some(seq) && word(HEAD_HASH).and_then(Value::as_str) == Some(hash)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Passes every row to `look`, oldest first, until it returns false.
pub(super) fn each_row(tx: &dyn Tx, mut look: impl FnMut(AuditRow) -> bool) -> Result<(), LedgerError> {
    let sql = "SELECT seq, at, door, actor, action, project, name, outcome, detail, hash, workspace FROM audit \
        WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
    let mut first = i64::MIN;
    loop {
        let page = rows_of(tx, sql, first)?;
        let (full, last) = (page.len() >= PAGE, page.last().map(|row| row.seq));
        for row in page {
            if !look(row) {
                return Ok(());
            }
        }
        match last.and_then(|seq| seq.checked_add(1)) {
            Some(next) if full => first = next,
            _ => return Ok(()),
        }
    }
}

/// At most [`PAGE`] rows up to that one, newest first.
pub(super) fn page_back(tx: &dyn Tx, last: i64) -> Result<Vec<AuditRow>, LedgerError> {
    let sql = "SELECT seq, at, door, actor, action, project, name, outcome, detail, hash, workspace FROM audit \
        WHERE seq <= ?1 ORDER BY seq DESC LIMIT ?2";
    rows_of(tx, sql, last)
}

fn rows_of(tx: &dyn Tx, sql: &str, place: i64) -> Result<Vec<AuditRow>, LedgerError> {
    let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
    tx.rows(sql, &values![place, limit])?.iter().map(|row| read(&row)).collect()
}

fn read(row: &Row<'_>) -> Result<AuditRow, LedgerError> {
    Ok(AuditRow {
        seq: row.get(0)?,
        at: row.get(1)?,
        channel: row.get(2)?,
        actor: row.get(3)?,
        action: row.get(4)?,
        project: row.get(5)?,
        name: row.get(6)?,
        outcome: row.get(7)?,
        detail: row.get(8)?,
        hash: row.get(9)?,
        workspace: row.get(10)?,
    })
}

/// How many rows are read at once.
pub(super) const PAGE: usize = 128;

/// The words of `detail` in a row that accepts a break: what the anchor file recorded.
pub(super) const HEAD_ROW: &str = "head_row";
pub(super) const HEAD_HASH: &str = "head_hash";
