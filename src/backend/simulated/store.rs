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
    store::{
        StoreError,
        sqlite::{Database, Schema},
    },
};

/// A small world in a file, shared safely by any number of processes.
///
/// Every question is one transaction. Its rules, as Stripe has them: a paid service charges a payment method; a
/// provider has a monthly limit that covers everything provisioned there; what has used up its cap is suspended.
pub struct SimulatedStripe {
    database: Database,
    clock: Clock,
}

/// Why the world did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedStoreError {
    #[error(transparent)]
    Database(#[from] StoreError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error("no such resource")]
    NotFound,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl SimulatedStripe {
    /// The world in that file, which is created on first use.
    pub fn new(path: PathBuf, clock: Clock) -> Self {
        Self { database: Database::new(path, &SCHEMA), clock }
    }

    /// Creates what was ordered, or finds what that order created before.
    ///
    /// # Errors
    /// [`Refusal::CardDeclined`] for a paid service; [`SimulatedStoreError::NotFound`] when the order's resource is removed.
    pub fn provision(&self, order: &Order, payment_method: PaymentMethod) -> Result<Service, SimulatedStoreError> {
        self.database.write(|connection| {
            let resource = match resources::by_order(connection, &order.id)? {
                Some(resource) => resource.existing()?,
                None if order.paid && payment_method == PaymentMethod::Declines => {
                    return Err(Refusal::CardDeclined.into());
                }
                None => {
                    let resource = resources::create(
                        connection,
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
                    limits::cover_caps(connection, &resource.provider, &self.month())?;
                    resource
                }
            };
            Ok(Service { credentials: resources::credentials(connection, &resource)?, resource: resource.id })
        })
    }

    /// Somebody acts on what this says, so it is true for good.
    ///
    /// # Errors
    /// [`SimulatedStoreError::NotFound`] when there is no such resource.
    pub fn reveal(&self, id: &ResourceId) -> Result<Credentials, SimulatedStoreError> {
        self.database
            .read_durable(|connection| resources::credentials(connection, &resources::existing(connection, id)?))
    }

    /// Exchanges every credential of a resource; the old ones are forgotten, which is what makes them dead.
    ///
    /// # Errors
    /// [`SimulatedStoreError::NotFound`] when there is no such resource.
    pub fn rotate(&self, id: &ResourceId) -> Result<Credentials, SimulatedStoreError> {
        self.database.write(|connection| {
            let resource = resources::existing(connection, id)?;
            resources::mint_again(connection, &resource, &self.clock.now().to_string())?;
            resources::credentials(connection, &resource)
        })
    }

    /// Removes a resource, if it is still there, and gives its part of the provider's limit back.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn teardown(&self, id: &ResourceId) -> Result<(), SimulatedStoreError> {
        self.database.write(|connection| match resources::existing(connection, id) {
            Err(SimulatedStoreError::NotFound) => Ok(()),
            Err(error) => Err(error),
            Ok(resource) => {
                resources::remove(connection, &resource)?;
                limits::cover_caps(connection, &resource.provider, &self.month())
            }
        })
    }

    /// # Errors
    /// [`SimulatedStoreError::NotFound`] when there is no such resource.
    pub fn suspend(&self, id: &ResourceId) -> Result<(), SimulatedStoreError> {
        self.database.write(|connection| {
            let resource = resources::existing(connection, id)?;
            resources::mint_again(connection, &resource, &self.clock.now().to_string())?; // whoever has the old one has it for nothing, also later
            resources::set_suspended(connection, &resource, true)
        })
    }

    /// # Errors
    /// [`Refusal::CapReached`] or [`Refusal::MonthlyLimitReached`] while there is nothing left to spend.
    pub fn resume(&self, id: &ResourceId) -> Result<(), SimulatedStoreError> {
        self.database.write(|connection| {
            let resource = resources::existing(connection, id)?;
            if resource.usage >= resource.cap {
                return Err(Refusal::CapReached.into());
            }
            let limit = limits::of(connection, &resource.provider)?;
            if limits::spent_in(connection, &resource.provider, &self.month())? >= limit.micro_usd() {
                return Err(Refusal::MonthlyLimitReached { limit }.into());
            }
            resources::set_suspended(connection, &resource, false)
        })
    }

    /// Bills a resource, and suspends it when that uses up its cap, or all of its provider's resources when that
    /// uses up the month.
    ///
    /// # Errors
    /// [`Refusal::CapReached`] or [`Refusal::Suspended`] for what is suspended: nobody can have used it.
    pub fn accrue(&self, id: &ResourceId, amount: MicroUsd) -> Result<Observed, SimulatedStoreError> {
        self.database.write(|connection| {
            let resource = resources::existing(connection, id)?;
            if resource.suspended {
                let used_up = resource.usage >= resource.cap;
                return Err(if used_up { Refusal::CapReached } else { Refusal::Suspended }.into());
            }
            resources::bill(connection, &resource, &self.month(), amount)?;
            if resource.usage.saturating_add(amount) >= resource.cap {
                resources::set_suspended(connection, &resource, true)?;
            }
            limits::enforce(connection, &resource.provider, &self.month())?;
            Ok(resources::existing(connection, id)?.observed())
        })
    }

    /// Sets what a provider may bill in a month, and enforces it at once.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn set_monthly_limit(&self, provider: &str, limit: Cents) -> Result<(), SimulatedStoreError> {
        self.database.write(|connection| {
            limits::save(connection, provider, limit)?;
            limits::enforce(connection, provider, &self.month())
        })
    }

    /// Whether a credential works right now, and for which resource.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn owner_of(&self, credential: &Secret) -> Result<Option<ResourceId>, SimulatedStoreError> {
        self.database.read(|connection| resources::owner_of(connection, credential))
    }

    /// # Errors
    /// Only when the file does not serve.
    pub fn observe_everything(&self) -> Result<Vec<Observed>, SimulatedStoreError> {
        self.database.read(resources::all)
    }

    /// Somebody acts on what this says, so it is true for good.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn observe_order(&self, order: &ProjectId) -> Result<Vec<Observed>, SimulatedStoreError> {
        self.database.read_durable(|connection| {
            let found = resources::by_order(connection, order)?.and_then(|resource| resource.existing().ok());
            Ok(found.map(Resource::observed).into_iter().collect())
        })
    }

    /// # Errors
    /// Only when the file does not serve.
    pub fn observe_resources(&self, ids: &[ResourceId]) -> Result<Vec<Observed>, SimulatedStoreError> {
        self.database.read(|connection| {
            let mut observed = Vec::with_capacity(ids.len());
            for id in ids {
                match resources::existing(connection, id) {
                    Ok(resource) => observed.push(resource.observed()),
                    Err(SimulatedStoreError::NotFound) => {}
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
    pub fn look<T, E: From<StoreError>>(&self, work: impl FnOnce(&Account<'_>) -> Result<T, E>) -> Result<T, E> {
        self.database.read(|connection| work(&Account::new(connection, self.clock.now(), self.month())))
    }

    /// Changes the world through Stripe's API: all of what `work` does happens, or, if it fails, nothing of it.
    ///
    /// # Errors
    /// What `work` returns, and then nothing has happened; or when the file does not serve.
    pub fn change<T, E: From<StoreError>>(&self, work: impl FnOnce(&Account<'_>) -> Result<T, E>) -> Result<T, E> {
        self.database.write(|connection| work(&Account::new(connection, self.clock.now(), self.month())))
    }

    /// The billing period that it is now, in UTC: `2026-11`.
    fn month(&self) -> String {
        let now = self.clock.now().to_string();
        now.get(..7).unwrap_or(&now).to_owned()
    }
}

impl From<rusqlite::Error> for SimulatedStoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<SimulatedStoreError> for BackendError {
    fn from(error: SimulatedStoreError) -> Self {
        match error {
            SimulatedStoreError::Database(error) => Self::Unavailable { why: error.to_string() },
            SimulatedStoreError::NoRandomness(error) => error.into(),
            SimulatedStoreError::NotFound => Self::NotFound,
            SimulatedStoreError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

static SCHEMA: Schema = Schema { migrations: &[include_str!("schema_1.sql"), include_str!("schema_2.sql")] };
