//! The tables of resources and their credentials.

use domain::{
    money::{Cents, MicroUsd},
    project::{ProjectId, ResourceId, fill_random, random_hex},
    secret::{Secret, hex},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SimulatedStoreError;
use crate::{MarkedResource, Observed};

/// A row of the table of resources.
pub struct ResourceRow {
    pub row: i64,
    pub id: ResourceId,
    order: ProjectId,
    name: String,
    pub service: String,
    pub provider: String,
    pub removed: bool,
    pub suspended: bool,
    /// [`NO_CAP`] if only the provider's limit applies.
    pub cap: MicroUsd,
    pub usage: MicroUsd,
    pub created_at: String,
    pub minted_at: String,
}

/// A resource to create.
pub struct NewResource<'a> {
    pub order: &'a ProjectId,
    pub name: &'a str,
    /// `<provider>/<service>`.
    pub service: &'a str,
    pub provider: &'a str,
    pub cap: MicroUsd,
    /// Empty means the only one.
    pub credentials: &'a [String],
    pub now: &'a str,
}

impl ResourceRow {
    pub fn existing(self) -> Result<Self, SimulatedStoreError> {
        if self.removed { Err(SimulatedStoreError::NotFound) } else { Ok(self) }
    }

    pub fn observed(self) -> Observed {
        Observed { resource: self.id, order: Some(self.order), suspended: self.suspended, usage: Some(self.usage) }
    }
}

impl From<ResourceRow> for Observed {
    fn from(row: ResourceRow) -> Self {
        row.observed()
    }
}

impl From<ResourceRow> for MarkedResource {
    fn from(row: ResourceRow) -> Self {
        let service = row.service.split_once('/').map_or("", |(_, service)| service).to_owned();
        Self {
            resource: row.id,
            order: row.order,
            label: row.name,
            provider: row.provider,
            service,
            cap: Cents::new(row.cap.micro_usd() / MICRO_USD_PER_CENT), // `NO_CAP` is out of range
            suspended: row.suspended,
        }
    }
}

/// Returns the resource of that id, also if it is removed.
pub fn existing_or_removed(connection: &Connection, id: &ResourceId) -> Result<ResourceRow, SimulatedStoreError> {
    find(connection, "id = ?1", id.as_str())?.ok_or(SimulatedStoreError::NotFound)
}

pub fn existing(connection: &Connection, id: &ResourceId) -> Result<ResourceRow, SimulatedStoreError> {
    existing_or_removed(connection, id)?.existing()
}

pub fn by_order(connection: &Connection, order: &ProjectId) -> Result<Option<ResourceRow>, SimulatedStoreError> {
    find(connection, "order_id = ?1", order.as_str())
}

pub fn all<T: From<ResourceRow>>(connection: &Connection) -> Result<Vec<T>, SimulatedStoreError> {
    let sql = format!("SELECT {COLUMNS} FROM resources WHERE status <> 'removed' ORDER BY row");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], read)?;
    Ok(rows.map(|row| row.map(T::from)).collect::<Result<_, _>>()?)
}

/// Returns the ids of all resources, also the removed ones, in the order of their creation.
pub fn every_id(connection: &Connection) -> Result<Vec<ResourceId>, SimulatedStoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM resources ORDER BY row")?;
    let ids = statement.query_map([], |row| row.get(0).map(ResourceId::new))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

pub fn create(connection: &Connection, new: &NewResource<'_>) -> Result<ResourceRow, SimulatedStoreError> {
    let resource = ResourceRow {
        row: 0,
        id: ResourceId::new(format!("fres_sim_{}", random_hex::<12>()?)),
        order: new.order.clone(),
        name: new.name.to_owned(),
        service: new.service.to_owned(),
        provider: new.provider.to_owned(),
        removed: false,
        suspended: false,
        cap: new.cap,
        usage: MicroUsd::ZERO,
        created_at: new.now.to_owned(),
        minted_at: new.now.to_owned(),
    };
    let sql = "INSERT INTO resources \
        (id, order_id, name, service, provider, status, cap, usage, generation, created_at, minted_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, 'active', ?6, 0, 1, ?7, ?7)";
    let row = connection.prepare_cached(sql)?.insert(params![
        resource.id.as_str(),
        new.order.as_str(),
        new.name,
        new.service,
        new.provider,
        stored(new.cap),
        new.now,
    ])?;
    let only = [ONLY_CREDENTIAL.to_owned()];
    let names = if new.credentials.is_empty() { &only[..] } else { new.credentials };
    for name in names {
        let sql = "INSERT OR IGNORE INTO credentials VALUES (?1, ?2, ?3)";
        connection.prepare_cached(sql)?.execute(params![row, name, seed()?])?;
    }
    Ok(ResourceRow { row, ..resource })
}

/// Returns the current credentials by name.
pub fn credentials<T: FromIterator<(String, Secret)>>(
    connection: &Connection,
    resource: &ResourceRow,
) -> Result<T, SimulatedStoreError> {
    let mut statement = connection.prepare_cached("SELECT name, seed FROM credentials WHERE resource = ?1")?;
    let rows = statement.query_map([resource.row], |row| {
        let seed: [u8; SEED_BYTES] = row.get(1)?;
        Ok((row.get(0)?, Secret::new(format!("{PREFIX}{}", hex(&seed)))))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Replaces the credentials. The old ones are deleted, which revokes them.
pub fn replace_credentials(
    connection: &Connection,
    resource: &ResourceRow,
    now: &str,
) -> Result<(), SimulatedStoreError> {
    let sql = "UPDATE resources SET generation = generation + 1, minted_at = ?2 WHERE row = ?1";
    connection.prepare_cached(sql)?.execute(params![resource.row, now])?;
    let mut statement = connection.prepare_cached("SELECT name FROM credentials WHERE resource = ?1")?;
    let names: Vec<String> = statement.query_map([resource.row], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in names {
        let sql = "UPDATE credentials SET seed = ?3 WHERE resource = ?1 AND name = ?2";
        connection.prepare_cached(sql)?.execute(params![resource.row, name, seed()?])?;
    }
    Ok(())
}

pub fn remove(connection: &Connection, resource: &ResourceRow) -> Result<(), SimulatedStoreError> {
    connection.prepare_cached("UPDATE resources SET status = 'removed' WHERE row = ?1")?.execute([resource.row])?;
    connection.prepare_cached("DELETE FROM credentials WHERE resource = ?1")?.execute([resource.row])?;
    Ok(())
}

pub fn set_cap(connection: &Connection, resource: &ResourceRow, cap: MicroUsd) -> Result<(), SimulatedStoreError> {
    let sql = "UPDATE resources SET cap = ?2 WHERE row = ?1";
    connection.prepare_cached(sql)?.execute(params![resource.row, stored(cap)])?;
    Ok(())
}

pub fn set_suspended(
    connection: &Connection,
    resource: &ResourceRow,
    suspended: bool,
) -> Result<(), SimulatedStoreError> {
    let status = if suspended { "suspended" } else { "active" };
    let sql = "UPDATE resources SET status = ?2 WHERE row = ?1";
    connection.prepare_cached(sql)?.execute(params![resource.row, status])?;
    Ok(())
}

pub fn suspend_all_of(connection: &Connection, provider: &str) -> Result<(), SimulatedStoreError> {
    let sql = "UPDATE resources SET status = 'suspended' WHERE provider = ?1 AND status = 'active'";
    connection.prepare_cached(sql)?.execute([provider])?;
    Ok(())
}

/// Resumes the resources without a cap, after their provider's limit was raised.
pub fn resume_uncapped(connection: &Connection, provider: &str) -> Result<(), SimulatedStoreError> {
    let sql = "UPDATE resources SET status = 'active' WHERE provider = ?1 AND status = 'suspended' AND cap = ?2";
    connection.prepare_cached(sql)?.execute(params![provider, stored(NO_CAP)])?;
    Ok(())
}

pub fn bill(
    connection: &Connection,
    resource: &ResourceRow,
    month: &str,
    amount: MicroUsd,
) -> Result<(), SimulatedStoreError> {
    let amount = stored(amount);
    connection
        .prepare_cached("UPDATE resources SET usage = usage + ?2 WHERE row = ?1")?
        .execute(params![resource.row, amount])?;
    let sql =
        "INSERT INTO monthly_usage VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET usage = usage + excluded.usage";
    connection.prepare_cached(sql)?.execute(params![resource.provider, month, resource.row, amount])?;
    Ok(())
}

/// Returns the resource of a credential that works now: current, and not suspended.
pub fn owner_of(connection: &Connection, credential: &Secret) -> Result<Option<ResourceId>, SimulatedStoreError> {
    let Some(seed) = seed_of(credential) else {
        return Ok(None);
    };
    let sql = "SELECT r.id FROM credentials c JOIN resources r ON c.resource = r.row \
        WHERE c.seed = ?1 AND r.status = 'active'";
    let id: Option<String> = connection.prepare_cached(sql)?.query_row([seed], |row| row.get(0)).optional()?;
    Ok(id.map(ResourceId::new))
}

fn find(connection: &Connection, condition: &str, value: &str) -> Result<Option<ResourceRow>, SimulatedStoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM resources WHERE {condition}"))?;
    Ok(statement.query_row([value], read).optional()?)
}

fn read(row: &Row<'_>) -> Result<ResourceRow, rusqlite::Error> {
    let status: String = row.get(4)?;
    let amount = |column: usize| -> Result<MicroUsd, rusqlite::Error> {
        Ok(MicroUsd::new(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0)))
    };
    Ok(ResourceRow {
        row: row.get(0)?,
        id: ResourceId::new(row.get(1)?),
        order: ProjectId::from_stored(row.get(2)?),
        provider: row.get(3)?,
        removed: status == "removed",
        suspended: status == "suspended",
        cap: amount(5)?,
        usage: amount(6)?,
        service: row.get(7)?,
        created_at: row.get(8)?,
        minted_at: row.get(9)?,
        name: row.get(10)?,
    })
}

fn seed() -> Result<[u8; SEED_BYTES], SimulatedStoreError> {
    let mut seed = [0; SEED_BYTES];
    fill_random(&mut seed)?;
    Ok(seed)
}

/// Decodes the random bytes of a credential; `None` if it is not a simulated one.
fn seed_of(credential: &Secret) -> Option<[u8; SEED_BYTES]> {
    let digits = credential.expose().strip_prefix(PREFIX)?;
    if digits.len() != 2 * SEED_BYTES
        || digits.bytes().any(|byte| !byte.is_ascii_hexdigit() || byte.is_ascii_uppercase())
    {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

/// An amount as SQLite stores it.
pub fn stored(amount: MicroUsd) -> i64 {
    i64::try_from(amount.micro_usd()).unwrap_or(i64::MAX)
}

const COLUMNS: &str = "row, id, order_id, provider, status, cap, usage, service, created_at, minted_at, name";

/// The cap of a resource without one: the largest amount that can be stored.
pub const NO_CAP: MicroUsd = MicroUsd::new(i64::MAX.unsigned_abs());

const MICRO_USD_PER_CENT: u64 = 10_000;

/// The prefix of simulated credentials; 32 hex digits follow.
const PREFIX: &str = "sk_proj_sim_";

const SEED_BYTES: usize = 16;

/// The name of the only credential, if the order names none.
const ONLY_CREDENTIAL: &str = "API_KEY";
