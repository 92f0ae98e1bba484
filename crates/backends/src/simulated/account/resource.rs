//! Resources as the API shows them.

use domain::{
    project::{ProjectId, ResourceId},
    secret::Secret,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};
use serde_json::Value;

use super::Account;
use crate::simulated::{
    SimulatedStoreError,
    resources::{self, NO_CAP, NewResource, ResourceRow},
};

/// A resource with its state in the API.
pub struct ApiResource {
    resource: ResourceRow,
    pub details: Details,
    pub outcome: Outcome,
}

/// The parameters of a resource, which an update can change.
#[derive(Clone, Debug)]
pub struct Details {
    pub project: Option<String>,
    pub name: Option<String>,
    pub catalog: String,
    pub environment: String,
    pub livemode: bool,
    pub configuration: Value,
}

/// The outcome of the last operation on a resource.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub status: ApiStatus,
    /// Shown instead of the status while `polls` is positive.
    pub interim: String,
    pub polls: u32,
    /// The error.
    pub message: Option<String>,
    /// The schema of the information that is still missing.
    pub wanted: Option<Value>,
}

impl Outcome {
    pub fn complete() -> Self {
        Self { status: ApiStatus::Complete, interim: String::new(), polls: 0, message: None, wanted: None }
    }
}

/// The status of a resource that was not removed.
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

/// An order through the API. It has no cap of its own: the provider's limit applies.
pub struct Ordered<'a> {
    /// Candidates for the order id; the first unused one is taken.
    pub orders: [ProjectId; 3],
    /// The provider's name in the account: `supermemory`.
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

    /// The provider's name in the account: `supermemory`.
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

    /// When the current credentials were created.
    pub fn minted(&self) -> &str {
        &self.resource.minted_at
    }

    pub fn is_removed(&self) -> bool {
        self.resource.removed
    }

    /// The status that a request sees.
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
    /// Creates a resource without a cap: only the provider's limit applies.
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
            &NewResource {
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

    /// Returns every resource that was not unlinked, also the removed ones.
    pub fn resources(&self) -> Result<Vec<ApiResource>, SimulatedStoreError> {
        let ids = resources::every_id(self.connection)?;
        let found = ids.iter().map(|id| self.resource(id));
        found.filter(|found| !matches!(found, Err(SimulatedStoreError::NotFound))).collect()
    }

    /// # Errors
    /// [`SimulatedStoreError::NotFound`] if it never existed or was unlinked.
    pub fn resource(&self, id: &ResourceId) -> Result<ApiResource, SimulatedStoreError> {
        let resource = resources::existing_or_removed(self.connection, id)?;
        let sql = "SELECT project, name, catalog, environment, livemode, configuration, status, interim, polls, \
            message, wanted, unlinked FROM api_resources WHERE resource = ?1";
        let state = self.connection.prepare_cached(sql)?.query_row([resource.row], read).optional()?;
        match state {
            Some((_, _, true)) => Err(SimulatedStoreError::NotFound),
            Some((details, outcome, false)) => Ok(ApiResource { resource, details, outcome }),
            None => Ok(ApiResource { resource, details: default_details(), outcome: Outcome::complete() }),
        }
    }

    /// Counts down the polls that still show the interim status.
    pub fn count_poll(&self, resource: &ApiResource) -> Result<(), SimulatedStoreError> {
        let sql = "UPDATE api_resources SET polls = polls - 1 WHERE resource = ?1 AND polls > 0";
        self.connection.prepare_cached(sql)?.execute([resource.resource.row])?;
        Ok(())
    }

    /// Returns the current credentials by name.
    pub fn credentials(&self, resource: &ApiResource) -> Result<Vec<(String, Secret)>, SimulatedStoreError> {
        resources::credentials(self.connection, &resource.resource)
    }

    /// Replaces the credentials. Deleting the old ones revokes them.
    pub fn rotate(&self, resource: &ApiResource) -> Result<(), SimulatedStoreError> {
        resources::replace_credentials(self.connection, &resource.resource, &self.now())
    }

    pub fn remove(&self, resource: &ApiResource) -> Result<(), SimulatedStoreError> {
        resources::remove(self.connection, &resource.resource)
    }

    /// Switches a resource to another service of its provider.
    pub fn set_service(&self, resource: &ApiResource, service: &str) -> Result<(), SimulatedStoreError> {
        let sql = "UPDATE resources SET service = ?2 WHERE row = ?1";
        self.connection.prepare_cached(sql)?.execute(params![resource.resource.row, service])?;
        Ok(())
    }

    /// Saves a resource's state in the API.
    pub fn settle(
        &self,
        resource: &ApiResource,
        details: &Details,
        outcome: &Outcome,
    ) -> Result<ApiResource, SimulatedStoreError> {
        write(self.connection, resource.resource.row, details, outcome, false)?;
        self.resource(resource.id())
    }

    /// Deletes a resource at Stripe; the provider keeps it running.
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

/// The details of a resource that was not created through the API.
fn default_details() -> Details {
    Details {
        project: None,
        name: None,
        catalog: "prod".to_owned(),
        environment: "dev".to_owned(),
        livemode: false,
        configuration: Value::Object(serde_json::Map::new()),
    }
}
