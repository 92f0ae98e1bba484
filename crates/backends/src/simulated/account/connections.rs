//! Connected providers, and requests to connect one, which a person answers in a browser.

use rusqlite::{OptionalExtension as _, Row, params, types::Type};
use serde_json::Value;

use super::{Account, random_id};
use crate::simulated::SimulatedStoreError;

/// A request to connect a provider.
#[derive(Clone, Debug)]
pub struct ConnectionRequest {
    pub id: String,
    /// The provider's id in the catalog.
    pub provider: String,
    pub status: ConnectionStatus,
    /// The schema of the information that is still missing.
    pub wanted: Option<Value>,
    pub livemode: bool,
    pub created: String,
}

/// The status of a request to connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectionStatus {
    Complete,
    Error,
    NeedsInformation,
    PendingAuth,
}

impl ConnectionStatus {
    const ALL: [Self; 4] = [Self::Complete, Self::Error, Self::NeedsInformation, Self::PendingAuth];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Error => "error",
            Self::NeedsInformation => "needs_information",
            Self::PendingAuth => "pending_auth",
        }
    }
}

impl Account<'_> {
    pub fn is_connected(&self, provider: &str) -> Result<bool, SimulatedStoreError> {
        Ok(!self.connection.prepare_cached("SELECT 1 FROM api_unlinked WHERE provider = ?1")?.exists([provider])?)
    }

    pub fn connect(&self, provider: &str) -> Result<(), SimulatedStoreError> {
        self.connection.prepare_cached("DELETE FROM api_unlinked WHERE provider = ?1")?.execute([provider])?;
        Ok(())
    }

    /// Disconnects a provider. Nothing can be created there until a person connects it again.
    pub fn disconnect(&self, provider: &str) -> Result<(), SimulatedStoreError> {
        self.connection.prepare_cached("INSERT OR IGNORE INTO api_unlinked VALUES (?1)")?.execute([provider])?;
        Ok(())
    }

    pub fn request_connection(
        &self,
        provider: &str,
        status: ConnectionStatus,
        wanted: Option<Value>,
        livemode: bool,
    ) -> Result<ConnectionRequest, SimulatedStoreError> {
        let (id, created) = (random_id("pcr_sim_")?, self.now());
        let sql = "INSERT INTO api_connection_requests VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let schema = wanted.as_ref().map(Value::to_string);
        self.connection.prepare_cached(sql)?.execute(params![
            id,
            provider,
            status.as_str(),
            schema,
            livemode,
            created
        ])?;
        Ok(ConnectionRequest { id, provider: provider.to_owned(), status, wanted, livemode, created })
    }

    /// # Errors
    /// [`SimulatedStoreError::NotFound`]
    pub fn connection_request(&self, id: &str) -> Result<ConnectionRequest, SimulatedStoreError> {
        let sql = "SELECT id, provider, status, wanted, livemode, created FROM api_connection_requests WHERE id = ?1";
        self.connection.prepare_cached(sql)?.query_row([id], read).optional()?.ok_or(SimulatedStoreError::NotFound)
    }

    pub fn move_connection_request(
        &self,
        request: ConnectionRequest,
        status: ConnectionStatus,
    ) -> Result<ConnectionRequest, SimulatedStoreError> {
        let sql = "UPDATE api_connection_requests SET status = ?2, wanted = NULL WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![request.id, status.as_str()])?;
        Ok(ConnectionRequest { status, wanted: None, ..request })
    }
}

fn read(row: &Row<'_>) -> Result<ConnectionRequest, rusqlite::Error> {
    let status: String = row.get(2)?;
    let known = ConnectionStatus::ALL.into_iter().find(|known| known.as_str() == status);
    let schema: Option<String> = row.get(3)?;
    Ok(ConnectionRequest {
        id: row.get(0)?,
        provider: row.get(1)?,
        status: known.ok_or_else(|| rusqlite::Error::InvalidColumnType(2, status, Type::Text))?,
        wanted: schema.and_then(|text| serde_json::from_str(&text).ok()),
        livemode: row.get(4)?,
        created: row.get(5)?,
    })
}
