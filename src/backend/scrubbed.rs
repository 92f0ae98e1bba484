//! A decorator over any backend: no credential that passed through survives inside an error.
//!
//! Backends do not put credentials into errors; this is for the one that repeats what it was told by somebody else.
//! No credential is kept for it: what has passed is known by length and fingerprint.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{Backend, BackendError, CapScope, Credentials, Metering, Observed, Order, Scope, Service};
use crate::{
    money::MicroUsd,
    project::ResourceId,
    secret::{Fingerprint, Secret},
};

/// A backend whose errors are clean.
pub struct Scrubbed {
    inner: Arc<dyn Backend>,
    /// Fingerprints of what may not be said, by length in bytes.
    known: Mutex<BTreeMap<usize, BTreeSet<Fingerprint>>>,
}

impl Scrubbed {
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, known: Mutex::default() }
    }

    /// Learns one more secret, such as the API key that the backend itself uses.
    #[must_use]
    pub fn knowing(self, secret: Option<&Secret>) -> Self {
        if let Some(secret) = secret {
            self.learn(secret);
        }
        self
    }

    fn learn(&self, secret: &Secret) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(secret.len()).or_default().insert(secret.fingerprint());
    }

    fn credentials(&self, outcome: Result<Credentials, BackendError>) -> Result<Credentials, BackendError> {
        let credentials = self.clean(outcome)?;
        credentials.secrets().for_each(|secret| self.learn(secret));
        Ok(credentials)
    }

    fn clean<T>(&self, outcome: Result<T, BackendError>) -> Result<T, BackendError> {
        outcome.map_err(|error| match error {
            BackendError::Malformed { what, got } => BackendError::Malformed { what, got: self.scrub(&got) },
            BackendError::NeedsInformation { fields } => {
                BackendError::NeedsInformation { fields: fields.iter().map(|field| self.scrub(field)).collect() }
            }
            // An address with a key in it is no address for anybody.
            BackendError::NeedsLink { url } if self.scrub(&url) != url => BackendError::NeedsBrowser,
            BackendError::Unavailable { why } => BackendError::Unavailable { why: self.scrub(&why) },
            BackendError::Unknown { why } => BackendError::Unknown { why: self.scrub(&why) },
            clean => clean,
        })
    }

    /// The text with every known secret in it replaced.
    fn scrub(&self, text: &str) -> String {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = text.to_owned();
        for (length, fingerprints) in known.iter().filter(|(length, _)| **length > 0) {
            let mut at = 0;
            while let Some(window) = text.as_bytes().get(at..at + length) {
                let is_known = fingerprints.contains(&Fingerprint::of(window));
                if is_known && text.is_char_boundary(at) && text.is_char_boundary(at + length) {
                    text.replace_range(at..at + length, HIDDEN);
                }
                at += 1;
            }
        }
        text
    }
}

#[async_trait]
impl Backend for Scrubbed {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn cap_scope(&self) -> CapScope {
        self.inner.cap_scope()
    }

    fn requires_cap_enforcement(&self) -> bool {
        self.inner.requires_cap_enforcement()
    }

    fn metering(&self) -> Metering {
        self.inner.metering()
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        let service = self.clean(self.inner.provision(order).await)?;
        service.credentials.secrets().for_each(|secret| self.learn(secret));
        Ok(service)
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.credentials(self.inner.reveal(resource).await)
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.credentials(self.inner.rotate(resource).await)
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.clean(self.inner.teardown(resource).await)
    }

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.clean(self.inner.suspend(resource).await)
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.clean(self.inner.resume(resource).await)
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        self.clean(self.inner.observe(scope).await)
    }

    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        self.clean(self.inner.reconcile_limits().await)
    }

    async fn version(&self) -> Result<Option<String>, BackendError> {
        self.clean(self.inner.version().await)
    }

    async fn record_usage(&self, resource: &ResourceId, amount: MicroUsd) -> Result<Observed, BackendError> {
        self.clean(self.inner.record_usage(resource, amount).await)
    }
}

const HIDDEN: &str = "…";
