//! Budgets: the sums of commitments, over all workspaces of the ledger.

use std::collections::BTreeMap;

use domain::{
    budget::{Committed, Month, Terms},
    clock::Timestamp,
    money::{Cents, MicroUsd, MoneyClass},
    name::ProjectName,
    project::{Project, ProjectId},
};

use super::{
    Event, Ledger, LedgerError, ProvisionTx,
    audit::chain,
    commitments::{self, Commitment},
    projects::IS_LIVE,
    rows::{self, COLUMNS, Stored},
};
use crate::store::{Tx, values};

/// The commitments of the ledger.
#[derive(Clone, Copy)]
pub struct Budget<'a>(pub(super) &'a Ledger);

/// What one project commits to a month.
#[derive(Clone, Debug)]
pub struct ProjectCommitment {
    pub project: Project,
    pub committed: Cents,
    /// The part of it that comes from a grant of an earlier month.
    pub renewed: Cents,
    /// The last known usage in the month.
    pub used: Option<MicroUsd>,
    /// The path of its workspace, if that is registered.
    pub workspace: Option<String>,
}

impl Budget<'_> {
    /// Returns the commitments of one class of money to the present month; `provider` is one of Stripe's.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn committed(&self, money: MoneyClass, provider: &str, now: Timestamp) -> Result<Committed, LedgerError> {
        self.0.read(|tx| committed(tx, money, provider, commitments::budget_time(tx, now)?))
    }

    /// Returns the time by which budgets count, for a purchase.
    ///
    /// # Errors
    /// [`LedgerError::ClockBehind`] when the clock is more than a day behind the highest time seen.
    pub fn purchase_time(&self, now: Timestamp) -> Result<Timestamp, LedgerError> {
        self.0.read(|tx| commitments::purchase_time(tx, now))
    }

    /// Returns the present month: that of the clock, or of the highest time seen if that is later.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn month(&self, now: Timestamp) -> Result<Month, LedgerError> {
        self.0.read(|tx| Ok(Month::of(commitments::budget_time(tx, now)?)))
    }

    /// Sets the highest time seen back to the clock's, with its audit row.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn reset_clock(&self, event: &Event) -> Result<(), LedgerError> {
        self.0.write(|tx| {
            tx.run("UPDATE clock SET seen_at = ?1 WHERE one = 1", &values![event.at.as_millisecond()])?;
            chain::append(tx, event, None)
        })
    }

    /// Returns what each project commits to a month, oldest first. Projects that commit nothing to it are left out.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn projects(&self, month: Month, now: Timestamp) -> Result<Vec<ProjectCommitment>, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM projects p WHERE p.row IN (SELECT project FROM commitments WHERE month = ?1) \
             OR p.{IS_LIVE} ORDER BY p.row"
        );
        self.0.read(|tx| {
            let now = commitments::budget_time(tx, now)?;
            let key = month.to_string();
            let found = tx.rows(&sql, &values![&key])?;
            let mut listed = Vec::new();
            for row in found.iter() {
                listed.extend(in_month(tx, rows::read(tx, &row)?, month, now)?);
            }
            Ok(listed)
        })
    }

    /// Returns what a project commits to the present month.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn of_project(&self, id: &ProjectId, now: Timestamp) -> Result<Option<ProjectCommitment>, LedgerError> {
        self.0.read(|tx| {
            let now = commitments::budget_time(tx, now)?;
            match super::projects::one(tx, "p.id = ?1", id.as_str())? {
                Some(stored) => in_month(tx, stored, Month::of(now), now),
                None => Ok(None),
            }
        })
    }

    /// Releases what ended projects of that name leave committed to the present month beyond their known usage. Returns
    /// how much that was; nothing is written where it is nothing.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn release(&self, name: &ProjectName, event: &Event) -> Result<Cents, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM projects p WHERE p.workspace = ?1 AND p.name = ?2 AND NOT (p.{IS_LIVE}) ORDER BY p.row"
        );
        self.0.write(|tx| {
            let now = commitments::budget_time(tx, event.at)?;
            let month = Month::of(now);
            let (found, mut released) = (tx.rows(&sql, &values![tx.workspace()?, name.as_str()])?, Cents::ZERO);
            for row in found.iter() {
                let Stored { row, project } = rows::read(tx, &row)?;
                let Some(kept) = commitments::stored(tx, row, month)? else { continue };
                let used = kept.used.unwrap_or_default().ceil_cents();
                if kept.cents > used {
                    commitments::save(tx, row, month, used)?;
                    chain::append(tx, event, Some(&project))?;
                    released = released.saturating_add(kept.cents.saturating_sub(used));
                }
            }
            Ok(released)
        })
    }

    /// Records the usage that the backend reports for a live project, with an audit row.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn note_usage(&self, name: &ProjectName, usage: MicroUsd, event: &Event) -> Result<(), LedgerError> {
        self.0.write(|tx| {
            let Some(Stored { row, mut project }) = super::projects::named(tx, name)? else { return Ok(()) };
            let now = commitments::budget_time(tx, event.at)?;
            commitments::note_usage(tx, row, &mut project, usage, now)?;
            chain::append(tx, event, Some(&project))
        })
    }
}

impl ProvisionTx<'_> {
    /// Returns the commitments of one class of money to the present month, for a purchase with one of Stripe's providers.
    ///
    /// # Errors
    /// [`LedgerError::ClockBehind`], or when the ledger cannot be read.
    pub fn committed(&self, money: MoneyClass, provider: &str, now: Timestamp) -> Result<Committed, LedgerError> {
        committed(self.0, money, provider, commitments::purchase_time(self.0, now)?)
    }
}

/// Sums the commitments to the month of `now`.
///
/// A row of a later month counts, too: a clock that was ahead has dated it, and nothing is released by setting it right.
fn committed(tx: &dyn Tx, money: MoneyClass, provider: &str, now: Timestamp) -> Result<Committed, LedgerError> {
    let month = Month::of(now);
    let key = month.to_string();
    let rows_of = |sql: &str| -> Result<BTreeMap<i64, (Cents, Cents)>, LedgerError> {
        let found = tx.rows(sql, &values![money.as_str(), &key])?;
        let read = |row: crate::store::Row<'_>| {
            Ok((row.get::<i64>(0)?, (rows::sum_of_caps(row.get(1)?)?, rows::sum_of_caps(row.get(2)?)?)))
        };
        found.iter().map(read).collect()
    };
    let stored = rows_of(
        "SELECT project, max(cents), max(CASE WHEN month = ?2 THEN renewed_cents ELSE 0 END) FROM commitments \
         WHERE money = ?1 AND month >= ?2 GROUP BY project",
    )?;
    let mut sum = Committed::none(month);
    for (cents, renewed) in stored.values() {
        sum.this_month = sum.this_month.saturating_add(*cents);
        sum.renewed = sum.renewed.saturating_add(*renewed);
    }
    let sql = format!(
        "SELECT row, cap_cents, cap_period, created_at, expires_at, usage_micro_usd, service_provider FROM projects \
         WHERE {IS_LIVE} AND money = ?1"
    );
    for row in tx.rows(&sql, &values![money.as_str()])?.iter() {
        let known = stored.get(&row.get::<i64>(0)?).map(|(cents, _)| *cents);
        let period = rows::period(row.get(2)?)?;
        let last_usage = row.get::<Option<i64>>(5)?.map(rows::usage).transpose()?;
        let terms = Terms {
            cap: rows::cap(row.get(1)?)?,
            period,
            granted_at: rows::time(row.get(3)?)?,
            expires_at: row.get::<Option<i64>>(4)?.map(rows::time).transpose()?,
            used_before: period.used_before(last_usage),
        };
        let more = commitments::live(&terms, known, month, now).saturating_sub(known.unwrap_or_default());
        sum.this_month = sum.this_month.saturating_add(more);
        if known.is_none() && Month::of(terms.granted_at) < month {
            sum.renewed = sum.renewed.saturating_add(more);
        }
        sum.projects += 1;
        sum.caps = sum.caps.saturating_add(terms.cap);
        if row.get::<&str>(6)? == provider {
            sum.provider_caps = sum.provider_caps.saturating_add(terms.cap);
        }
        sum.coming = sum.coming.saturating_add(terms.coming(month, now));
    }
    Ok(sum)
}

fn in_month(
    tx: &dyn Tx,
    Stored { row, project }: Stored,
    month: Month,
    now: Timestamp,
) -> Result<Option<ProjectCommitment>, LedgerError> {
    let sql = "SELECT w.path FROM projects p JOIN workspaces w ON w.id = p.workspace WHERE p.row = ?1";
    let workspace = tx.rows(sql, &values![row])?.first().map(|row| row.get(0)).transpose()?;
    let stored = commitments::stored(tx, row, month)?;
    let (current, granted) = (Month::of(now), Month::of(project.created_at));
    let computed = project.status.is_live() && month <= current && (granted <= month || month == current);
    let cents = stored.map(|Commitment { cents, .. }| cents);
    let committed = if computed { Some(commitments::live(&project.terms(), cents, month, now)) } else { cents };
    Ok(committed.map(|committed| {
        let renewed = match stored {
            Some(Commitment { renewed, .. }) => renewed,
            None if granted < month => committed,
            None => Cents::ZERO,
        };
        let used = stored.and_then(|Commitment { used, .. }| used);
        ProjectCommitment { project, committed, renewed, used, workspace }
    }))
}
