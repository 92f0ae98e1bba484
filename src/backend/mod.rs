//! The world that provisions: one trait, the words it speaks, and its implementations.

mod error;
mod limits;
mod request_ids;
mod scrubbed;
pub mod simulated;
pub mod stripe_api;
pub mod stripe_cli;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
pub use error::{BackendError, Consent, Refusal, Setup};
pub use limits::{Change, Limits};
pub use request_ids::collect_request_ids;
pub use scrubbed::Scrubbed;
use serde_json::{Map, Value};

use crate::{
    money::{Cents, MicroUsd},
    name::{ProjectName, ServiceRef},
    project::{ProjectId, ResourceId},
    secret::{Secret, has_sensitive_part},
};

/// Something that creates, rotates and removes services on the human's account.
///
/// # Contract
/// Held by every implementation and decorator through one suite, `tests/suite/contract.rs`:
///
/// - `provision` creates at most one resource per order id, however often it is called with it; the same order
///   gives the same resource with its current credentials. A refused order creates nothing.
/// - A credential works from the moment it is handed out. After `rotate` returns, the one before does not.
/// - `reveal` hands out the current credentials and mints nothing.
/// - `teardown` succeeds on what is already gone. Afterwards no credential of the resource works, and it costs
///   nothing more.
/// - After `suspend`, no credential handed out before works, and none of them ever will again. After `resume`, `reveal`
///   hands out one that does.
/// - `observe` is complete within its scope: what the answer lacks does not exist. A backend that cannot know says
///   [`BackendError::Unknown`] instead of answering with less.
/// - An error is named by what the caller does next, see [`BackendError`]. No error, `Debug` or observation contains
///   a credential.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The name by which the ledger remembers whose resource it is. No behaviour depends on it.
    fn name(&self) -> &'static str;

    /// What it is that the backend can cap.
    fn cap_scope(&self) -> CapScope;

    async fn provision(&self, order: &Order) -> Result<Service, BackendError>;

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError>;

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError>;

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError>;

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError>;

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError>;

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError>;

    /// Brings every limit that we set to the sum of the caps of the live projects it is for. Called after something
    /// ended; what failed is tried again by the next call. A backend that caps each project has nothing to do.
    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Whether a project that has used up its own cap is ours to suspend: the backend tells what was used, and stops
    /// spending at some other limit.
    fn requires_cap_enforcement(&self) -> bool {
        false
    }

    /// How the usage of a resource is known.
    fn metering(&self) -> Metering {
        Metering::None
    }

    /// The other program that it works through, with its version, such as `stripe 1.52.0`. It changes nothing and takes
    /// seconds at the most. `None`: there is no such program.
    async fn version(&self) -> Result<Option<String>, BackendError> {
        Ok(None)
    }

    /// Adds usage, where usage is ours to add. Real providers meter on their own.
    async fn record_usage(&self, _: &ResourceId, _: MicroUsd) -> Result<Observed, BackendError> {
        Err(BackendError::Refused(Refusal::UsageIsMetered))
    }
}

/// What is to be created.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: ProjectId,
    pub name: ProjectName,
    pub service: ServiceRef,
    /// A plan that must exist first.
    pub plan: Option<ServiceRef>,
    pub config: Map<String, Value>,
    /// The names of the credentials that will be delivered; empty means the only one there is.
    pub credentials: Vec<String>,
    pub cap: Cents,
    /// Whether the registry says that it is billed.
    pub paid: bool,
    /// Whether a person has accepted the provider's terms of service.
    pub terms_accepted: bool,
}

/// What a cap is enforced for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CapScope {
    /// Each project has its own.
    Project,
    /// Everything with one of Stripe's providers, each calendar month.
    ProviderAndMonth,
}

/// How a backend knows what a resource has cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Metering {
    /// From records on this machine: an observation takes no request.
    Local,
    /// It cannot know; the provider meters for itself.
    None,
    /// By a request.
    Remote,
}

/// What was created: the resource, and the credentials that open it.
#[derive(Debug)]
pub struct Service {
    pub resource: ResourceId,
    pub credentials: Credentials,
}

/// Credentials by the service's own names for them, such as `API_KEY`.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<String, Secret>);

impl Credentials {
    /// The one called `name`; without a name, the only one.
    ///
    /// # Errors
    /// [`BackendError::Malformed`] when the answer leaves it open which one is meant, or lacks it.
    pub fn pick(&self, name: Option<&str>) -> Result<&Secret, BackendError> {
        let found = match name {
            Some(name) => self.0.get(name),
            None if self.0.len() == 1 => self.0.values().next(),
            None => None,
        };
        found.ok_or_else(|| BackendError::Malformed { what: "credentials", got: self.names() })
    }

    /// All of them, for whom it is not the names that matter.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.0.values()
    }

    /// As they may be shown: the service chose them, and a value that came in the place of a name stays hidden.
    fn names(&self) -> String {
        self.0.keys().map(|name| if is_name(name) { name.as_str() } else { "…" }).collect::<Vec<_>>().join(", ")
    }
}

/// Whether it can be the name of a credential and nothing else.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_plain) && !has_sensitive_part(text)
}

/// Longer than any name, and shorter than what people paste.
const LONGEST_NAME: usize = 64;

impl FromIterator<(String, Secret)> for Credentials {
    fn from_iter<T: IntoIterator<Item = (String, Secret)>>(credentials: T) -> Self {
        Self(credentials.into_iter().collect())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.names())
    }
}

/// Which resources are asked about.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// All there are on this account.
    Everything,
    /// The one that an order created, if it did.
    Order(&'a ProjectId),
    /// These and no others.
    Resources(&'a [ResourceId]),
}

/// A resource that exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    pub resource: ResourceId,
    /// The order that created it, where the backend remembers.
    pub order: Option<ProjectId>,
    pub suspended: bool,
    /// What it has cost so far, where the backend knows.
    pub usage: Option<MicroUsd>,
}
