//! Conversion between rows of the ledger and domain types.

use std::path::PathBuf;

use domain::{
    budget::CapPeriod,
    clock::Timestamp,
    money::{Cents, MicroUsd},
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, Project, ProjectId, ResourceId, Status},
    secret::Mask,
};

use super::LedgerError;
use crate::store::{Row, StoreError, Tx, values};

/// The columns that [`read`] expects, with the current mask.
pub const COLUMNS: &str = "p.row, p.id, p.name, p.provider, p.service, p.backend, p.resource, p.status, p.cap_cents, \
    p.key_version, p.env_file, p.created_at, p.updated_at, \
    (SELECT mask FROM credentials c WHERE c.project = p.row AND c.key_version = p.key_version AND c.position = 0), \
    p.expires_at, p.cap_period, p.usage_micro_usd";

/// A project and the number of its row, which is also its place in the order of creation.
pub struct Stored {
    pub row: i64,
    pub project: Project,
}

/// Reads one row of [`COLUMNS`] and the project's deliveries.
pub fn read(tx: &dyn Tx, row: &Row<'_>) -> Result<Stored, LedgerError> {
    let number: i64 = row.get(0)?;
    let project = Project {
        id: ProjectId::from_stored(row.get(1)?),
        name: parsed("name", ProjectName::parse(row.get(2)?))?,
        provider: parsed("provider", ProviderKey::parse(row.get(3)?))?,
        service: parsed("service", ServiceRef::parse(row.get(4)?))?,
        backend: row.get(5)?,
        resource: row.get::<Option<String>>(6)?.map(ResourceId::new),
        status: parsed("status", Status::parse(row.get(7)?).ok_or(()))?,
        cap: cap(row.get(8)?)?,
        cap_period: period(row.get(15)?)?,
        last_usage: row.get::<Option<i64>>(16)?.map(usage).transpose()?,
        key_version: row.get(9)?,
        env_file: PathBuf::from(row.get::<&str>(10)?),
        created_at: time(row.get(11)?)?,
        updated_at: time(row.get(12)?)?,
        mask: row.get::<Option<String>>(13)?.map(Mask::from_stored),
        expires_at: row.get::<Option<i64>>(14)?.map(time).transpose()?,
        deliveries: deliveries(tx, number)?,
    };
    Ok(Stored { row: number, project })
}

/// Reads milliseconds since 1970.
pub fn time(milliseconds: i64) -> Result<Timestamp, LedgerError> {
    parsed("time", Timestamp::from_millisecond(milliseconds))
}

/// Reads a cap.
pub fn cap(cents: i64) -> Result<Cents, LedgerError> {
    parsed("cap_cents", u64::try_from(cents).ok().and_then(Cents::new).ok_or(()))
}

/// Reads the period of a cap.
pub fn period(word: &str) -> Result<CapPeriod, LedgerError> {
    parsed("cap_period", CapPeriod::parse(word).ok_or(()))
}

/// Reads micro-USD.
pub fn usage(micro_usd: i64) -> Result<MicroUsd, LedgerError> {
    parsed("usage_micro_usd", u64::try_from(micro_usd)).map(MicroUsd::new)
}

/// Reads a sum of caps, which may be zero.
pub fn sum_of_caps(cents: i64) -> Result<Cents, LedgerError> {
    parsed("cap_cents", u64::try_from(cents)).map(Cents::sum_of)
}

/// Converts an amount for the database, which has no unsigned integers. Larger ones than fit do not occur.
pub fn amount(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// Reports a stored word that does not parse: this program did not write it.
pub fn parsed<T, E>(column: &'static str, outcome: Result<T, E>) -> Result<T, LedgerError> {
    outcome.map_err(|_| StoreError::Unreadable { column }.into())
}

fn deliveries(tx: &dyn Tx, project: i64) -> Result<Vec<Delivery>, LedgerError> {
    let sql = "SELECT env_var, credential FROM deliveries WHERE project = ?1 ORDER BY position";
    let rows = tx.rows(sql, &values![project])?;
    let deliveries = rows.iter().map(|row| {
        let env_var = parsed("env_var", EnvVar::parse(row.get(0)?))?;
        Ok(Delivery { env_var, credential: row.get(1)? })
    });
    deliveries.collect()
}
