//! A resource as the API shows it: created, looked at, rotated, changed and removed.

use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};
use serde_json::Value;

use super::Account;
use crate::{
    backend::simulated::{
        SimulatedStoreError,
        resources::{self, NO_CAP, New, Resource},
    },
    project::{ProjectId, ResourceId},
    secret::Secret,
};

/// A resource and what the API remembers of it.
pub struct ApiResource {
    resource: Resource,
    pub details: Details,
    pub outcome: Outcome,
}

/// What the API was told when the resource was created, and may be told anew.
#[derive(Clone, Debug)]
pub struct Details {
    pub project: Option<String>,
    pub name: Option<String>,
    pub catalog: String,
    pub environment: String,
    pub livemode: bool,
    pub configuration: Value,
}

/// What came of the last thing that was done to a resource.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub status: ApiStatus,
    /// What is shown instead of the status, as long as `polls` is positive.
    pub interim: String,
    pub polls: u32,
    /// What went wrong.
    pub message: Option<String>,
    /// The schema of what is still to be said.
    pub wanted: Option<Value>,
}

impl Outcome {
    pub fn complete() -> Self {
        Self { status: ApiStatus::Complete, interim: String::new(), polls: 0, message: None, wanted: None }
    }
}

/// Where a resource stands, apart from being there or not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ApiStatus {
    Complete,
    Errored,
    NeedsInformation,
}

impl ApiStatus {
    const ALL: [Self; 3] = [Self::Complete, Self::Errored, Self::NeedsInformation];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Errored => "errored",
            Self::NeedsInformation => "needs_information",
        }
    }
}

/// What is to be created through the API. It has no cap of its own: the provider's limit stops it.
pub struct Ordered<'a> {
    /// The order ids that it may go by; the first that is not taken becomes its own.
    pub orders: [ProjectId; 3],
    /// The provider as the world knows it: `supermemory`.
    pub provider: &'a str,
    /// `<provider>/<service>`.
    pub service: &'a str,
    pub credentials: &'a [String],
    pub details: Details,
}

impl ApiResource {
    pub fn id(&self) -> &ResourceId {
        &self.resource.id
    }

    /// The provider as the world knows it: `supermemory`.
    pub fn provider(&self) -> &str {
        &self.resource.provider
    }

    /// The part of the service after the slash, which is the API's `service_ref`.
    pub fn service_ref(&self) -> &str {
        self.resource.service.split_once('/').map_or("", |(_, service)| service)
    }

    pub fn created(&self) -> &str {
        &self.resource.created_at
    }

    /// When the current generation of credentials became current.
    pub fn minted(&self) -> &str {
        &self.resource.minted_at
    }

    pub fn is_removed(&self) -> bool {
        self.resource.removed
    }

    /// The word that an onlooker sees.
    pub fn status(&self) -> &str {
        match self.outcome.status {
            _ if self.outcome.polls > 0 => &self.outcome.interim,
            ApiStatus::Errored => ApiStatus::Errored.as_str(),
            _ if self.resource.removed => "removed",
            status => status.as_str(),
        }
    }
}

impl Account<'_> {
    /// Creates a resource that is stopped by its provider's limit alone.
    ///
    /// # Errors
    /// Only when the file does not serve or there is no randomness.
    pub fn create(&self, ordered: &Ordered<'_>, outcome: &Outcome) -> Result<ApiResource, SimulatedStoreError> {
        let [first, second, last] = &ordered.orders;
        let order = match (resources::by_order(self.connection, first)?, resources::by_order(self.connection, second)?)
        {
            (None, _) => first,
            (Some(_), None) => second,
            (Some(_), Some(_)) => last,
        };
        let created = resources::create(
            self.connection,
            &New {
                order,
                name: ordered.details.name.as_deref().unwrap_or_default(),
                service: ordered.service,
                provider: ordered.provider,
                cap: NO_CAP,
                credentials: ordered.credentials,
                now: &self.now(),
            },
        )?;
        if outcome.status == ApiStatus::Errored {
            resources::remove(self.connection, &created)?;
        }
        write(self.connection, created.row, &ordered.details, outcome, false)?;
        self.resource(&created.id)
    }

    /// # Errors
    /// [`SimulatedStoreError::NotFound`] when there never was such a resource, or it was unlinked.
    pub fn resource(&self, id: &ResourceId) -> Result<ApiResource, SimulatedStoreError> {
        let resource = resources::ever(self.connection, id)?;
        let sql = "SELECT project, name, catalog, environment, livemode, configuration, status, interim, polls, \
            message, wanted, unlinked FROM api_resources WHERE resource = ?1";
        let found = self.connection.prepare_cached(sql)?.query_row([resource.row], read).optional()?;
        match found {
            Some((_, _, true)) => Err(SimulatedStoreError::NotFound),
            Some((details, outcome, false)) => Ok(ApiResource { resource, details, outcome }),
            None => Ok(ApiResource { resource, details: not_said(), outcome: Outcome::complete() }),
        }
    }

    /// Takes one from the looks that still show the interim status.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn count_poll(&self, resource: &ApiResource) -> Result<(), SimulatedStoreError> {
        let sql = "UPDATE api_resources SET polls = polls - 1 WHERE resource = ?1 AND polls > 0";
        self.connection.prepare_cached(sql)?.execute([resource.resource.row])?;
        Ok(())
    }

    /// The current credentials, by the service's own names for them.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn credentials(&self, resource: &ApiResource) -> Result<Vec<(String, Secret)>, SimulatedStoreError> {
        resources::credentials(self.connection, &resource.resource)
    }

    /// A new generation of credentials; the old ones are forgotten, which is what makes them dead.
    ///
    /// # Errors
    /// Only when the file does not serve or there is no randomness.
    pub fn rotate(&self, resource: &ApiResource) -> Result<(), SimulatedStoreError> {
        resources::mint_again(self.connection, &resource.resource, &self.now())
    }

    /// # Errors
    /// Only when the file does not serve.
    pub fn remove(&self, resource: &ApiResource) -> Result<(), SimulatedStoreError> {
        resources::remove(self.connection, &resource.resource)
    }

    /// Switches a resource to another service of its provider.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn set_service(&self, resource: &ApiResource, service: &str) -> Result<(), SimulatedStoreError> {
        let sql = "UPDATE resources SET service = ?2 WHERE row = ?1";
        self.connection.prepare_cached(sql)?.execute(params![resource.resource.row, service])?;
        Ok(())
    }

    /// Remembers what the API now knows of a resource.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn settle(
        &self,
        resource: &ApiResource,
        details: &Details,
        outcome: &Outcome,
    ) -> Result<ApiResource, SimulatedStoreError> {
        write(self.connection, resource.resource.row, details, outcome, false)?;
        self.resource(resource.id())
    }

    /// Forgets a resource on Stripe's side; the provider keeps it running.
    ///
    /// # Errors
    /// Only when the file does not serve.
    pub fn unlink(&self, resource: &ApiResource) -> Result<(), SimulatedStoreError> {
        write(self.connection, resource.resource.row, &resource.details, &resource.outcome, true)
    }
}

fn write(
    connection: &Connection,
    row: i64,
    details: &Details,
    outcome: &Outcome,
    unlinked: bool,
) -> Result<(), SimulatedStoreError> {
    let sql = "INSERT OR REPLACE INTO api_resources VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    connection.prepare_cached(sql)?.execute(params![
        row,
        details.project,
        details.name,
        details.catalog,
        details.environment,
        details.livemode,
        details.configuration.to_string(),
        outcome.status.as_str(),
        outcome.interim,
        outcome.polls,
        outcome.message,
        outcome.wanted.as_ref().map(Value::to_string),
        unlinked,
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<(Details, Outcome, bool), rusqlite::Error> {
    let configuration: String = row.get(5)?;
    let status: String = row.get(6)?;
    let known = ApiStatus::ALL.into_iter().find(|known| known.as_str() == status);
    let wanted: Option<String> = row.get(10)?;
    let details = Details {
        project: row.get(0)?,
        name: row.get(1)?,
        catalog: row.get(2)?,
        environment: row.get(3)?,
        livemode: row.get(4)?,
        configuration: serde_json::from_str(&configuration).unwrap_or_default(),
    };
    let outcome = Outcome {
        status: known.ok_or_else(|| rusqlite::Error::InvalidColumnType(6, status, Type::Text))?,
        interim: row.get(7)?,
        polls: row.get(8)?,
        message: row.get(9)?,
        wanted: wanted.and_then(|text| serde_json::from_str(&text).ok()),
    };
    Ok((details, outcome, row.get(11)?))
}

/// What is shown of a resource that was not created through the API.
fn not_said() -> Details {
    Details {
        project: None,
        name: None,
        catalog: "prod".to_owned(),
        environment: "dev".to_owned(),
        livemode: false,
        configuration: Value::Object(serde_json::Map::new()),
    }
}
