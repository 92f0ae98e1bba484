//! A backend that removes credentials from the errors of the wrapped implementation.
//!
//! Backends do not put credentials into errors; this is a second line of defence against an upstream that echoes one.
//! Credentials are recognized by length and fingerprint; none is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use domain::{
    budget::CapPeriod,
    money::MicroUsd,
    project::ResourceId,
    secret::{Fingerprint, Secret},
};

use super::{
    Backend, BackendError, CapScope, Cause, Credentials, MarkedResource, Metering, NewCap, Observed, Order, Scope,
    Service,
};

/// A backend whose errors contain no credential that it has handed out.
pub struct Scrubbed {
    inner: Arc<dyn Backend>,
    /// Fingerprints of the credentials, by length in bytes.
    known: Mutex<BTreeMap<usize, BTreeSet<Fingerprint>>>,
}

impl Scrubbed {
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, known: Mutex::default() }
    }

    /// Removes one more secret, such as the API key that the backend itself uses.
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

    fn learn_credentials(&self, result: Result<Credentials, BackendError>) -> Result<Credentials, BackendError> {
        let credentials = self.clean(result)?;
        credentials.secrets().for_each(|secret| self.learn(secret));
        Ok(credentials)
    }

    fn clean<T>(&self, result: Result<T, BackendError>) -> Result<T, BackendError> {
        result.map_err(|error| match error {
            BackendError::Malformed { what, got } => BackendError::Malformed { what, got: self.scrub(&got) },
            BackendError::NeedsInformation { fields } => {
                BackendError::NeedsInformation { fields: fields.iter().map(|field| self.scrub(field)).collect() }
            }
            // An address with a key in it must not be shown.
            BackendError::NeedsLink { url } if self.scrub(&url) != url => BackendError::NeedsBrowser,
            BackendError::Unavailable { why } => BackendError::Unavailable { why: self.clean_cause(why) },
            BackendError::Unknown { why } => BackendError::Unknown { why: self.clean_cause(why) },
            clean => clean,
        })
    }

    /// Keeps an error and its causes if they contain no known secret; else their text, without the secret.
    fn clean_cause(&self, why: Cause) -> Cause {
        let causes = iter::successors(why.source(), |cause| cause.source());
        let mut texts = causes.map(ToString::to_string).chain([why.to_string(), format!("{why:?}")]);
        let is_clean = |text: String| self.scrub(&text) == text;
        if texts.all(is_clean) { why } else { self.scrub(&why.to_string()).into() }
    }

    /// Replaces every known secret in a text.
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

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for Scrubbed {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn cap_scope(&self) -> CapScope {
        self.inner.cap_scope()
    }

    fn cap_period(&self) -> CapPeriod {
        self.inner.cap_period()
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
        self.learn_credentials(self.inner.reveal(resource).await)
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.learn_credentials(self.inner.rotate(resource).await)
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.clean(self.inner.teardown(resource).await)
    }

    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError> {
        self.clean(self.inner.set_cap(new).await)
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

    fn ensure_connected(&self) -> Result<(), BackendError> {
        self.inner.ensure_connected()
    }

    async fn marked(&self) -> Result<Vec<MarkedResource>, BackendError> {
        self.clean(self.inner.marked().await)
    }

    async fn adopt(&self, resource: &MarkedResource, credentials: &[String]) -> Result<(), BackendError> {
        self.clean(self.inner.adopt(resource, credentials).await)
    }

    async fn record_usage(&self, resource: &ResourceId, amount: MicroUsd) -> Result<Observed, BackendError> {
        self.clean(self.inner.record_usage(resource, amount).await)
    }
}

const HIDDEN: &str = "…";

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use domain::clock::Clock;
    use storage::store::StoreError;

    use super::*;
    use crate::{
        NotesError,
        simulated::{PaymentMethod, Simulated},
    };

    #[test]
    fn cause_is_kept_unless_it_contains_a_secret() {
        let inner = Simulated::new(PathBuf::new(), PaymentMethod::Succeeds, Clock::system());
        let scrubbed = Scrubbed::new(Arc::new(inner)).knowing(Some(&Secret::new("canary".to_owned())));
        let cleaned = |cause: rusqlite::Error| {
            let notes = NotesError::new(StoreError::Damaged(cause.into()));
            match scrubbed.clean::<()>(Err(notes.into())) {
                Err(BackendError::Unavailable { why }) => why,
                other => panic!("{other:?}"),
            }
        };
        assert!(cleaned(rusqlite::Error::InvalidQuery).source().is_some());
        let dirty = cleaned(rusqlite::Error::InvalidParameterName("canary".to_owned()));
        assert!(dirty.source().is_none() && !format!("{dirty:?}{dirty}").contains("canary"), "{dirty:?}");
    }
}
