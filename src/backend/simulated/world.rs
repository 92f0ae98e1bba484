//! The world itself: what the simulated Stripe Projects would remember, and its rules about money.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    payment::PaymentMethod,
    resources::{self, Resource},
};
use crate::{
    backend::{BackendError, Credentials, Observed, Order, Refusal, Service},
    clock::Clock,
    money::{Cents, MicroUsd},
    project::{NoRandomness, ProjectId, ResourceId},
    secret::Secret,
    sqlite::{Database, DatabaseError, Schema},
};

/// A small world in a file, shared safely by any number of processes.
///
/// Every question is one transaction. Its rules, as Stripe has them: a paid service charges a payment method; a
/// provider has a monthly limit that covers everything provisioned there; what has used up its cap is suspended.
pub struct World {
    database: Database,
    clock: Clock,
}

/// Why the world did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error("no such resource")]
    NotFound,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl World {
    /// The world in that file, which is created on first use.
    pub fn new(path: PathBuf, clock: Clock) -> Self {
        Self { database: Database::new(path, &SCHEMA), clock }
    }

    /// Creates what was ordered, or finds what that order created before.
    ///
    /// # Errors
    /// [`Refusal::CardDeclined`] for a paid service; [`WorldError::NotFound`] when the order's resource is removed.
    pub fn provision(&self, order: &Order, payment_method: PaymentMethod) -> Result<Service, WorldError> {
        self.database.write(|world| {
            let resource = match resources::by_order(world, &order.id)? {
                Some(resource) => resource.existing()?,
                None if order.paid && payment_method == PaymentMethod::Declines => {
                    return Err(Refusal::CardDeclined.into());
                }
                None => {
                    let resource = resources::create(world, order)?;
                    cover_caps(world, &resource.provider, &self.month())?;
                    resource
                }
            };
            Ok(Service { credentials: resources::credentials(world, &resource)?, resource: resource.id })
        })
    }

    /// # Errors
    /// [`WorldError::NotFound`] when there is no such resource.
    pub fn reveal(&self, id: &ResourceId) -> Result<Credentials, WorldError> {
        self.database.read(|world| resources::credentials(world, &resources::existing(world, id)?))
    }

    /// Exchanges every credential of a resource; the old ones are forgotten, which is what makes them dead.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such resource.
    pub fn rotate(&self, id: &ResourceId) -> Result<Credentials, WorldError> {
        self.database.write(|world| {
            let resource = resources::existing(world, id)?;
            resources::mint_again(world, &resource)?;
            resources::credentials(world, &resource)
        })
    }

    /// Removes a resource, if it is still there, and gives its part of the provider's limit back.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn teardown(&self, id: &ResourceId) -> Result<(), WorldError> {
        self.database.write(|world| match resources::existing(world, id) {
            Err(WorldError::NotFound) => Ok(()),
            Err(error) => Err(error),
            Ok(resource) => {
                resources::remove(world, &resource)?;
                cover_caps(world, &resource.provider, &self.month())
            }
        })
    }

    /// # Errors
    /// [`WorldError::NotFound`] when there is no such resource.
    pub fn suspend(&self, id: &ResourceId) -> Result<(), WorldError> {
        self.database.write(|world| resources::set_suspended(world, &resources::existing(world, id)?, true))
    }

    /// # Errors
    /// [`Refusal::CapReached`] or [`Refusal::MonthlyLimitReached`] while there is nothing left to spend.
    pub fn resume(&self, id: &ResourceId) -> Result<(), WorldError> {
        self.database.write(|world| {
            let resource = resources::existing(world, id)?;
            if resource.usage >= resource.cap {
                return Err(Refusal::CapReached.into());
            }
            let limit = limit(world, &resource.provider)?;
            if spent_in(world, &resource.provider, &self.month())? >= limit.micro_usd() {
                return Err(Refusal::MonthlyLimitReached { limit }.into());
            }
            resources::set_suspended(world, &resource, false)
        })
    }

    /// Bills a resource, and suspends it when that uses up its cap, or all of its provider's resources when that
    /// uses up the month.
    ///
    /// # Errors
    /// [`Refusal::CapReached`] or [`Refusal::Suspended`] for what is suspended: nobody can have used it.
    pub fn accrue(&self, id: &ResourceId, amount: MicroUsd) -> Result<Observed, WorldError> {
        self.database.write(|world| {
            let resource = resources::existing(world, id)?;
            if resource.suspended {
                let used_up = resource.usage >= resource.cap;
                return Err(if used_up { Refusal::CapReached } else { Refusal::Suspended }.into());
            }
            resources::bill(world, &resource, &self.month(), amount)?;
            if resource.usage.saturating_add(amount) >= resource.cap {
                resources::set_suspended(world, &resource, true)?;
            }
            self.enforce_limit(world, &resource.provider)?;
            Ok(resources::existing(world, id)?.observed())
        })
    }

    /// Sets what a provider may bill in a month, and enforces it at once.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn set_monthly_limit(&self, provider: &str, limit: Cents) -> Result<(), WorldError> {
        self.database.write(|world| {
            store_limit(world, provider, limit)?;
            self.enforce_limit(world, provider)
        })
    }

    /// Whether a credential works right now, and for which resource.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn owner_of(&self, credential: &Secret) -> Result<Option<ResourceId>, WorldError> {
        self.database.read(|world| resources::owner_of(world, credential))
    }

    /// # Errors
    /// Only when the file does not serve.
    pub fn observe_everything(&self) -> Result<Vec<Observed>, WorldError> {
        self.database.read(resources::all)
    }

    /// # Errors
    /// Only when the file does not serve.
    pub fn observe_order(&self, order: &ProjectId) -> Result<Vec<Observed>, WorldError> {
        self.database.read(|world| {
            let found = resources::by_order(world, order)?.and_then(|resource| resource.existing().ok());
            Ok(found.map(Resource::observed).into_iter().collect())
        })
    }

    /// # Errors
    /// Only when the file does not serve.
    pub fn observe_resources(&self, ids: &[ResourceId]) -> Result<Vec<Observed>, WorldError> {
        self.database.read(|world| {
            let mut observed = Vec::with_capacity(ids.len());
            for id in ids {
                match resources::existing(world, id) {
                    Ok(resource) => observed.push(resource.observed()),
                    Err(WorldError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(observed)
        })
    }

    fn enforce_limit(&self, world: &Connection, provider: &str) -> Result<(), WorldError> {
        if spent_in(world, provider, &self.month())? >= limit(world, provider)?.micro_usd() {
            resources::suspend_all_of(world, provider)?;
        }
        Ok(())
    }

    /// The billing period that it is now, in UTC: `2026-11`.
    fn month(&self) -> String {
        let now = self.clock.now().to_string();
        now.get(..7).unwrap_or(&now).to_owned()
    }
}

impl From<rusqlite::Error> for WorldError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<WorldError> for BackendError {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Database(error) => Self::Unavailable { why: error.to_string() },
            WorldError::NoRandomness(error) => error.into(),
            WorldError::NotFound => Self::NotFound,
            WorldError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

/// Sets a provider's limit to what the caps of its resources may still cost this month: no more than was granted,
/// and no less, so that what a removed resource spent is not taken from the others.
fn cover_caps(world: &Connection, provider: &str, month: &str) -> Result<(), WorldError> {
    let sql = "SELECT (SELECT ifnull(sum(cap), 0) FROM resources WHERE provider = ?1 AND status <> 'removed') \
        + (SELECT ifnull(sum(m.usage), 0) FROM monthly_usage m JOIN resources r ON m.resource = r.row \
           WHERE m.provider = ?1 AND m.month = ?2 AND r.status = 'removed')";
    let micro_usd: i64 = world.prepare_cached(sql)?.query_row([provider, month], |row| row.get(0))?;
    store_limit(world, provider, Cents::sum_of(u64::try_from(micro_usd).unwrap_or(0).div_ceil(10_000)))
}

fn store_limit(world: &Connection, provider: &str, limit: Cents) -> Result<(), WorldError> {
    let sql = "INSERT INTO limits VALUES (?1, ?2) ON CONFLICT DO UPDATE SET cents = excluded.cents";
    let cents = i64::try_from(limit.cents()).unwrap_or(i64::MAX);
    world.prepare_cached(sql)?.execute(params![provider, cents])?;
    Ok(())
}

fn limit(world: &Connection, provider: &str) -> Result<Cents, WorldError> {
    let sql = "SELECT cents FROM limits WHERE provider = ?1";
    let cents: Option<i64> = world.prepare_cached(sql)?.query_row([provider], |row| row.get(0)).optional()?;
    Ok(cents.and_then(|cents| u64::try_from(cents).ok()).map_or(STRIPES_DEFAULT_LIMIT, Cents::sum_of))
}

fn spent_in(world: &Connection, provider: &str, month: &str) -> Result<MicroUsd, WorldError> {
    let sql = "SELECT ifnull(sum(usage), 0) FROM monthly_usage WHERE provider = ?1 AND month = ?2";
    let spent: i64 = world.prepare_cached(sql)?.query_row([provider, month], |row| row.get(0))?;
    Ok(MicroUsd::new(u64::try_from(spent).unwrap_or(0)))
}

static SCHEMA: Schema = Schema { migrations: &[include_str!("schema_1.sql")] };

/// What Stripe is said to allow a provider per month until somebody sets a limit: 100 USD.
const STRIPES_DEFAULT_LIMIT: Cents = Cents::sum_of(10_000);
