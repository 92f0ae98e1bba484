//! The simulated Stripe Projects: a [`Backend`] over an honest small world in a file of its own.
//!
//! It differs from the real one in that nothing is billed, and in that the world can be asked whether a credential
//! is live, which is how a test or the demo sees an old key die.

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
pub use payment::{PaymentError, PaymentMethod};
pub use store::{SimulatedStoreError, SimulatedStripe};
use tokio::task;

use super::{Backend, BackendError, CapScope, Credentials, Metering, Observed, Order, Scope, Service};
use crate::{clock::Clock, money::MicroUsd, project::ResourceId};

/// The simulated backend. Its file is created on first use.
pub struct Simulated {
    store: Arc<SimulatedStripe>,
    payment_method: PaymentMethod,
}

impl Simulated {
    pub fn new(path: PathBuf, payment_method: PaymentMethod, clock: Clock) -> Self {
        Self { store: Arc::new(SimulatedStripe::new(path, clock)), payment_method }
    }

    /// The world is a file, and files block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&SimulatedStripe) -> Result<T, SimulatedStoreError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let store = Arc::clone(&self.store);
        match task::spawn_blocking(move || question(&store)).await {
            Ok(answer) => answer.map_err(BackendError::from),
            Err(_) => Err(BackendError::Unknown { why: "the simulated world stopped half way".to_owned() }),
        }
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
        self.ask(move |store| store.provision(&order, payment_method)).await
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        let resource = resource.clone();
        self.ask(move |store| store.reveal(&resource)).await
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        let resource = resource.clone();
        self.ask(move |store| store.rotate(&resource)).await
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        let resource = resource.clone();
        self.ask(move |store| store.teardown(&resource)).await
    }

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        let resource = resource.clone();
        self.ask(move |store| store.suspend(&resource)).await
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        let resource = resource.clone();
        self.ask(move |store| store.resume(&resource)).await
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        match scope {
            Scope::Everything => self.ask(SimulatedStripe::observe_everything).await,
            Scope::Order(order) => {
                let order = order.clone();
                self.ask(move |store| store.observe_order(&order)).await
            }
            Scope::Resources(resources) => {
                let resources = resources.to_vec();
                self.ask(move |store| store.observe_resources(&resources)).await
            }
        }
    }

    async fn record_usage(&self, resource: &ResourceId, amount: MicroUsd) -> Result<Observed, BackendError> {
        let resource = resource.clone();
        self.ask(move |store| store.accrue(&resource, amount)).await
    }
}
