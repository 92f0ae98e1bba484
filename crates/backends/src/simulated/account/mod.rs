//! The simulated account as Stripe's Provisioning API shows it, inside one transaction.

mod answers;
mod connections;
mod resource;

pub use answers::Answer;
pub use connections::{ConnectionRequest, ConnectionStatus};
use domain::{clock::Timestamp, money::Cents, project::random_hex};
pub use resource::{ApiResource, ApiStatus, Details, Ordered, Outcome};
use rusqlite::{Connection, params};

use super::{SimulatedStoreError, limits};

/// The account inside one transaction of [`SimulatedStripe`](super::SimulatedStripe).
pub struct Account<'a> {
    connection: &'a Connection,
    now: Timestamp,
    month: String,
}

impl<'a> Account<'a> {
    pub(super) fn new(connection: &'a Connection, now: Timestamp, month: String) -> Self {
        Self { connection, now, month }
    }

    /// The time of the transaction, as RFC 3339.
    pub fn now(&self) -> String {
        self.now.to_string()
    }

    /// Creates a project and returns its id.
    pub fn create_project(&self, name: &str, catalog: &str, livemode: bool) -> Result<String, SimulatedStoreError> {
        let id = random_id("prj_sim_")?;
        let sql = "INSERT INTO api_projects VALUES (?1, ?2, ?3, ?4, ?5)";
        self.connection.prepare_cached(sql)?.execute(params![id, name, catalog, livemode, self.now()])?;
        Ok(id)
    }

    pub fn has_project(&self, id: &str) -> Result<bool, SimulatedStoreError> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM api_projects WHERE id = ?1")?.exists([id])?)
    }

    /// Returns the limit that was set for a provider; without one, the limit of all other providers.
    pub fn limit(&self, provider: Option<&str>) -> Result<Option<Cents>, SimulatedStoreError> {
        limits::own(self.connection, provider.unwrap_or(limits::EVERY_PROVIDER))
    }

    /// Sets the monthly limit of a provider, and applies it at once.
    ///
    /// Resources above it are suspended; those that only a lower limit suspended are resumed.
    pub fn set_limit(&self, provider: Option<&str>, limit: Cents) -> Result<(), SimulatedStoreError> {
        limits::fix(self.connection, provider.unwrap_or(limits::EVERY_PROVIDER), limit, &self.month)
    }

    /// Whether a provider's limit is used up this month.
    pub fn is_used_up(&self, provider: &str) -> Result<bool, SimulatedStoreError> {
        limits::is_used_up(self.connection, provider, &self.month)
    }
}

fn random_id(prefix: &str) -> Result<String, SimulatedStoreError> {
    Ok(format!("{prefix}{}", random_hex::<12>()?))
}
