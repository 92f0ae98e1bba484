//! The rows of commitments, written in the transactions that change a project.

use domain::{
    budget::{CURRENCY, CapPeriod, Month, Terms},
    clock::{SignedDuration, Timestamp},
    money::{Cents, MicroUsd},
    project::{Project, Status},
};

use super::{Event, Intent, LedgerError, Operation, Verdict, rows};
use crate::store::{Tx, values};

/// Returns the time by which budgets count: the clock's, or the highest time seen if that is later.
///
/// # Errors
/// [`LedgerError::ClockBehind`] when the clock is more than a day behind.
pub(super) fn purchase_time(tx: &dyn Tx, now: Timestamp) -> Result<Timestamp, LedgerError> {
    let seen = highest_seen(tx)?;
    if seen.duration_since(now) > SignedDuration::from_hours(24) {
        return Err(LedgerError::ClockBehind { now, seen });
    }
    Ok(seen.max(now))
}

/// As [`purchase_time`], for what is not a purchase: the clock may be wrong.
pub(super) fn budget_time(tx: &dyn Tx, now: Timestamp) -> Result<Timestamp, LedgerError> {
    Ok(highest_seen(tx)?.max(now))
}

pub(super) fn highest_seen(tx: &dyn Tx) -> Result<Timestamp, LedgerError> {
    rows::time(tx.rows("SELECT seen_at FROM clock WHERE one = 1", &[])?.one()?.get(0)?)
}

/// Commits a new project to the month of its grant.
pub(super) fn grant(tx: &dyn Tx, row: i64, project: &Project, at: Timestamp) -> Result<(), LedgerError> {
    let now = budget_time(tx, at)?;
    let month = Month::of(now);
    insert(tx, row, project, &Commitment::new(month, project.terms().commitment(month, now)))
}

/// Writes the rows of the months since the last one, which were computed until now.
pub(super) fn renew(tx: &dyn Tx, row: i64, project: &Project, now: Timestamp) -> Result<(), LedgerError> {
    let (current, granted) = (Month::of(now), Month::of(project.created_at));
    let last = tx.rows("SELECT max(month) FROM commitments WHERE project = ?1", &values![row])?;
    let last = last.one()?.get::<Option<String>>(0)?.map(|text| month(&text)).transpose()?;
    let terms = project.terms();
    let write = |month: Month| {
        let cents = terms.commitment(month, now);
        let renewed = if month > granted { cents } else { Cents::ZERO };
        insert(tx, row, project, &Commitment { month, cents, renewed, used_before: terms.used_before, used: None })
    };
    let mut next = last.map_or(granted.min(current), Month::next);
    while next < current {
        write(next)?;
        next = next.next();
    }
    // A clock that was ahead has written later months only.
    if stored(tx, row, current)?.is_none() { write(current) } else { Ok(()) }
}

/// Records the usage that the backend reports for the cap's period.
pub(super) fn note_usage(
    tx: &dyn Tx,
    row: i64,
    project: &mut Project,
    usage: MicroUsd,
    now: Timestamp,
) -> Result<(), LedgerError> {
    renew(tx, row, project, now)?;
    let current = Month::of(now).to_string();
    let usage_of_all = rows::amount(usage.micro_usd());
    let sql = "UPDATE commitments SET used = CASE WHEN used_before < ?3 THEN ?3 - used_before ELSE 0 END \
        WHERE project = ?1 AND month = ?2";
    tx.run(sql, &values![row, &current, usage_of_all])?;
    tx.run("UPDATE projects SET usage_micro_usd = ?2 WHERE row = ?1", &values![row, usage_of_all])?;
    project.last_usage = Some(usage);
    Ok(())
}

/// Settles the commitment of an operation that ends with this status.
pub(super) fn settle(
    tx: &dyn Tx,
    intent: &Intent,
    project: &mut Project,
    status: Status,
    event: &Event,
) -> Result<(), LedgerError> {
    let row = intent.row;
    let now = budget_time(tx, event.at)?;
    match intent.operation {
        Operation::Cap if event.verdict == Verdict::Done => lower(tx, intent, project, now),
        Operation::Cap => revert(tx, intent, project),
        _ if status.is_live() => Ok(()),
        _ if status == Status::Failed && project.resource.is_none() && !intent.may_exist => {
            // It never became active: nothing of it was used.
            let sql = "UPDATE commitments SET cents = 0, renewed_cents = 0, used = 0 WHERE project = ?1";
            tx.run(sql, &values![row])?;
            Ok(())
        }
        _ => {
            if let Some(usage) = intent.usage {
                note_usage(tx, row, project, usage, now)?;
            } else {
                renew(tx, row, project, now)?;
            }
            let month = Month::of(now);
            let Some(committed) = stored(tx, row, month)? else { return Ok(()) };
            let terms = Terms { used_before: committed.used_before, ..project.terms() };
            save(tx, row, month, terms.after_end(committed.cents, month, now, intent.usage))
        }
    }
}

/// Releases what a lowered cap certainly leaves unused, now that the backend enforces it.
fn lower(tx: &dyn Tx, intent: &Intent, project: &mut Project, now: Timestamp) -> Result<(), LedgerError> {
    let Some(usage) = intent.usage else { return Ok(()) };
    note_usage(tx, intent.row, project, usage, now)?;
    let month = Month::of(now);
    let Some(committed) = stored(tx, intent.row, month)? else { return Ok(()) };
    if project.cap_period == CapPeriod::Day {
        return Ok(()); // earlier days may have used the earlier cap
    }
    let most = project.cap.micro_usd().max(usage).saturating_sub(committed.used_before).ceil_cents();
    save(tx, intent.row, month, committed.cents.min(most))
}

/// Undoes a change that the backend has refused.
fn revert(tx: &dyn Tx, intent: &Intent, project: &mut Project) -> Result<(), LedgerError> {
    let sql = "SELECT was_cap_cents, was_committed_cents, opened_at FROM journal WHERE entry = ?1";
    let found = tx.rows(sql, &values![intent.entry])?;
    let entry = found.one()?;
    let (Some(cap), Some(committed)) = (entry.get::<Option<i64>>(0)?, entry.get::<Option<i64>>(1)?) else {
        return Ok(());
    };
    project.cap = rows::cap(cap)?;
    tx.run("UPDATE projects SET cap_cents = ?2 WHERE row = ?1", &values![intent.row, cap])?;
    let opened = Month::of(rows::time(entry.get(2)?)?);
    save(tx, intent.row, opened, rows::sum_of_caps(committed)?)
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commitment {
    pub month: Month,
    pub cents: Cents,
    /// The part of it that comes from a grant of an earlier month.
    pub renewed: Cents,
    pub used_before: MicroUsd,
    pub used: Option<MicroUsd>,
}

impl Commitment {
    fn new(month: Month, cents: Cents) -> Self {
        Self { month, cents, renewed: Cents::ZERO, used_before: MicroUsd::ZERO, used: None }
    }
}

/// Returns what a live project commits to a month: the row's amount, or more if it lives longer than the row says.
pub(super) fn live(terms: &Terms, stored: Option<Cents>, month: Month, now: Timestamp) -> Cents {
    stored.unwrap_or_default().max(terms.commitment(month, now))
}

pub(super) fn stored(tx: &dyn Tx, row: i64, month: Month) -> Result<Option<Commitment>, LedgerError> {
    let sql = "SELECT cents, renewed_cents, used_before, used FROM commitments WHERE project = ?1 AND month = ?2";
    let key = month.to_string();
    let found = tx.rows(sql, &values![row, &key])?;
    let read = |row: &crate::store::Row<'_>| {
        Ok::<_, LedgerError>(Commitment {
            month,
            cents: rows::sum_of_caps(row.get(0)?)?,
            renewed: rows::sum_of_caps(row.get(1)?)?,
            used_before: rows::usage(row.get(2)?)?,
            used: row.get::<Option<i64>>(3)?.map(rows::usage).transpose()?,
        })
    };
    found.first().map(|row| read(&row)).transpose()
}

/// Changes the amount of a row.
pub(super) fn save(tx: &dyn Tx, row: i64, month: Month, cents: Cents) -> Result<(), LedgerError> {
    let sql = "UPDATE commitments SET cents = ?3, renewed_cents = CASE WHEN renewed_cents < ?3 THEN renewed_cents ELSE ?3 \
        END WHERE project = ?1 AND month = ?2";
    let month = month.to_string();
    tx.run(sql, &values![row, &month, rows::amount(cents.cents())])?;
    Ok(())
}

/// Parses a stored month.
pub(super) fn month(text: &str) -> Result<Month, LedgerError> {
    rows::parsed("month", Month::parse(text).ok_or(()))
}

fn insert(tx: &dyn Tx, row: i64, project: &Project, commitment: &Commitment) -> Result<(), LedgerError> {
    let sql = "INSERT INTO commitments (project, month, money, currency, cents, renewed_cents, used_before) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let month = commitment.month.to_string();
    let values = values![
        row,
        &month,
        project.money().as_str(),
        CURRENCY,
        rows::amount(commitment.cents.cents()),
        rows::amount(commitment.renewed.cents()),
        rows::amount(commitment.used_before.micro_usd()),
    ];
    tx.run(sql, &values)?;
    Ok(())
}
