//! The real Stripe Projects, through Stripe's Provisioning API.
//!
//! Stripe has no list of resources and no caps for resources. So an order is noted before it is sent, and a cap is the
//! monthly limit of a provider, raised before anything new can bill.

mod api_config;
mod catalog;
mod failure;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod marked;
mod notes;
mod orders;
mod provider_connections;
mod provider_limits;
mod resources;
mod retry_policy;
mod wire;

use std::{path::PathBuf, sync::Arc};

pub use api_config::{ApiBase, ApiBaseError, ApiConfig};
use async_trait::async_trait;
use domain::project::{ProjectId, ResourceId};
use http::Http;
use notes::Notes;
pub use retry_policy::RetryPolicy;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    Backend, BackendError, BackendNotes, CapScope, CommittedCaps, Credentials, Limits, MarkedResource, NewCap,
    Observed, Order, Scope, Service, Setup,
};

/// The backend that provisions through Stripe's API. It opens and requests nothing before the first call.
#[derive(Clone)]
pub struct StripeApi {
    http: Arc<Http>,
    notes: Notes,
    limits: Arc<Limits>,
    retry_policy: RetryPolicy,
    state: PathBuf,
}

impl StripeApi {
    /// `state` is the folder of the locks.
    pub fn new<N: BackendNotes + CommittedCaps + 'static>(
        config: ApiConfig,
        notes: Arc<N>,
        state: PathBuf,
        retry_policy: RetryPolicy,
    ) -> Self {
        let lock = state.join("stripe-api.limits.lock");
        Self {
            http: Arc::new(Http::new(config, retry_policy)),
            limits: Arc::new(Limits::new(notes.clone(), notes.clone(), lock)),
            notes: Notes::new(notes.clone(), notes),
            retry_policy,
            state,
        }
    }

    /// Checks that the key is of the account whose resources were noted; in another one they would look removed.
    async fn check_account(&self) -> Result<(), BackendError> {
        let noted = self.notes.text(ACCOUNT).await?;
        let account = self.account()?;
        if noted.is_some_and(|noted| noted != account) { Err(Setup::WrongAccount.into()) } else { Ok(()) }
    }

    /// Notes the account, before the first resource is created.
    async fn claim_account(&self) -> Result<(), BackendError> {
        let account = self.account()?;
        let noted = self.notes.put_text_if_absent(ACCOUNT, &account).await?;
        if noted == account { Ok(()) } else { Err(Setup::WrongAccount.into()) }
    }

    /// The account, as far as the key and the context identify it.
    fn account(&self) -> Result<String, BackendError> {
        let mode = if self.http.livemode()? { "live" } else { "test" };
        Ok(format!("{mode}/{}", self.http.context().unwrap_or_default()))
    }

    async fn observe_one(&self, id: &ResourceId, order: Option<&ProjectId>) -> Result<Option<Observed>, BackendError> {
        let resource = self.get_resource(id.as_str()).await?.filter(|resource| resource.status != "removed");
        Ok(resource.map(|_| observed(id.clone(), order)))
    }

    /// Observes resources concurrently, in the given order.
    ///
    /// Records no request ids: an observation changes nothing that an audit would trace.
    async fn observe_resources(&self, ids: &[ResourceId]) -> Result<Vec<Observed>, BackendError> {
        let mut resources = Vec::new();
        for batch in ids.chunks(CONCURRENCY) {
            let mut requests = JoinSet::new();
            for (place, id) in batch.iter().cloned().enumerate() {
                let this = self.clone();
                requests.spawn(async move { (place, this.observe_one(&id, None).await) });
            }
            let mut responses = requests.join_all().await;
            responses.sort_unstable_by_key(|(place, _)| *place);
            for (_, response) in responses {
                resources.extend(response?);
            }
        }
        Ok(resources)
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

    /// A cap is a part of the provider's limit.
    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError> {
        self.check_account().await?;
        self.follow_caps(new.service.provider()).await
    }

    /// Stripe cannot suspend a resource; a rotation whose result is dropped revokes the credentials.
    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.check_account().await?;
        self.replace_credentials(resource.as_str()).await
    }

    /// The current credentials work, and can be revealed.
    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.check_account().await?;
        self.observe_one(resource, None).await?.map(|_| ()).ok_or(BackendError::NotFound)
    }

    /// Stripe does not report usage, and a resource that was suspended by a rotation looks like any other.
    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        self.check_account().await?;
        match scope {
            Scope::Everything => {
                let why = "Stripe's API has no list of all resources";
                Err(BackendError::Unknown { why: why.into() })
            }
            Scope::Order(order) => {
                let resource = self.lookup_order(order).await?;
                Ok(resource.map(|resource| observed(resource, Some(order))).into_iter().collect())
            }
            Scope::Resources(ids) => self.observe_resources(ids).await,
        }
    }

    async fn marked(&self) -> Result<Vec<MarkedResource>, BackendError> {
        self.check_account().await?;
        self.list_marked().await
    }

    async fn adopt(&self, _: &MarkedResource, _credentials: &[String]) -> Result<(), BackendError> {
        self.claim_account().await
    }

    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        self.set_drifted_limits().await
    }
}

fn observed(resource: ResourceId, order: Option<&ProjectId>) -> Observed {
    Observed { resource, order: order.cloned(), suspended: false, usage: None }
}

/// The fields of a schema, by the provider's names.
fn schema_fields(schema: Option<&Value>) -> Vec<String> {
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys()).map(|name| failure::field(name)).collect()
}

/// The name by which the ledger knows this backend.
pub const NAME: &str = "stripe-api";

/// The key of the note that identifies the account.
const ACCOUNT: &str = "account";

/// How many resources are observed at once.
const CONCURRENCY: usize = 8;
