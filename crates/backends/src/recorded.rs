//! A real backend as a server uses it: only through what a person has recorded.
//!
//! A host entry starts the server, and a repository can bring that entry. So its flags and variables choose among
//! recorded connections, and never a program, an address or a key file of their own.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::{budget::CapPeriod, connection::ConnectionTarget, money::MicroUsd, project::ResourceId};

use super::{
    Backend, BackendError, CapScope, Credentials, MarkedResource, Metering, NewCap, Observed, Order, Scope, Service,
};

/// A real backend that is built once a person has recorded a connection to it.
pub struct Recorded {
    find: FindTarget,
    make: MakeBackend,
    /// Tells the facts that do not depend on a connection. It is never asked for anything else.
    unconnected: Arc<dyn Backend>,
    built: Mutex<Option<(ConnectionTarget, Arc<dyn Backend>)>>,
}

/// Finds the target that counts at this moment. It blocks.
pub type FindTarget = Box<dyn Fn() -> Result<Option<ConnectionTarget>, BackendError> + Send + Sync>;

/// Builds the backend for a target.
pub type MakeBackend = Box<dyn Fn(&ConnectionTarget) -> Result<Arc<dyn Backend>, BackendError> + Send + Sync>;

impl Recorded {
    /// `unconnected` is the same backend without a connection; nothing is asked of it.
    pub fn new(unconnected: Arc<dyn Backend>, find: FindTarget, make: MakeBackend) -> Self {
        Self { find, make, unconnected, built: Mutex::default() }
    }

    /// Returns the backend of the recorded connection, which may have changed since the last call.
    fn connected(&self) -> Result<(Arc<dyn Backend>, ConnectionTarget), BackendError> {
        let found = (self.find)()?;
        let target = found.ok_or_else(|| BackendError::NotConnected { backend: self.unconnected.name() })?;
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((present, backend)) = &*built
            && *present == target
        {
            return Ok((Arc::clone(backend), target));
        }
        let backend = (self.make)(&target)?;
        *built = Some((target.clone(), Arc::clone(&backend)));
        Ok((backend, target))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for Recorded {
    fn name(&self) -> &'static str {
        self.unconnected.name()
    }

    fn cap_scope(&self) -> CapScope {
        self.unconnected.cap_scope()
    }

    fn cap_period(&self) -> CapPeriod {
        self.unconnected.cap_period()
    }

    fn requires_cap_enforcement(&self) -> bool {
        self.unconnected.requires_cap_enforcement() && self.connected().is_ok()
    }

    /// Without a connection, usage is not asked for.
    fn metering(&self) -> Metering {
        if self.connected().is_ok() { self.unconnected.metering() } else { Metering::None }
    }

    fn ensure_connected(&self) -> Result<(), BackendError> {
        self.connected().map(drop)
    }

    /// Terms count as accepted if the person who connected the workspace accepted them.
    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        let (backend, target) = self.connected()?;
        let order = Order { terms_accepted: order.terms_accepted || target.terms_accepted, ..order.clone() };
        backend.provision(&order).await
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.connected()?.0.reveal(resource).await
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.connected()?.0.rotate(resource).await
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.connected()?.0.teardown(resource).await
    }

    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError> {
        self.connected()?.0.set_cap(new).await
    }

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.connected()?.0.suspend(resource).await
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.connected()?.0.resume(resource).await
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        self.connected()?.0.observe(scope).await
    }

    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        match self.connected() {
            Err(BackendError::NotConnected { .. }) => Ok(()), // nothing was raised from here
            connected => connected?.0.reconcile_limits().await,
        }
    }

    async fn version(&self) -> Result<Option<String>, BackendError> {
        self.connected()?.0.version().await
    }

    async fn marked(&self) -> Result<Vec<MarkedResource>, BackendError> {
        self.connected()?.0.marked().await
    }

    async fn adopt(&self, resource: &MarkedResource, credentials: &[String]) -> Result<(), BackendError> {
        self.connected()?.0.adopt(resource, credentials).await
    }

    async fn record_usage(&self, resource: &ResourceId, amount: MicroUsd) -> Result<Observed, BackendError> {
        self.connected()?.0.record_usage(resource, amount).await
    }
}
