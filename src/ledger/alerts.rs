//! The outbox of alerts: each is raised once, and sent under one id until somebody has it.
//!
//! A sender claims a row before it sends, for as long as it may take, so two processes do not send the same alert at
//! the same time. One that dies between sending and saying so leaves a claim that runs out; then the alert is sent
//! again, under the same id. So a receiver gets it at least once, and can tell a repetition.

use rusqlite::{Connection, Row, params};
use serde_json::json;

pub use crate::alert::Alert;

use super::{
    Event, Ledger, LedgerError, audit,
    projects::IS_LIVE,
    rows::{parsed, time},
};
use crate::{
    clock::Timestamp,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
    project::{Project, ProjectId},
};

/// A project that was seen with this usage, and the thresholds that it has reached by it, lowest first.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'a> {
    pub project: &'a Project,
    pub usage: MicroUsd,
    pub thresholds: &'a [u8],
}

/// What is to become of an alert that is raised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outbox {
    /// Nobody is to be written to.
    Local,
    /// It is to be sent.
    Pending,
}

/// An alert that is ours to send until the lease runs out.
#[derive(Clone, Debug)]
pub struct Claim {
    pub alert: Alert,
    /// Counted from 1, this one included.
    pub attempts: u32,
    pub first_attempt_at: Timestamp,
}

/// What came of sending.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Delivered,
    GivenUp,
    Later(Timestamp),
}

impl Ledger {
    /// Which of these, by their places, have reached a threshold for which no alert was raised yet. One query, however
    /// many they are.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unraised(&self, crossings: &[Crossing<'_>]) -> Result<Vec<usize>, LedgerError> {
        let highest = crossings.iter().map(|crossing| {
            json!([crossing.project.id.as_str(), crossing.project.cap.cents(), crossing.thresholds.last()])
        });
        let asked = json!(highest.collect::<Vec<_>>()).to_string();
        // Whoever raises one has raised all below it, in the same transaction.
        let sql = format!(
            "SELECT asked.key FROM json_each(?1) asked JOIN projects p ON p.id = asked.value ->> 0 \
             WHERE p.{IS_LIVE} AND asked.value ->> 2 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM alerts a \
             WHERE a.project = p.row AND a.cap_cents = asked.value ->> 1 AND a.threshold = asked.value ->> 2)"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let places = statement.query_map([asked], |row| row.get::<_, u32>(0))?;
            Ok(places.map(|place| place.map(|place| place as usize)).collect::<Result<_, _>>()?)
        })
    }

    /// Raises what of these crossings was not raised yet, with an audit row for each, in one transaction. Beside each
    /// are as many ids as it has thresholds.
    ///
    /// # Errors
    /// When the ledger cannot be written, and then nothing was raised.
    pub fn raise(
        &self,
        crossings: &[(Crossing<'_>, Vec<String>)],
        outbox: Outbox,
        event: &Event,
    ) -> Result<Vec<Alert>, LedgerError> {
        self.write(|connection| {
            let mut raised = Vec::new();
            for (crossing, ids) in crossings {
                for (threshold, id) in crossing.thresholds.iter().zip(ids) {
                    raised.extend(raise_one(connection, crossing, *threshold, id, outbox, event)?);
                }
            }
            Ok(raised)
        })
    }

    /// Every alert that was raised after that row, by whichever process.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn alerts_after(&self, row: i64) -> Result<Vec<Alert>, LedgerError> {
        self.read(|connection| {
            let claims = many(connection, "a.row > ?1 ORDER BY a.row", params![row])?;
            Ok(claims.into_iter().map(|claim| claim.alert).collect())
        })
    }

    /// The row of the newest alert that was raised before that moment; 0 if there is none.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest_alert_before(&self, at: Timestamp) -> Result<i64, LedgerError> {
        let sql = "SELECT ifnull(max(row), 0) FROM alerts WHERE created_at < ?1";
        self.read(|connection| {
            Ok(connection.prepare_cached(sql)?.query_row([at.as_millisecond()], |row| row.get(0))?)
        })
    }

    /// Whether an alert is to be sent now and nobody is at it.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn has_due_alert(&self, now: Timestamp) -> Result<bool, LedgerError> {
        let sql = format!("SELECT 1 FROM alerts a WHERE {IS_DUE}");
        self.read(|connection| Ok(connection.prepare_cached(&sql)?.exists([now.as_millisecond()])?))
    }

    /// Takes the alert that has waited longest, so that nobody else sends it before `until`.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn claim_alert(&self, now: Timestamp, until: Timestamp) -> Result<Option<Claim>, LedgerError> {
        let sql = "UPDATE alerts SET attempts = attempts + 1, leased_until = ?2, \
             first_attempt_at = ifnull(first_attempt_at, ?3) WHERE row = ?1";
        let condition = format!("{IS_DUE} ORDER BY a.next_attempt_at, a.row LIMIT 1");
        let now = now.as_millisecond();
        self.write(|connection| {
            let Some(due) = one(connection, &condition, params![now])? else {
                return Ok(None);
            };
            let row = due.alert.row;
            connection.prepare_cached(sql)?.execute(params![row, until.as_millisecond(), now])?;
            one(connection, "a.row = ?1", params![row])
        })
    }

    /// Writes down what came of sending. A claim that ran out and was taken by somebody else changes nothing.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn settle_alert(&self, claim: &Claim, outcome: Outcome) -> Result<(), LedgerError> {
        let sql = "UPDATE alerts SET state = ?3, next_attempt_at = ifnull(?4, next_attempt_at), leased_until = 0 \
             WHERE row = ?1 AND attempts = ?2 AND state = 'pending'";
        let (state, next) = match outcome {
            Outcome::Delivered => ("delivered", None),
            Outcome::GivenUp => ("given_up", None),
            Outcome::Later(at) => ("pending", Some(at.as_millisecond())),
        };
        self.write(|connection| {
            connection.prepare_cached(sql)?.execute(params![claim.alert.row, claim.attempts, state, next])?;
            Ok(())
        })
    }
}

/// `None`: it was raised before, or the project is gone.
fn raise_one(
    connection: &Connection,
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
        "INSERT OR IGNORE INTO alerts (id, project, cap_cents, threshold, usage_micro_usd, created_at, state, \
         attempts, next_attempt_at, leased_until) \
         SELECT ?1, row, ?3, ?4, ?5, ?6, ?7, 0, ?6, 0 FROM projects WHERE id = ?2 AND {IS_LIVE}"
    );
    let project = crossing.project;
    let (cap, used) = (stored(project.cap.cents()), stored(crossing.usage.micro_usd()));
    let values = params![id, project.id.as_str(), cap, threshold, used, event.at.as_millisecond(), state];
    if connection.prepare_cached(&sql)?.execute(values)? == 0 {
        return Ok(None);
    }
    let detail = json!({ "id": id, "threshold_percent": threshold, "cap_cents": cap, "micro_usd": used });
    audit::append(connection, &Event { detail, ..event.clone() }, Some(project))?;
    Ok(one(connection, "a.id = ?1", params![id])?.map(|claim| claim.alert))
}

fn one(connection: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Option<Claim>, LedgerError> {
    Ok(many(connection, condition, values)?.into_iter().next())
}

fn many(connection: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Claim>, LedgerError> {
    let sql = format!(
        "SELECT a.row, a.id, p.id, p.name, p.provider, a.cap_cents, a.threshold, a.usage_micro_usd, a.created_at, \
         a.attempts, a.first_attempt_at FROM alerts a JOIN projects p ON p.row = a.project WHERE {condition}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<Claim, LedgerError> {
    let created_at: i64 = row.get(8)?;
    let alert = Alert {
        row: row.get(0)?,
        id: row.get(1)?,
        project_id: ProjectId::from_stored(row.get(2)?),
        name: parsed("name", ProjectName::parse(&row.get::<_, String>(3)?))?,
        provider: parsed("provider", ProviderKey::parse(&row.get::<_, String>(4)?))?,
        cap: parsed("cap_cents", u64::try_from(row.get::<_, i64>(5)?).ok().and_then(Cents::new).ok_or(()))?,
        threshold: row.get(6)?,
        usage: MicroUsd::new(parsed("usage_micro_usd", u64::try_from(row.get::<_, i64>(7)?))?),
        created_at: time(created_at)?,
    };
    let first_attempt_at = time(row.get::<_, Option<i64>>(10)?.unwrap_or(created_at))?;
    Ok(Claim { alert, attempts: row.get(9)?, first_attempt_at })
}

/// An amount as SQLite keeps it. More than fits is far more than any amount.
fn stored(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// `?1` is now. Nothing is ever put off for longer than four hours, so a time that is further ahead is of a clock that
/// has been put back since, and nobody waits for it.
const IS_DUE: &str = "a.state = 'pending' AND a.next_attempt_at NOT BETWEEN ?1 + 1 AND ?1 + 14400000 \
    AND a.leased_until NOT BETWEEN ?1 + 1 AND ?1 + 14400000";
