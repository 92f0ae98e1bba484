//! The rows of the simulated connection: resources and the credentials that open them.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SimulatedStoreError;
use crate::{
    backend::Observed,
    money::MicroUsd,
    project::{ProjectId, ResourceId, fill_random},
    secret::{Secret, hex},
};

/// A resource as the world remembers it.
pub struct Resource {
    pub row: i64,
    pub id: ResourceId,
    order: ProjectId,
    pub service: String,
    pub provider: String,
    pub removed: bool,
    pub suspended: bool,
    /// [`NO_CAP`] where only the provider's limit stops it.
    pub cap: MicroUsd,
    pub usage: MicroUsd,
    pub created_at: String,
    pub minted_at: String,
}

/// What is to be created.
pub struct New<'a> {
    pub order: &'a ProjectId,
    pub name: &'a str,
    /// `<provider>/<service>`.
    pub service: &'a str,
    pub provider: &'a str,
    pub cap: MicroUsd,
    /// Empty means the only one there is.
    pub credentials: &'a [String],
    pub now: &'a str,
}

impl Resource {
    pub fn existing(self) -> Result<Self, SimulatedStoreError> {
        if self.removed { Err(SimulatedStoreError::NotFound) } else { Ok(self) }
    }

    pub fn observed(self) -> Observed {
        Observed { resource: self.id, order: Some(self.order), suspended: self.suspended, usage: Some(self.usage) }
    }
}

/// The resource of that id, be it removed or not.
pub fn ever(connection: &Connection, id: &ResourceId) -> Result<Resource, SimulatedStoreError> {
    find(connection, "id = ?1", id.as_str())?.ok_or(SimulatedStoreError::NotFound)
}

pub fn existing(connection: &Connection, id: &ResourceId) -> Result<Resource, SimulatedStoreError> {
    ever(connection, id)?.existing()
}

pub fn by_order(connection: &Connection, order: &ProjectId) -> Result<Option<Resource>, SimulatedStoreError> {
    find(connection, "order_id = ?1", order.as_str())
}

pub fn all(connection: &Connection) -> Result<Vec<Observed>, SimulatedStoreError> {
    let sql = format!("SELECT {COLUMNS} FROM resources WHERE status <> 'removed' ORDER BY row");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], read)?;
    Ok(rows.map(|row| row.map(Resource::observed)).collect::<Result<_, _>>()?)
}

pub fn create(connection: &Connection, new: &New<'_>) -> Result<Resource, SimulatedStoreError> {
    let mut bytes = [0; 12];
    fill_random(&mut bytes)?;
    let resource = Resource {
        row: 0,
        id: ResourceId::new(format!("fres_sim_{}", hex(&bytes))),
        order: new.order.clone(),
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
    Ok(Resource { row, ..resource })
}

/// The credentials of the current generation, by the service's own names for them.
pub fn credentials<T: FromIterator<(String, Secret)>>(
    connection: &Connection,
    resource: &Resource,
) -> Result<T, SimulatedStoreError> {
    let mut statement = connection.prepare_cached("SELECT name, seed FROM credentials WHERE resource = ?1")?;
    let rows = statement.query_map([resource.row], |row| {
        let seed: [u8; SEED_BYTES] = row.get(1)?;
        Ok((row.get(0)?, Secret::new(format!("{PREFIX}{}", hex(&seed)))))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A new generation in the place of the old, which is thereby forgotten.
pub fn mint_again(connection: &Connection, resource: &Resource, now: &str) -> Result<(), SimulatedStoreError> {
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

pub fn remove(connection: &Connection, resource: &Resource) -> Result<(), SimulatedStoreError> {
    connection.prepare_cached("UPDATE resources SET status = 'removed' WHERE row = ?1")?.execute([resource.row])?;
    connection.prepare_cached("DELETE FROM credentials WHERE resource = ?1")?.execute([resource.row])?;
    Ok(())
}

pub fn set_suspended(connection: &Connection, resource: &Resource, suspended: bool) -> Result<(), SimulatedStoreError> {
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

/// Gives what has no cap of its own a second life, after its provider's limit was raised.
pub fn resume_uncapped(connection: &Connection, provider: &str) -> Result<(), SimulatedStoreError> {
    let sql = "UPDATE resources SET status = 'active' WHERE provider = ?1 AND status = 'suspended' AND cap = ?2";
    connection.prepare_cached(sql)?.execute(params![provider, stored(NO_CAP)])?;
    Ok(())
}

pub fn bill(
    connection: &Connection,
    resource: &Resource,
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

/// The resource that a credential opens right now: of the current generation, and not suspended.
pub fn owner_of(connection: &Connection, credential: &Secret) -> Result<Option<ResourceId>, SimulatedStoreError> {
    let Some(seed) = seed_of(credential) else {
        return Ok(None);
    };
    let sql = "SELECT r.id FROM credentials c JOIN resources r ON c.resource = r.row \
        WHERE c.seed = ?1 AND r.status = 'active'";
    let id: Option<String> = connection.prepare_cached(sql)?.query_row([seed], |row| row.get(0)).optional()?;
    Ok(id.map(ResourceId::new))
}

fn find(connection: &Connection, condition: &str, value: &str) -> Result<Option<Resource>, SimulatedStoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM resources WHERE {condition}"))?;
    Ok(statement.query_row([value], read).optional()?)
}

fn read(row: &Row<'_>) -> Result<Resource, rusqlite::Error> {
    let status: String = row.get(4)?;
    let amount = |column: usize| -> Result<MicroUsd, rusqlite::Error> {
        Ok(MicroUsd::new(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0)))
    };
    Ok(Resource {
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
    })
}

fn seed() -> Result<[u8; SEED_BYTES], SimulatedStoreError> {
    let mut seed = [0; SEED_BYTES];
    fill_random(&mut seed)?;
    Ok(seed)
}

/// The sixteen bytes that a credential spells, if it is one of this world's.
fn seed_of(credential: &Secret) -> Option<[u8; SEED_BYTES]> {
    let digits = credential.expose().strip_prefix(PREFIX)?;
    if digits.len() != 2 * SEED_BYTES
        || digits.bytes().any(|byte| !byte.is_ascii_hexdigit() || byte.is_ascii_uppercase())
    {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

/// An amount as SQLite keeps it.
pub fn stored(amount: MicroUsd) -> i64 {
    i64::try_from(amount.micro_usd()).unwrap_or(i64::MAX)
}

const COLUMNS: &str = "row, id, order_id, provider, status, cap, usage, service, created_at, minted_at";

/// The cap of what has none of its own: the largest amount that can be stored, which no usage reaches.
pub const NO_CAP: MicroUsd = MicroUsd::new(i64::MAX.unsigned_abs());

/// How credentials of the simulated world begin; 32 hex digits follow.
const PREFIX: &str = "sk_proj_sim_";

const SEED_BYTES: usize = 16;

/// What the only credential of a service is called when the order names none.
const ONLY_CREDENTIAL: &str = "API_KEY";
