//! Backends: the trait, its types, and its implementations.

pub mod alerts;
mod blocking;
mod diagnostic;
mod error;
mod limits;
mod marked;
pub mod net;
mod notes;
mod recorded;
mod request_ids;
mod scrubbed;
pub mod simulated;
pub mod stripe_api;
pub mod stripe_cli;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
pub use blocking::blocking;
use domain::{
    budget::CapPeriod,
    money::{Cents, MicroUsd},
    name::{ProjectName, ServiceRef},
    project::{ProjectId, ResourceId},
    secret::{Secret, has_sensitive_part},
};
pub use error::{BackendError, Cause, Consent, Refusal, Setup};
pub use limits::{LimitChange, Limits};
pub use marked::MarkedResource;
pub use notes::{BackendNotes, CommittedCaps, NotesError};
pub use recorded::Recorded;
pub use request_ids::collect_request_ids;
pub use scrubbed::Scrubbed;
use serde_json::{Map, Value};

/// Creates, rotates and removes services on the user's account.
///
/// # Contract
/// One suite, `tests/suite/contract.rs`, runs every implementation and decorator:
///
/// - `provision` creates at most one resource per order id, however often it is called with it; the same order
///   gives the same resource with its current credentials. A refused order creates nothing.
/// - A credential works as soon as it is returned. After `rotate` returns, the previous one does not.
/// - `reveal` returns the current credentials and creates none.
/// - `teardown` succeeds if the resource is already removed. Afterwards no credential of the resource works, and it
///   costs nothing more.
/// - After `suspend`, no credential returned before works, and none of them ever will again. After `resume`, `reveal`
///   returns one that does.
/// - After `set_cap`, the new cap is enforced, and the earlier one is not.
/// - `observe` is complete within its scope: a resource that is missing in the answer does not exist. A backend that
///   cannot know returns [`BackendError::Unknown`] instead of fewer resources.
/// - An error is named by what the caller can do next, see [`BackendError`]. No error, `Debug` or observation contains
///   a credential.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The name under which the ledger stores the backend of a resource. No behaviour depends on it.
    fn name(&self) -> &'static str;

    /// The scope of the caps that the backend can enforce.
    fn cap_scope(&self) -> CapScope;

    /// The period for which a cap counts.
    fn cap_period(&self) -> CapPeriod {
        match self.cap_scope() {
            CapScope::Project => CapPeriod::Total,
            CapScope::ProviderAndMonth => CapPeriod::Month,
        }
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError>;

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError>;

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError>;

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError>;

    /// Enforces a new cap from now on. Safe to repeat.
    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError>;

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError>;

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError>;

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError>;

    /// Sets every limit to the sum of the caps of its live projects.
    ///
    /// Call it after a project ended; the next call retries what failed. A backend that caps each project does nothing.
    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Whether this program must suspend a project whose cap is used up.
    ///
    /// True if the backend reports usage, and limits spending at another scope than the project.
    fn requires_cap_enforcement(&self) -> bool {
        false
    }

    /// How the usage of a resource is known.
    fn metering(&self) -> Metering {
        Metering::None
    }

    /// Checks that a person has permitted this backend here. Sends no request and starts no program.
    ///
    /// # Errors
    /// [`BackendError::NotConnected`]
    fn ensure_connected(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// The the program that it works through and its version, such as `stripe 1.52.0`; `None` if there is none.
    ///
    /// It changes nothing, and takes seconds at most.
    async fn version(&self) -> Result<Option<String>, BackendError> {
        Ok(None)
    }

    /// Lists the existing resources that carry the id of an order of this program, also of orders that were never noted
    /// here, such as those of a lost ledger. Changes nothing at the backend.
    ///
    /// # Errors
    /// [`BackendError::Unknown`] if the backend cannot list them.
    async fn marked(&self) -> Result<Vec<MarkedResource>, BackendError> {
        Err(BackendError::Unknown { why: "this backend has no list of all resources".into() })
    }

    /// Notes what later calls need for a marked resource, whose credentials the registry calls by those names.
    async fn adopt(&self, _: &MarkedResource, _credentials: &[String]) -> Result<(), BackendError> {
        Ok(())
    }

    /// Adds usage, if the backend is simulated. Real providers meter usage themselves.
    async fn record_usage(&self, _: &ResourceId, _: MicroUsd) -> Result<Observed, BackendError> {
        Err(BackendError::Refused(Refusal::UsageIsMetered))
    }
}

/// An order for a service.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: ProjectId,
    pub name: ProjectName,
    pub service: ServiceRef,
    /// A plan that must exist first.
    pub plan: Option<ServiceRef>,
    pub config: Map<String, Value>,
    /// The names of the credentials to deliver; empty means the only one.
    pub credentials: Vec<String>,
    pub cap: Cents,
    /// Whether the registry says that it is billed.
    pub paid: bool,
    /// Whether a person has accepted the provider's terms of service.
    pub terms_accepted: bool,
}

/// A new cap of an existing resource. The ledger has it already.
#[derive(Clone, Debug)]
pub struct NewCap {
    pub resource: ResourceId,
    pub service: ServiceRef,
    pub cap: Cents,
    /// Whether a key that was stopped by the earlier cap alone works again.
    pub enables: bool,
}

/// The scope of a cap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CapScope {
    /// Each project has its own.
    Project,
    /// All projects with one of Stripe's providers, in each calendar month.
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

/// What resource that was created, and its credentials.
#[derive(Debug)]
pub struct Service {
    pub resource: ResourceId,
    pub credentials: Credentials,
}

/// Credentials by the service's names for them, such as `API_KEY`.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<String, Secret>);

impl Credentials {
    /// Returns the credential called `name`; without a name, the only one.
    ///
    /// # Errors
    /// [`BackendError::Malformed`] if it is missing or ambiguous.
    pub fn pick(&self, name: Option<&str>) -> Result<&Secret, BackendError> {
        let secret = match name {
            Some(name) => self.0.get(name),
            None if self.0.len() == 1 => self.0.values().next(),
            None => None,
        };
        secret.ok_or_else(|| BackendError::Malformed { what: "credentials", got: self.names() })
    }

    /// All values.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.0.values()
    }

    /// The names, for messages. The service chose them, and a value in the place of a name stays hidden.
    fn names(&self) -> String {
        self.0.keys().map(|name| if is_name(name) { name.as_str() } else { "…" }).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a text can only be the name of a credential.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_plain) && !has_sensitive_part(text)
}

/// In bytes: longer than any name, and shorter than a pasted value.
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

/// Which resources to observe.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// All resources of this account.
    Everything,
    /// The one that an order created, if it did.
    Order(&'a ProjectId),
    /// These only.
    Resources(&'a [ResourceId]),
}

/// A resource that exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    pub resource: ResourceId,
    /// The order that created it, if the backend knows.
    pub order: Option<ProjectId>,
    pub suspended: bool,
    /// Its cost so far, if the backend knows.
    pub usage: Option<MicroUsd>,
}
