//! The simulated Stripe account: its resources and its rules about money.

use std::path::PathBuf;

use domain::{
    clock::Clock,
    money::{Cents, MicroUsd},
    project::{NoRandomness, ProjectId, ResourceId},
    secret::Secret,
};
use storage::store::{
    StoreError,
    sqlite::{Database, Schema},
};

use super::{
    account::Account,
    limits,
    payment::PaymentMethod,
    resources::{self, NewResource, ResourceRow},
};
use crate::{BackendError, Credentials, MarkedResource, NewCap, Observed, Order, Refusal, Service};

/// A simulated Stripe account in a database, shared safely by any number of processes.
///
/// Every call is one transaction. Its rules follow Stripe's: a paid service charges a payment method; a provider has a
/// monthly limit for all of its resources; a resource that has used up its cap is suspended.
pub struct SimulatedStripe {
    database: Database,
    clock: Clock,
}

/// Why the simulated account refused a call.
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
    /// The account in that file, which is created on first use.
    pub fn new(path: PathBuf, clock: Clock) -> Self {
        Self { database: Database::new(path, &SCHEMA), clock }
    }

    /// Creates the resource of an order, or returns the one that it created before.
    ///
    /// # Errors
    /// [`Refusal::CardDeclined`] for a paid service; [`SimulatedStoreError::NotFound`] if the order's resource is removed.
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
                        &NewResource {
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

    /// Returns the current credentials. Reads only durable state.
    ///
    /// # Errors
    /// [`SimulatedStoreError::NotFound`]
    pub fn reveal(&self, id: &ResourceId) -> Result<Credentials, SimulatedStoreError> {
        self.database
            .read_durable(|connection| resources::credentials(connection, &resources::existing(connection, id)?))
    }

    /// Replaces every credential of a resource. Deleting the old ones revokes them.
    ///
    /// # Errors
    /// [`SimulatedStoreError::NotFound`]
    pub fn rotate(&self, id: &ResourceId) -> Result<Credentials, SimulatedStoreError> {
        self.database.write(|connection| {
            let resource = resources::existing(connection, id)?;
            resources::replace_credentials(connection, &resource, &self.clock.now().to_string())?;
            resources::credentials(connection, &resource)
        })
    }

    /// Removes a resource, if it exists, and lowers the provider's limit.
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

    /// Changes the cap of a resource, and its provider's limit with it.
    ///
    /// # Errors
    /// [`SimulatedStoreError::NotFound`]
    pub fn set_cap(&self, new: &NewCap) -> Result<(), SimulatedStoreError> {
        self.database.write(|connection| {
            let resource = resources::existing(connection, &new.resource)?;
            let cap = new.cap.micro_usd();
            resources::set_cap(connection, &resource, cap)?;
            limits::cover_caps(connection, &resource.provider, &self.month())?;
            if resource.usage >= cap {
                return resources::set_suspended(connection, &resource, true);
            }
            let was_used_up = resource.suspended && resource.usage >= resource.cap;
            if new.enables && was_used_up { resources::set_suspended(connection, &resource, false) } else { Ok(()) }
        })
    }

    /// # Errors
    /// [`SimulatedStoreError::NotFound`]
    pub fn suspend(&self, id: &ResourceId) -> Result<(), SimulatedStoreError> {
        self.database.write(|connection| {
            let resource = resources::existing(connection, id)?;
            // The old credentials never work again, also after `resume`.
            resources::replace_credentials(connection, &resource, &self.clock.now().to_string())?;
            resources::set_suspended(connection, &resource, true)
        })
    }

    /// # Errors
    /// [`Refusal::CapReached`] or [`Refusal::MonthlyLimitReached`] if the cap or the limit is used up.
    pub fn resume(&self, id: &ResourceId) -> Result<(), SimulatedStoreError> {
        self.database.write(|connection| {
            let resource = resources::existing(connection, id)?;
            if resource.usage >= resource.cap {
                return Err(Refusal::CapReached.into());
            }
            let limit = limits::effective(connection, &resource.provider)?;
            if limits::spent_in(connection, &resource.provider, &self.month())? >= limit.micro_usd() {
                return Err(Refusal::MonthlyLimitReached { limit }.into());
            }
            resources::set_suspended(connection, &resource, false)
        })
    }

    /// Bills a resource.
    ///
    /// Suspends it if that uses up its cap, and all of its provider's resources if that uses up the monthly limit.
    ///
    /// # Errors
    /// [`Refusal::CapReached`] or [`Refusal::Suspended`] for a suspended resource, which cannot have been used.
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

    /// Sets the monthly limit of a provider, and enforces it at once.
    pub fn set_monthly_limit(&self, provider: &str, limit: Cents) -> Result<(), SimulatedStoreError> {
        self.database.write(|connection| {
            limits::save(connection, provider, limit)?;
            limits::enforce(connection, provider, &self.month())
        })
    }

    /// Returns the resource whose credential this is, if it works now.
    pub fn owner_of(&self, credential: &Secret) -> Result<Option<ResourceId>, SimulatedStoreError> {
        self.database.read(|connection| resources::owner_of(connection, credential))
    }

    pub fn observe_everything(&self) -> Result<Vec<Observed>, SimulatedStoreError> {
        self.database.read(resources::all)
    }

    /// Lists every resource with the order that created it. Reads only durable state.
    pub fn marked(&self) -> Result<Vec<MarkedResource>, SimulatedStoreError> {
        self.database.read_durable(resources::all)
    }

    /// Reads only durable state: the caller acts on an absence.
    pub fn observe_order(&self, order: &ProjectId) -> Result<Vec<Observed>, SimulatedStoreError> {
        self.database.read_durable(|connection| {
            let resource = resources::by_order(connection, order)?.and_then(|resource| resource.existing().ok());
            Ok(resource.map(ResourceRow::observed).into_iter().collect())
        })
    }

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

    /// Reads the account as Stripe's API shows it, in one transaction.
    pub fn look<T, E: From<StoreError>>(&self, work: impl FnOnce(&Account<'_>) -> Result<T, E>) -> Result<T, E> {
        self.database.read(|connection| work(&Account::new(connection, self.clock.now(), self.month())))
    }

    /// Changes the account through Stripe's API, in one transaction that is rolled back if `work` fails.
    pub fn change<T, E: From<StoreError>>(&self, work: impl FnOnce(&Account<'_>) -> Result<T, E>) -> Result<T, E> {
        self.database.write(|connection| work(&Account::new(connection, self.clock.now(), self.month())))
    }

    /// The current billing period in UTC: `2026-11`.
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
            SimulatedStoreError::Database(error) => Self::Unavailable { why: error.into() },
            SimulatedStoreError::NoRandomness(error) => error.into(),
            SimulatedStoreError::NotFound => Self::NotFound,
            SimulatedStoreError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

static SCHEMA: Schema = Schema::new(
    &[include_str!("schema_1.sql"), include_str!("schema_2.sql")],
    // After a new migration, a test prints it.
    "fe96e248d33bdb1c3b029aaae66e0ce8d1bb3f9d541a0a8eef69a6d965a342c4",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_that_of_the_migrated_schema() {
        assert_eq!(SCHEMA.digest(), SCHEMA.computed_digest().unwrap());
    }
}
