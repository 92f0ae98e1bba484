//! Connections, and what is missing for one.

use domain::connection::Connection;
use serde::Serialize;

use crate::provisioner::{ConnectionPlan, Missing};

/// A recorded connection.
#[derive(Debug, Serialize)]
pub struct ConnectionView {
    pub backend: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_base: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<String>,
    pub terms_accepted: bool,
    pub recorded_by: String,
    pub recorded_at: String,
}

/// What would be recorded. Nothing was.
#[derive(Debug, Serialize)]
pub struct ConnectionPlanView {
    pub workspace: String,
    pub backend: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_base: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<String>,
    pub terms_accepted: bool,
    /// What is recorded already for that backend.
    pub connected: Option<ConnectionView>,
    /// Ids of resources that an earlier ledger bought.
    pub lost: Vec<String>,
    pub missing: Vec<&'static str>,
}

impl From<&Connection> for ConnectionView {
    fn from(Connection { target, recorded_by, recorded_at }: &Connection) -> Self {
        let (program, api_base) = by_kind(target.backend, Some(&target.address));
        Self {
            backend: target.backend,
            program,
            api_base,
            api_key_file: target.key_file.clone(),
            terms_accepted: target.terms_accepted,
            recorded_by: recorded_by.clone(),
            recorded_at: recorded_at.to_string(),
        }
    }
}

impl ConnectionPlanView {
    pub fn new(plan: &ConnectionPlan, missing: &[Missing]) -> Self {
        let choice = plan.choice.as_ref();
        let (program, api_base) =
            choice.map_or((None, None), |choice| by_kind(choice.backend, choice.address.as_ref()));
        let lost = plan.lost.as_deref().unwrap_or_default();
        Self {
            workspace: plan.workspace.display().to_string(),
            backend: choice.map(|choice| choice.backend),
            program,
            api_base,
            api_key_file: choice.and_then(|choice| choice.key_file.clone()),
            terms_accepted: choice.is_some_and(|choice| choice.terms_accepted),
            connected: plan.present.as_ref().map(ConnectionView::from),
            lost: lost.iter().map(|lost| lost.resource.as_str().to_owned()).collect(),
            missing: missing.iter().map(|missing| missing.as_str()).collect(),
        }
    }
}

/// The address as a program or as a base of the API.
fn by_kind(backend: &str, address: Option<&String>) -> (Option<String>, Option<String>) {
    let address = address.cloned();
    if backend == "stripe-cli" { (address, None) } else { (None, address) }
}
