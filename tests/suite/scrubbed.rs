//! The decorator that keeps credentials out of errors, over a backend that puts them there.

use std::sync::Arc;

use async_trait::async_trait;
use backends::{
    Backend, BackendError, CapScope, Credentials, NewCap, Observed, Order, Scope, Scrubbed, Service,
    simulated::{PaymentMethod, Simulated},
};
use domain::{clock::Clock, project::ResourceId, secret::Secret};

use crate::backends::{KEY, order};

#[tokio::test]
async fn credential_seen_by_the_backend_is_in_no_later_error() {
    let folder = tempfile::tempdir().unwrap();
    let inner = Simulated::new(folder.path().join("simulated.db"), PaymentMethod::Succeeds, Clock::system());
    let api_key = Secret::new("rk_test_canary0123456789".to_owned());
    let backend = Scrubbed::new(Arc::new(LeakyBackend { inner, api_key: api_key.clone() })).knowing(Some(&api_key));
    let service = backend.provision(&order("quiet")).await.unwrap();
    let rotated = backend.rotate(&service.resource).await.unwrap();
    let keys = [service.credentials.pick(Some(KEY)).unwrap(), rotated.pick(Some(KEY)).unwrap(), &api_key];
    let (resource, new) = (service.resource.clone(), order("quiet"));
    let new_cap = NewCap { resource, service: new.service, cap: new.cap, enables: true };
    let errors = [
        backend.teardown(&service.resource).await.unwrap_err(),
        backend.set_cap(&new_cap).await.unwrap_err(),
        backend.suspend(&service.resource).await.unwrap_err(),
        backend.resume(&service.resource).await.unwrap_err(),
        backend.observe(Scope::Everything).await.unwrap_err(),
        backend.reconcile_limits().await.unwrap_err(),
    ];
    for error in errors {
        let text = format!("{error} {error:?}");
        for key in keys {
            assert!(!text.contains(key.expose()), "a credential is in {}", error_name(&error));
        }
        assert!(text.contains("é…é") || matches!(error, BackendError::NeedsBrowser), "the rest is kept: {text}");
    }
}

fn error_name(error: &BackendError) -> String {
    format!("{error:?}").split([' ', '{']).next().unwrap().to_owned()
}

/// A backend that puts the current credential and its own key into each error field.
struct LeakyBackend {
    inner: Simulated,
    api_key: Secret,
}

impl LeakyBackend {
    async fn leaky_text(&self, resource: &ResourceId) -> String {
        let credentials = self.inner.reveal(resource).await.unwrap();
        let key = credentials.pick(Some(KEY)).unwrap().expose().to_owned();
        format!("é{key}é, again{key}{key}, by é{}é", self.api_key.expose())
    }
}

#[async_trait]
impl Backend for LeakyBackend {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn cap_scope(&self) -> CapScope {
        self.inner.cap_scope()
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        self.inner.provision(order).await
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.inner.reveal(resource).await
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.inner.rotate(resource).await
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        Err(BackendError::Unknown { why: self.leaky_text(resource).await.into() })
    }

    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError> {
        Err(BackendError::Unknown { why: self.leaky_text(&new.resource).await.into() })
    }

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        Err(BackendError::NeedsLink { url: format!("https://example.com/{}", self.leaky_text(resource).await) })
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        Err(BackendError::Malformed { what: "status", got: self.leaky_text(resource).await })
    }

    async fn observe(&self, _: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        let all = self.inner.observe(Scope::Everything).await.unwrap();
        Err(BackendError::Unavailable { why: self.leaky_text(&all[0].resource).await.into() })
    }

    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        let all = self.inner.observe(Scope::Everything).await.unwrap();
        Err(BackendError::NeedsInformation { fields: vec![self.leaky_text(&all[0].resource).await] })
    }
}
