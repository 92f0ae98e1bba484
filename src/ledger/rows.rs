//! Rows of the ledger, and the words they are read into.

use std::path::PathBuf;

use rusqlite::{Connection, Row};

use super::LedgerError;
use crate::{
    clock::Timestamp,
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, Project, ProjectId, ResourceId, Status},
    secret::Mask,
    sqlite::DatabaseError,
};

/// The columns that [`read`] expects, with the current mask.
pub const COLUMNS: &str = "p.row, p.id, p.name, p.provider, p.service, p.backend, p.resource, p.status, p.cap_cents, \
    p.key_version, p.env_file, p.created_at, p.updated_at, \
    (SELECT mask FROM credentials c WHERE c.project = p.row AND c.key_version = p.key_version AND c.position = 0), \
    p.expires_at";

/// A project and the number of its row, which is also its place in the order of creation.
pub struct Stored {
    pub row: i64,
    pub project: Project,
}

/// Reads one row of [`COLUMNS`] and the deliveries that belong to it.
pub fn read(connection: &Connection, row: &Row<'_>) -> Result<Stored, LedgerError> {
    let number: i64 = row.get(0)?;
    let project = Project {
        id: ProjectId::from_stored(row.get(1)?),
        name: parsed("name", ProjectName::parse(&row.get::<_, String>(2)?))?,
        provider: parsed("provider", ProviderKey::parse(&row.get::<_, String>(3)?))?,
        service: parsed("service", ServiceRef::parse(&row.get::<_, String>(4)?))?,
        backend: row.get(5)?,
        resource: row.get::<_, Option<String>>(6)?.map(ResourceId::new),
        status: parsed("status", Status::parse(&row.get::<_, String>(7)?).ok_or(()))?,
        cap: parsed("cap_cents", u64::try_from(row.get::<_, i64>(8)?).ok().and_then(Cents::new).ok_or(()))?,
        key_version: row.get(9)?,
        env_file: PathBuf::from(row.get::<_, String>(10)?),
        created_at: time(row.get(11)?)?,
        updated_at: time(row.get(12)?)?,
        mask: row.get::<_, Option<String>>(13)?.map(Mask::from_stored),
        expires_at: row.get::<_, Option<i64>>(14)?.map(time).transpose()?,
        deliveries: deliveries(connection, number)?,
    };
    Ok(Stored { row: number, project })
}

/// Milliseconds since 1970 as a time.
pub fn time(milliseconds: i64) -> Result<Timestamp, LedgerError> {
    parsed("time", Timestamp::from_millisecond(milliseconds))
}

/// A stored word that does not parse was not written by this program.
pub fn parsed<T, E>(column: &'static str, outcome: Result<T, E>) -> Result<T, LedgerError> {
    outcome.map_err(|_| DatabaseError::Unreadable { column }.into())
}

fn deliveries(connection: &Connection, project: i64) -> Result<Vec<Delivery>, LedgerError> {
    let mut statement =
        connection.prepare_cached("SELECT env_var, credential FROM deliveries WHERE project = ?1 ORDER BY position")?;
    let mut rows = statement.query([project])?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        let env_var = parsed("env_var", EnvVar::parse(&row.get::<_, String>(0)?))?;
        deliveries.push(Delivery { env_var, credential: row.get(1)? });
    }
    Ok(deliveries)
}
