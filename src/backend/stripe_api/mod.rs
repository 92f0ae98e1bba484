//! The real Stripe Projects, through Stripe's Provisioning API.
//!
//! Stripe keeps no list of resources and knows nothing of our caps. So what was ordered is noted in the ledger before
//! it is ordered, and a cap is the monthly limit of a provider, raised before anything new can bill.

mod api_config;
mod catalog;
mod connections;
mod failure;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod http;
mod notes;
mod orders;
mod resources;
mod retry_policy;
mod spending;
mod wire;

use std::{path::PathBuf, sync::Arc};

pub use api_config::{ApiBase, ApiBaseError, ApiConfig};
use async_trait::async_trait;
use http::Http;
use notes::{NAME, Notes};
pub use retry_policy::RetryPolicy;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{Backend, BackendError, CapScope, Credentials, Limits, Observed, Order, Scope, Service, Setup};
use crate::{
    ledger::Ledger,
    project::{NoRandomness, ProjectId, ResourceId, fill_random},
    secret::hex,
};

/// The backend that provisions at Stripe. Nothing is opened or asked before the first call.
#[derive(Clone)]
pub struct StripeApi {
    http: Arc<Http>,
    notes: Notes,
    limits: Arc<Limits>,
    retry_policy: RetryPolicy,
    state: PathBuf,
}

impl StripeApi {
    /// `state` is the folder of the ledger, where the locks are.
    pub fn new(access: ApiConfig, ledger: Arc<Ledger>, state: PathBuf, retry_policy: RetryPolicy) -> Self {
        let lock = state.join("stripe-api.limits.lock");
        Self {
            http: Arc::new(Http::new(access, retry_policy)),
            notes: Notes::new(Arc::clone(&ledger)),
            limits: Arc::new(Limits::new(ledger, NAME, lock)),
            retry_policy,
            state,
        }
    }

    /// That this is the account whose resources the ledger remembers: to another one's key they would look removed.
    async fn check_account(&self) -> Result<(), BackendError> {
        let remembered = self.notes.text(ACCOUNT).await?;
        let ours = self.account()?;
        if remembered.is_some_and(|theirs| theirs != ours) { Err(Setup::WrongAccount.into()) } else { Ok(()) }
    }

    /// From the first thing that is made at Stripe on, this workspace belongs to its account.
    async fn claim_account(&self) -> Result<(), BackendError> {
        let ours = self.account()?;
        let theirs = self.notes.note_first(ACCOUNT, &ours).await?;
        if theirs == ours { Ok(()) } else { Err(Setup::WrongAccount.into()) }
    }

    /// As much of the account as its key and context say.
    fn account(&self) -> Result<String, BackendError> {
        let mode = if self.http.livemode()? { "live" } else { "test" };
        Ok(format!("{mode}/{}", self.http.context().unwrap_or_default()))
    }

    async fn observe_one(&self, id: &ResourceId, order: Option<&ProjectId>) -> Result<Option<Observed>, BackendError> {
        let found = self.look(id.as_str()).await?.filter(|resource| resource.status != "removed");
        let (resource, order) = (id.clone(), order.cloned());
        Ok(found.map(|_| Observed { resource, order, suspended: false, usage: None }))
    }

    /// A batch at a time, in the order in which they were asked for. Looks leave no request ids: nothing is changed
    /// that an audit would want to trace.
    async fn observe_these(&self, ids: &[ResourceId]) -> Result<Vec<Observed>, BackendError> {
        let mut seen = Vec::new();
        for batch in ids.chunks(CONCURRENCY) {
            let mut looks = JoinSet::new();
            for (place, id) in batch.iter().cloned().enumerate() {
                let this = self.clone();
                looks.spawn(async move { (place, this.observe_one(&id, None).await) });
            }
            let mut looked = looks.join_all().await;
            looked.sort_unstable_by_key(|(place, _)| *place);
            for (_, outcome) in looked {
                seen.extend(outcome?);
            }
        }
        Ok(seen)
    }
}

#[async_trait]
impl Backend for StripeApi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cap_scope(&self) -> CapScope {
        CapScope::ProviderAndMonth
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        self.check_account().await?;
        self.submit(order).await
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.check_account().await?;
        self.reveal_now(resource.as_str()).await
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.check_account().await?;
        self.replace_credentials(resource.as_str()).await?;
        self.reveal_now(resource.as_str()).await.map_err(BackendError::into_unknown)
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.check_account().await?;
        self.remove(resource.as_str()).await
    }

    /// Stripe has no such thing: a rotation whose outcome nobody is told kills what was handed out.
    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.check_account().await?;
        self.replace_credentials(resource.as_str()).await
    }

    /// What works is there to be revealed.
    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.check_account().await?;
        self.observe_one(resource, None).await?.map(|_| ()).ok_or(BackendError::NotFound)
    }

    /// Stripe has no list of resources, so nobody can say what everything is. It meters for itself, so usage is not
    /// known; and a suspension is a rotation, after which a resource looks like any other.
    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        self.check_account().await?;
        match scope {
            Scope::Everything => {
                let why = "Stripe's API has no list of all resources";
                Err(BackendError::Unknown { why: why.into() })
            }
            Scope::Order(order) => {
                let resource = self.lookup_order(order).await?;
                let seen = |resource| Observed { resource, order: Some(order.clone()), suspended: false, usage: None };
                Ok(resource.map(seen).into_iter().collect())
            }
            Scope::Resources(ids) => self.observe_these(ids).await,
        }
    }

    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        self.settle().await
    }
}

/// An idempotency key for what may be done more than once, but once by each call.
fn random_key() -> Result<String, NoRandomness> {
    let mut bytes = [0; 16];
    fill_random(&mut bytes)?;
    Ok(hex(&bytes))
}

/// What a provider wants to know, by its own names.
fn schema_fields(schema: Option<&Value>) -> Vec<String> {
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys()).map(|name| failure::field(name)).collect()
}

/// Key of the note that says whose resources these are.
const ACCOUNT: &str = "account";

/// How many resources are looked at at once.
const CONCURRENCY: usize = 8;
