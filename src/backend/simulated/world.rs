//! The world itself: what the simulated Stripe Projects would remember, and its rules about money.

use std::path::PathBuf;

use super::{
    account::Account,
    limits,
    payment::PaymentMethod,
    resources::{self, New, Resource},
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
                    let resource = resources::create(
                        world,
                        &New {
                            order: &order.id,
                            name: order.name.as_str(),
                            service: order.service.as_str(),
                            provider: order.service.provider(),
                            cap: order.cap.micro_usd(),
                            credentials: &order.credentials,
                            now: &self.clock.now().to_string(),
                        },
                    )?;
                    limits::cover_caps(world, &resource.provider, &self.month())?;
                    resource
                }
            };
            Ok(Service { credentials: resources::credentials(world, &resource)?, resource: resource.id })
        })
    }

    /// Somebody acts on what this says, so it is true for good.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such resource.
    pub fn reveal(&self, id: &ResourceId) -> Result<Credentials, WorldError> {
        self.database.read_for_good(|world| resources::credentials(world, &resources::existing(world, id)?))
    }

    /// Exchanges every credential of a resource; the old ones are forgotten, which is what makes them dead.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such resource.
    pub fn rotate(&self, id: &ResourceId) -> Result<Credentials, WorldError> {
        self.database.write(|world| {
            let resource = resources::existing(world, id)?;
            resources::mint_again(world, &resource, &self.clock.now().to_string())?;
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
                limits::cover_caps(world, &resource.provider, &self.month())
            }
        })
    }

    /// # Errors
    /// [`WorldError::NotFound`] when there is no such resource.
    pub fn suspend(&self, id: &ResourceId) -> Result<(), WorldError> {
        self.database.write(|world| {
            let resource = resources::existing(world, id)?;
            resources::mint_again(world, &resource, &self.clock.now().to_string())?; // whoever has the old one has it for nothing, also later
            resources::set_suspended(world, &resource, true)
        })
    }

    /// # Errors
    /// [`Refusal::CapReached`] or [`Refusal::MonthlyLimitReached`] while there is nothing left to spend.
    pub fn resume(&self, id: &ResourceId) -> Result<(), WorldError> {
        self.database.write(|world| {
            let resource = resources::existing(world, id)?;
            if resource.usage >= resource.cap {
                return Err(Refusal::CapReached.into());
            }
            let limit = limits::of(world, &resource.provider)?;
            if limits::spent_in(world, &resource.provider, &self.month())? >= limit.micro_usd() {
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
            limits::enforce(world, &resource.provider, &self.month())?;
            Ok(resources::existing(world, id)?.observed())
        })
    }

    /// Sets what a provider may bill in a month, and enforces it at once.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn set_monthly_limit(&self, provider: &str, limit: Cents) -> Result<(), WorldError> {
        self.database.write(|world| {
            limits::store(world, provider, limit)?;
            limits::enforce(world, provider, &self.month())
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

    /// Somebody acts on what this says, so it is true for good.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn observe_order(&self, order: &ProjectId) -> Result<Vec<Observed>, WorldError> {
        self.database.read_for_good(|world| {
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

    /// Looks at the world as Stripe's API shows it, at one moment.
    ///
    /// # Errors
    /// What `work` returns, or when the file does not serve.
    pub fn look<T, E: From<DatabaseError>>(&self, work: impl FnOnce(&Account<'_>) -> Result<T, E>) -> Result<T, E> {
        self.database.read(|world| work(&Account::new(world, self.clock.now(), self.month())))
    }

    /// Changes the world through Stripe's API: all of what `work` does happens, or, if it fails, nothing of it.
    ///
    /// # Errors
    /// What `work` returns, and then nothing has happened; or when the file does not serve.
    pub fn change<T, E: From<DatabaseError>>(&self, work: impl FnOnce(&Account<'_>) -> Result<T, E>) -> Result<T, E> {
        self.database.write(|world| work(&Account::new(world, self.clock.now(), self.month())))
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

static SCHEMA: Schema = Schema { migrations: &[include_str!("schema_1.sql"), include_str!("schema_2.sql")] };
