//! Connections: which backend may spend real money for a workspace.

use crate::clock::Timestamp;

/// A backend, and the program or address through which it is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionTarget {
    /// The name by which the ledger knows the backend.
    pub backend: &'static str,
    /// The canonical path of the Stripe CLI, or the base of Stripe's API.
    pub address: String,
    /// The canonical path of the file that holds the API key, if it is in a file.
    pub key_file: Option<String>,
    /// Whether the terms of service of every provider in the registry are accepted.
    pub terms_accepted: bool,
}

/// A connection that a person recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    pub target: ConnectionTarget,
    pub recorded_by: String,
    pub recorded_at: Timestamp,
}
