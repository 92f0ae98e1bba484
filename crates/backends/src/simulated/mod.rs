//! The simulated Stripe Projects: a [`Backend`] over a simulated account in a database of its own.
//!
//! It differs from the real one in two points: nothing is billed, and [`SimulatedStripe`] tells whether a credential
//! works, so that a test or the demo can check that an old key is revoked.

mod account;
mod limits;
mod payment;
mod resources;
mod store;

use std::{path::PathBuf, sync::Arc};

pub use account::{
    Account, Answer, ApiResource, ApiStatus, ConnectionRequest, ConnectionStatus, Details, Ordered, Outcome,
};
use async_trait::async_trait;
use domain::{clock::Clock, money::MicroUsd, project::ResourceId};
pub use payment::{PaymentError, PaymentMethod};
pub use store::{SimulatedStoreError, SimulatedStripe};

use super::{
    Backend, BackendError, CapScope, Credentials, MarkedResource, Metering, NewCap, Observed, Order, Scope, Service,
    blocking,
};

/// The simulated backend. Its database is created on first use.
pub struct Simulated {
    store: Arc<SimulatedStripe>,
    payment_method: PaymentMethod,
}

impl Simulated {
    pub fn new(path: PathBuf, payment_method: PaymentMethod, clock: Clock) -> Self {
        Self { store: Arc::new(SimulatedStripe::new(path, clock)), payment_method }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SimulatedStripe) -> Result<T, SimulatedStoreError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let store = Arc::clone(&self.store);
        let panicked = || BackendError::Unknown { why: "the simulated account failed unexpectedly".into() };
        blocking(move || Ok(work(&store)?), panicked).await
    }
}

#[async_trait]
impl Backend for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn cap_scope(&self) -> CapScope {
        CapScope::Project
    }

    fn metering(&self) -> Metering {
        Metering::Local
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        let (order, payment_method) = (order.clone(), self.payment_method);
        self.run(move |store| store.provision(&order, payment_method)).await
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        let resource = resource.clone();
        self.run(move |store| store.reveal(&resource)).await
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        let resource = resource.clone();
        self.run(move |store| store.rotate(&resource)).await
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        let resource = resource.clone();
        self.run(move |store| store.teardown(&resource)).await
    }

    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError> {
        let new = new.clone();
        self.run(move |store| store.set_cap(&new)).await
    }

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        let resource = resource.clone();
        self.run(move |store| store.suspend(&resource)).await
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        let resource = resource.clone();
        self.run(move |store| store.resume(&resource)).await
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        match scope {
            Scope::Everything => self.run(SimulatedStripe::observe_everything).await,
            Scope::Order(order) => {
                let order = order.clone();
                self.run(move |store| store.observe_order(&order)).await
            }
            Scope::Resources(resources) => {
                let resources = resources.to_vec();
                self.run(move |store| store.observe_resources(&resources)).await
            }
        }
    }

    async fn marked(&self) -> Result<Vec<MarkedResource>, BackendError> {
        self.run(SimulatedStripe::marked).await
    }

    async fn record_usage(&self, resource: &ResourceId, amount: MicroUsd) -> Result<Observed, BackendError> {
        let resource = resource.clone();
        self.run(move |store| store.accrue(&resource, amount)).await
    }
}
