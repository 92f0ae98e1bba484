//! Connections: a person decides which backend may spend real money for the workspace.

use std::{path::PathBuf, sync::Arc};

use backends::{BackendError, MarkedResource};
use domain::{
    connection::{Connection, ConnectionTarget},
    principal::Principal,
};
use serde_json::json;
use storage::ledger::Verdict;

use super::{Adoption, Ports};
use crate::error::Error;

/// What the flags and variables of a person choose, as far as it was found.
#[derive(Clone, Debug)]
pub struct ConnectionChoice {
    pub backend: &'static str,
    /// `None`: the program was not found.
    pub address: Option<String>,
    pub key_file: Option<String>,
    /// Whether a key was found, or none is needed.
    pub has_key: bool,
    pub terms_accepted: bool,
}

/// What would be recorded, and what is missing for it.
#[derive(Clone, Debug)]
pub struct ConnectionPlan {
    pub workspace: PathBuf,
    pub choice: Option<ConnectionChoice>,
    /// What is recorded already for that backend.
    pub present: Option<Connection>,
    /// Resources of an earlier ledger that this one does not know; or why the backend cannot tell.
    pub lost: Result<Vec<MarkedResource>, String>,
}

/// What a person has to provide.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missing {
    /// The key is read again at each start, so the connection is recorded without it.
    ApiKey,
    Backend,
    Confirmation,
    Program,
}

/// The use case.
pub struct Connections {
    pub(super) ports: Arc<Ports>,
    pub(super) adoption: Arc<Adoption>,
}

impl ConnectionPlan {
    /// Returns the target, if all of it is known.
    pub fn target(&self) -> Option<ConnectionTarget> {
        let ConnectionChoice { backend, address, key_file, terms_accepted, .. } = self.choice.clone()?;
        Some(ConnectionTarget { backend, address: address?, key_file, terms_accepted })
    }

    /// Returns what is missing besides the confirmation.
    pub fn missing(&self) -> Vec<Missing> {
        match &self.choice {
            None => vec![Missing::Backend],
            Some(choice) => [
                (choice.address.is_none(), Missing::Program),
                (choice.address.is_some() && !choice.has_key, Missing::ApiKey),
            ]
            .into_iter()
            .filter_map(|(is_missing, what)| is_missing.then_some(what))
            .collect(),
        }
    }
}

impl Missing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Backend => "backend",
            Self::Confirmation => "confirmation",
            Self::Program => "program",
        }
    }
}

impl Connections {
    /// Looks at what would be recorded, and for resources of a lost ledger. Records nothing.
    pub fn plan(&self) -> Result<ConnectionPlan, Error> {
        let choice = self.ports.connection_choice.clone();
        let present = match &choice {
            Some(choice) => self.ports.ledger.connections().find(choice.backend)?,
            None => None,
        };
        let is_usable = choice.as_ref().is_some_and(|choice| choice.address.is_some() && choice.has_key);
        let lost = if is_usable { self.lost()? } else { Ok(Vec::new()) };
        Ok(ConnectionPlan { workspace: self.ports.workspace.clone(), choice, present, lost })
    }

    /// Records the connection. It holds from the next call on, also in servers that run already.
    pub fn record(&self, target: &ConnectionTarget, principal: &Principal) -> Result<Connection, Error> {
        self.ports.locks.prepare()?;
        let ConnectionTarget { backend, address, key_file, terms_accepted } = target;
        let detail = json!({
            "backend": backend, "address": address, "key_file": key_file, "terms_accepted": terms_accepted,
        });
        let event = self.ports.event(principal, "connect", Verdict::Done, detail);
        self.ports.ledger.connections().record(target, principal.actor(), event.at, &event)?;
        Ok(Connection { target: target.clone(), recorded_by: principal.actor().to_owned(), recorded_at: event.at })
    }

    /// Returns the lost resources, or why they could not be looked for: a backend that does not answer yet is no reason
    /// not to connect.
    fn lost(&self) -> Result<Result<Vec<MarkedResource>, String>, Error> {
        match self.adoption.lost() {
            Ok(lost) => Ok(Ok(lost)),
            Err(Error::Backend(BackendError::Unknown { why } | BackendError::Unavailable { why })) => {
                Ok(Err(why.to_string()))
            }
            Err(Error::Backend(error)) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }
}
