//! Monthly limits of providers: the sum of caps, or an amount that a person set.

use domain::money::{Cents, MicroUsd};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    SimulatedStoreError,
    resources::{self, NO_CAP, stored},
};

/// Returns the limit of a provider: its own, that of all providers, or Stripe's default.
pub fn effective(connection: &Connection, provider: &str) -> Result<Cents, SimulatedStoreError> {
    Ok(match own(connection, provider)? {
        Some(limit) => limit,
        None => own(connection, EVERY_PROVIDER)?.unwrap_or(STRIPES_DEFAULT_LIMIT),
    })
}

/// Returns the limit that was set for this provider.
pub fn own(connection: &Connection, provider: &str) -> Result<Option<Cents>, SimulatedStoreError> {
    let sql = "SELECT cents FROM limits WHERE provider = ?1";
    let cents: Option<i64> = connection.prepare_cached(sql)?.query_row([provider], |row| row.get(0)).optional()?;
    Ok(cents.and_then(|cents| u64::try_from(cents).ok()).map(Cents::sum_of))
}

pub fn save(connection: &Connection, provider: &str, limit: Cents) -> Result<(), SimulatedStoreError> {
    let sql = "INSERT INTO limits (provider, cents) VALUES (?1, ?2) \
        ON CONFLICT DO UPDATE SET cents = excluded.cents";
    let cents = i64::try_from(limit.cents()).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute(params![provider, cents])?;
    Ok(())
}

/// Sets a limit that no sum of caps replaces, and applies it at once: suspends or resumes resources.
pub fn fix(connection: &Connection, provider: &str, limit: Cents, month: &str) -> Result<(), SimulatedStoreError> {
    save(connection, provider, limit)?;
    connection.prepare_cached("UPDATE limits SET fixed = 1 WHERE provider = ?1")?.execute([provider])?;
    for provider in affected(connection, provider)? {
        if is_used_up(connection, &provider, month)? {
            resources::suspend_all_of(connection, &provider)?;
        } else {
            resources::resume_uncapped(connection, &provider)?;
        }
    }
    Ok(())
}

/// Sets a provider's limit to the sum of the caps of its resources, and of this month's usage of the removed ones.
///
/// So the spending of a removed resource does not reduce the others. A limit that a person set stays, and so does the
/// limit of a provider that has resources without a cap.
pub fn cover_caps(connection: &Connection, provider: &str, month: &str) -> Result<(), SimulatedStoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM limits WHERE provider = ?1 AND fixed) \
        OR EXISTS (SELECT 1 FROM resources WHERE provider = ?1 AND status <> 'removed' AND cap = ?2)";
    if connection.prepare_cached(sql)?.query_row(params![provider, stored(NO_CAP)], |row| row.get(0))? {
        return Ok(());
    }
    let sql = "SELECT (SELECT ifnull(sum(cap), 0) FROM resources WHERE provider = ?1 AND status <> 'removed') \
        + (SELECT ifnull(sum(m.usage), 0) FROM monthly_usage m JOIN resources r ON m.resource = r.row \
           WHERE m.provider = ?1 AND m.month = ?2 AND r.status = 'removed')";
    let micro_usd: i64 = connection.prepare_cached(sql)?.query_row([provider, month], |row| row.get(0))?;
    save(connection, provider, Cents::sum_of(u64::try_from(micro_usd).unwrap_or(0).div_ceil(10_000)))
}

/// Suspends all resources of a provider whose limit is used up.
pub fn enforce(connection: &Connection, provider: &str, month: &str) -> Result<(), SimulatedStoreError> {
    if is_used_up(connection, provider, month)? { resources::suspend_all_of(connection, provider) } else { Ok(()) }
}

pub fn is_used_up(connection: &Connection, provider: &str, month: &str) -> Result<bool, SimulatedStoreError> {
    Ok(spent_in(connection, provider, month)? >= effective(connection, provider)?.micro_usd())
}

pub fn spent_in(connection: &Connection, provider: &str, month: &str) -> Result<MicroUsd, SimulatedStoreError> {
    let sql = "SELECT ifnull(sum(usage), 0) FROM monthly_usage WHERE provider = ?1 AND month = ?2";
    let spent: i64 = connection.prepare_cached(sql)?.query_row([provider, month], |row| row.get(0))?;
    Ok(MicroUsd::new(u64::try_from(spent).unwrap_or(0)))
}

/// Returns the providers to which a limit applies.
fn affected(connection: &Connection, provider: &str) -> Result<Vec<String>, SimulatedStoreError> {
    if provider != EVERY_PROVIDER {
        return Ok(vec![provider.to_owned()]);
    }
    let sql = "SELECT DISTINCT provider FROM resources WHERE provider NOT IN (SELECT provider FROM limits)";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The key of the limit for every provider without its own.
pub const EVERY_PROVIDER: &str = "*";

/// Stripe's documented monthly default for a provider: 100 USD.
const STRIPES_DEFAULT_LIMIT: Cents = Cents::sum_of(10_000);
