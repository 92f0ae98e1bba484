//! Quiet times: after a denial, a provider's requests that need a person are held back in that workspace.

use domain::{
    approval::{Approval, ApprovalId, Subject},
    clock::Timestamp,
};

use crate::{
    ledger::{
        LedgerError,
        rows::{parsed, time},
        scope::ScopedTx,
    },
    store::{Tx, values},
};

/// A quiet time, and the denial that began it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QuietTime {
    pub denied: ApprovalId,
    /// Whether exactly this request was denied.
    pub is_same: bool,
    pub until: Timestamp,
}

/// Returns the longest quiet time that holds for a subject.
pub fn of(tx: &ScopedTx<'_>, subject: &Subject, now: Timestamp) -> Result<Option<QuietTime>, LedgerError> {
    let sql = "SELECT id, quiet_until, terms FROM approvals WHERE workspace = ?1 AND service_provider = ?2 \
        AND decided_at IS NOT NULL AND status = 'denied' AND quiet_until > ?3 AND expires_at > ?3 \
        ORDER BY quiet_until DESC LIMIT 1";
    let rows = tx.rows(sql, &values![tx.workspace()?, subject.service.provider(), now.as_millisecond()])?;
    let Some(row) = rows.iter().next() else { return Ok(None) };
    let terms: &str = row.get(2)?;
    Ok(Some(QuietTime {
        denied: parsed("id", ApprovalId::parse(row.get(0)?))?,
        is_same: terms == subject.digest,
        until: time(row.get(1)?)?,
    }))
}

/// Begins the quiet time of a denial: twice the one before, unless the last decision was a yes or it has not ended yet.
pub fn begin(tx: &dyn Tx, denied: &Approval, now: Timestamp) -> Result<(), LedgerError> {
    let now = now.as_millisecond();
    let sql = "SELECT quiet_ms, quiet_until FROM approvals \
        WHERE workspace = (SELECT workspace FROM approvals WHERE id = ?1) AND service_provider = ?2 \
        AND decided_at IS NOT NULL AND id <> ?1 AND quiet_ms IS NOT NULL ORDER BY decided_at DESC, row DESC LIMIT 1";
    let rows = tx.rows(sql, &values![denied.id.as_str(), denied.subject.service.provider()])?;
    let before: Option<(i64, i64)> = match rows.iter().next() {
        Some(row) => Some((row.get(0)?, row.get::<Option<i64>>(1)?.unwrap_or_default())),
        None => None,
    };
    let quiet = match before {
        None => SHORTEST,
        Some((length, until)) if until > now => length,
        Some((length, _)) => length.saturating_mul(2).min(LONGEST),
    };
    let until = now.saturating_add(quiet);
    let later = "UPDATE approvals SET quiet_ms = ?2, quiet_until = ?3, \
        expires_at = CASE WHEN expires_at > ?3 THEN expires_at ELSE ?3 END WHERE id = ?1";
    tx.run(later, &values![denied.id.as_str(), quiet, until])?;
    Ok(())
}

/// Ends the quiet times of a provider after a yes: the next denial begins with the shortest again.
pub fn end(tx: &dyn Tx, approved: &Approval) -> Result<(), LedgerError> {
    let sql = "UPDATE approvals SET quiet_ms = NULL, quiet_until = NULL \
        WHERE workspace = (SELECT workspace FROM approvals WHERE id = ?1) AND service_provider = ?2 \
        AND decided_at IS NOT NULL AND quiet_ms IS NOT NULL";
    tx.run(sql, &values![approved.id.as_str(), approved.subject.service.provider()])?;
    Ok(())
}

/// Ends every quiet time, and returns how many were not over yet.
pub fn end_all(tx: &dyn Tx, now: Timestamp) -> Result<u64, LedgerError> {
    let count = "SELECT count(*) FROM approvals WHERE status = 'denied' AND quiet_until > ?1 AND expires_at > ?1";
    let running: u32 = tx.rows(count, &values![now.as_millisecond()])?.one()?.get(0)?;
    tx.run("UPDATE approvals SET quiet_ms = NULL, quiet_until = NULL WHERE quiet_ms IS NOT NULL", &[])?;
    Ok(running.into())
}

/// 5 minutes, in milliseconds.
const SHORTEST: i64 = 5 * 60 * 1000;

/// 24 hours, in milliseconds.
const LONGEST: i64 = 24 * 60 * 60 * 1000;
