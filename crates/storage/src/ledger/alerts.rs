//! The outbox of alerts: each is raised once, and sent under one id until it is delivered.
//!
//! A sender claims a row before it sends, so two processes do not send the same alert at the same time. The claim of a
//! process that dies before it records the delivery expires; then the alert is sent again, under the same id. So a
//! receiver gets it at least once, and can recognize a repetition.

pub use domain::alert::Alert;
use domain::{
    clock::Timestamp,
    money::MicroUsd,
    name::{ProjectName, ProviderKey},
    project::{Project, ProjectId},
};
use serde_json::json;

use super::{
    Event, Ledger, LedgerError,
    audit::chain,
    projects::IS_LIVE,
    rows::{amount, cap, parsed, time},
    scope::ScopedTx,
};
use crate::store::{Row, Tx, Value, values};

/// An observed usage of a project, and the thresholds that it has reached, lowest first.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'a> {
    pub project: &'a Project,
    pub usage: MicroUsd,
    pub thresholds: &'a [u8],
}

/// Whether a raised alert is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outbox {
    /// It is kept and not sent.
    Local,
    /// It waits to be sent.
    Pending,
}

/// An alert that only this process sends until the claim expires.
#[derive(Clone, Debug)]
pub struct Claim {
    pub alert: Alert,
    /// Counted from 1, this one included.
    pub attempts: u32,
    pub first_attempt_at: Timestamp,
}

/// The outcome of sending.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Delivered,
    GivenUp,
    Later(Timestamp),
}

/// The alerts of the ledger.
#[derive(Clone, Copy)]
pub struct Alerts<'a>(pub(super) &'a Ledger);

impl Alerts<'_> {
    /// Returns the indices of the crossings with a threshold for which no alert was raised yet.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unraised(&self, crossings: &[Crossing<'_>]) -> Result<Vec<usize>, LedgerError> {
        // Raising a threshold raises all lower ones in the same transaction, so the highest tells about all.
        let sql = format!(
            "SELECT 1 FROM projects p WHERE p.id = ?1 AND p.{IS_LIVE} AND NOT EXISTS \
             (SELECT 1 FROM alerts a WHERE a.project = p.row AND a.cap_cents = ?2 AND a.threshold = ?3)"
        );
        self.0.read(|tx| {
            let mut unraised = Vec::new();
            for (index, Crossing { project, thresholds, .. }) in crossings.iter().enumerate() {
                if let Some(highest) = thresholds.last() {
                    let values = values![project.id.as_str(), amount(project.cap.cents()), *highest];
                    if !tx.rows(&sql, &values)?.is_empty() {
                        unraised.push(index);
                    }
                }
            }
            Ok(unraised)
        })
    }

    /// Raises the alerts of these crossings that were not raised yet, with an audit row for each, in one transaction.
    /// Each crossing comes with as many ids as it has thresholds.
    ///
    /// # Errors
    /// When the ledger cannot be written, and then nothing was raised.
    pub fn raise(
        &self,
        crossings: &[(Crossing<'_>, Vec<String>)],
        outbox: Outbox,
        event: &Event,
    ) -> Result<Vec<Alert>, LedgerError> {
        self.0.write(|tx| {
            let mut raised = Vec::new();
            for (crossing, ids) in crossings {
                for (threshold, id) in crossing.thresholds.iter().zip(ids) {
                    raised.extend(raise_one(tx, crossing, *threshold, id, outbox, event)?);
                }
            }
            Ok(raised)
        })
    }

    /// Returns every alert that any process raised after that row.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn alerts_after(&self, row: i64) -> Result<Vec<Alert>, LedgerError> {
        self.0.read(|tx| {
            let claims = many(tx, "a.row > ?1 AND p.workspace = ?2 ORDER BY a.row", &values![row, tx.workspace()?])?;
            Ok(claims.into_iter().map(|claim| claim.alert).collect())
        })
    }

    /// Returns the row of the newest alert that was raised before that moment; 0 if there is none.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest_alert_before(&self, at: Timestamp) -> Result<i64, LedgerError> {
        let sql = "SELECT coalesce(max(row), 0) FROM alerts WHERE created_at < ?1";
        self.0.read(|tx| Ok(tx.rows(sql, &values![at.as_millisecond()])?.one()?.get(0)?))
    }

    /// Whether an alert is due that no process is sending.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn has_due_alert(&self, now: Timestamp) -> Result<bool, LedgerError> {
        let sql = format!("SELECT 1 FROM alerts a JOIN projects p ON p.row = a.project WHERE {IS_DUE} LIMIT 1");
        self.0.read(|tx| Ok(!tx.rows(&sql, &values![now.as_millisecond(), tx.workspace()?])?.is_empty()))
    }

    /// Claims the alert that has waited longest, so that no other process sends it before `until`.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn claim_alert(&self, now: Timestamp, until: Timestamp) -> Result<Option<Claim>, LedgerError> {
        let sql = "UPDATE alerts SET attempts = attempts + 1, leased_until = ?2, \
             first_attempt_at = coalesce(first_attempt_at, ?3) WHERE row = ?1";
        let condition = format!("{IS_DUE} ORDER BY a.next_attempt_at, a.row LIMIT 1");
        let now = now.as_millisecond();
        self.0.write(|tx| {
            let Some(due) = one(tx, &condition, &values![now, tx.workspace()?])? else {
                return Ok(None);
            };
            let row = due.alert.row;
            tx.run(sql, &values![row, until.as_millisecond(), now])?;
            one(tx, "a.row = ?1", &values![row])
        })
    }

    /// Records the outcome of sending. Changes nothing if the claim has expired and another process has taken the alert.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn settle_alert(&self, claim: &Claim, outcome: Outcome) -> Result<(), LedgerError> {
        let sql = "UPDATE alerts SET state = ?3, next_attempt_at = coalesce(?4, next_attempt_at), leased_until = 0 \
             WHERE row = ?1 AND attempts = ?2 AND state = 'pending'";
        let (state, next) = match outcome {
            Outcome::Delivered => ("delivered", None),
            Outcome::GivenUp => ("given_up", None),
            Outcome::Later(at) => ("pending", Some(at.as_millisecond())),
        };
        self.0.write(|tx| {
            tx.run(sql, &values![claim.alert.row, claim.attempts, state, next])?;
            Ok(())
        })
    }
}

/// `None`: it was raised before, or the project is gone.
fn raise_one(
    tx: &ScopedTx<'_>,
    crossing: &Crossing<'_>,
    threshold: u8,
    id: &str,
    outbox: Outbox,
    event: &Event,
) -> Result<Option<Alert>, LedgerError> {
    let state = match outbox {
        Outbox::Local => "local",
        Outbox::Pending => "pending",
    };
    let sql = format!(
        "INSERT INTO alerts (id, project, cap_cents, threshold, usage_micro_usd, created_at, state, \
         attempts, next_attempt_at, leased_until) \
         SELECT ?1, row, ?3, ?4, ?5, ?6, ?7, 0, ?6, 0 FROM projects WHERE id = ?2 AND {IS_LIVE} ON CONFLICT DO NOTHING"
    );
    let project = crossing.project;
    let (cap, used) = (amount(project.cap.cents()), amount(crossing.usage.micro_usd()));
    let values = values![id, project.id.as_str(), cap, threshold, used, event.at.as_millisecond(), state];
    if tx.run(&sql, &values)? == 0 {
        return Ok(None);
    }
    let detail = json!({ "id": id, "threshold_percent": threshold, "cap_cents": cap, "micro_usd": used });
    chain::append(tx, &Event { detail, ..event.clone() }, Some(project))?;
    Ok(one(tx, "a.id = ?1", &values![id])?.map(|claim| claim.alert))
}

fn one(tx: &dyn Tx, condition: &str, parameters: &[Value<'_>]) -> Result<Option<Claim>, LedgerError> {
    Ok(many(tx, condition, parameters)?.into_iter().next())
}

fn many(tx: &dyn Tx, condition: &str, parameters: &[Value<'_>]) -> Result<Vec<Claim>, LedgerError> {
    let sql = format!(
        "SELECT a.row, a.id, p.id, p.name, p.provider, a.cap_cents, a.threshold, a.usage_micro_usd, a.created_at, \
         a.attempts, a.first_attempt_at FROM alerts a JOIN projects p ON p.row = a.project WHERE {condition}"
    );
    tx.rows(&sql, parameters)?.iter().map(|row| read(&row)).collect()
}

fn read(row: &Row<'_>) -> Result<Claim, LedgerError> {
    let created_at: i64 = row.get(8)?;
    let alert = Alert {
        row: row.get(0)?,
        id: row.get(1)?,
        project_id: ProjectId::from_stored(row.get(2)?),
        name: parsed("name", ProjectName::parse(row.get(3)?))?,
        provider: parsed("provider", ProviderKey::parse(row.get(4)?))?,
        cap: cap(row.get(5)?)?,
        threshold: row.get(6)?,
        usage: MicroUsd::new(parsed("usage_micro_usd", u64::try_from(row.get::<i64>(7)?))?),
        created_at: time(created_at)?,
    };
    let first_attempt_at = time(row.get::<Option<i64>>(10)?.unwrap_or(created_at))?;
    Ok(Claim { alert, attempts: row.get(9)?, first_attempt_at })
}

/// `?1` is the present, `?2` the workspace: another one may have another receiver. No attempt is ever put off for longer than four hours, so a time further ahead comes from a clock
/// that was set back since, and is ignored.
const IS_DUE: &str = "a.state = 'pending' AND a.next_attempt_at NOT BETWEEN ?1 + 1 AND ?1 + 14400000 \
    AND a.leased_until NOT BETWEEN ?1 + 1 AND ?1 + 14400000 AND p.workspace = ?2";
