//! The world as Stripe's Provisioning API shows it: what that API remembers, inside one transaction.

mod answers;
mod connections;
mod resource;

pub use answers::Answer;
pub use connections::{ConnectionRequest, ConnectionStatus};
pub use resource::{ApiResource, ApiStatus, Details, Ordered, Outcome};
use rusqlite::{Connection, params};

use super::{SimulatedStoreError, limits};
use crate::{clock::Timestamp, money::Cents, project::fill_random, secret::hex};

/// One moment of the connection, from [`SimulatedStripe::look`](super::SimulatedStripe::look) or [`SimulatedStripe::change`](super::SimulatedStripe::change).
pub struct Account<'a> {
    connection: &'a Connection,
    now: Timestamp,
    month: String,
}

impl<'a> Account<'a> {
    pub(super) fn new(connection: &'a Connection, now: Timestamp, month: String) -> Self {
        Self { connection, now, month }
    }

    /// The time of this moment, as RFC 3339.
    pub fn now(&self) -> String {
        self.now.to_string()
    }

    /// Remembers a project and returns its id.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn create_project(&self, name: &str, catalog: &str, livemode: bool) -> Result<String, SimulatedStoreError> {
        let id = random_id("prj_sim_")?;
        let sql = "INSERT INTO api_projects VALUES (?1, ?2, ?3, ?4, ?5)";
        self.connection.prepare_cached(sql)?.execute(params![id, name, catalog, livemode, self.now()])?;
        Ok(id)
    }

    /// # Errors
    /// Only when the file does not serve.
    pub fn has_project(&self, id: &str) -> Result<bool, SimulatedStoreError> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM api_projects WHERE id = ?1")?.exists([id])?)
    }

    /// The limit that was set for a provider; without a provider, the limit of all that have none of their own.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn limit(&self, provider: Option<&str>) -> Result<Option<Cents>, SimulatedStoreError> {
        limits::own(self.connection, provider.unwrap_or(limits::EVERY_PROVIDER))
    }

    /// Sets what a provider may bill in a month and lets it count at once: what is above it is suspended, and what
    /// was only suspended by a lower one works again.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn set_limit(&self, provider: Option<&str>, limit: Cents) -> Result<(), SimulatedStoreError> {
        limits::fix(self.connection, provider.unwrap_or(limits::EVERY_PROVIDER), limit, &self.month)
    }

    /// Whether a provider may bill nothing more this month.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn is_used_up(&self, provider: &str) -> Result<bool, SimulatedStoreError> {
        limits::is_used_up(self.connection, provider, &self.month)
    }
}

fn random_id(prefix: &str) -> Result<String, SimulatedStoreError> {
    let mut bytes = [0; 12];
    fill_random(&mut bytes)?;
    Ok(format!("{prefix}{}", hex(&bytes)))
}
