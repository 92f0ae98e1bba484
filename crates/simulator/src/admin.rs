//! Admin endpoints: consent pages and fault injection.

use std::sync::Arc;

use axum::{body::Bytes, http::Method};
use domain::{money::MicroUsd, project::ResourceId};
use serde_json::json;

use super::{
    calls,
    failure::Failure,
    parameters::Parameters,
    reply::Reply,
    state::{AppState, blocking},
};

/// A request to the simulator itself, not to the simulated API.
pub enum AdminCall {
    /// The page that would ask for a payment method.
    Checkout,
    ClearFaults,
    /// Connects a provider.
    Connect(String),
    /// The page that asks a person to connect a provider.
    ConnectPage(String),
    PlanFault,
    RecordUsage,
}

/// Returns whether the path belongs to the simulator and not to Stripe.
pub fn is_admin_path(path: &str) -> bool {
    matches!(path.trim_start_matches('/').split('/').next(), Some("_simulator" | "checkout" | "connect"))
}

/// Routes a method and a path.
pub fn find(method: &Method, path: &str) -> Option<AdminCall> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    Some(match (method.as_str(), segments.as_slice()) {
        ("DELETE", ["_simulator", "faults"]) => AdminCall::ClearFaults,
        ("GET", ["checkout"]) => AdminCall::Checkout,
        ("GET", ["connect", id]) => AdminCall::ConnectPage((*id).to_owned()),
        ("POST", ["connect", id]) => AdminCall::Connect((*id).to_owned()),
        ("POST", ["_simulator", "faults"]) => AdminCall::PlanFault,
        ("POST", ["_simulator", "usage"]) => AdminCall::RecordUsage,
        _ => return None,
    })
}

impl AdminCall {
    /// Tells whether it only shows a page, to which a link of another site may lead.
    pub fn is_page(&self) -> bool {
        matches!(self, Self::Checkout | Self::ConnectPage(_))
    }
}

/// Performs an admin call.
///
/// # Errors
/// 400 for invalid parameters, 404 for a missing object.
pub async fn dispatch(call: AdminCall, state: Arc<AppState>, body: Bytes) -> Result<Reply, Failure> {
    match call {
        AdminCall::Checkout => Ok(Reply::page("A person would enter a payment method here.")),
        AdminCall::ClearFaults => {
            state.faults.clear();
            Ok(Reply::json(&json!({ "faults": "cleared" })))
        }
        AdminCall::Connect(id) => {
            blocking(move || state.store.change(|account| calls::complete_connection(account, &id))).await?;
            Ok(Reply::page("The provider is connected. You can close this page."))
        }
        AdminCall::ConnectPage(id) => {
            blocking(move || state.store.look(|account| calls::check_pending(account, &id))).await?;
            Ok(Reply::page(CONNECT_FORM))
        }
        AdminCall::PlanFault => {
            state.faults.plan(Parameters::from_body(&body)?)?;
            Ok(Reply::json(&json!({ "fault": "planned" })))
        }
        AdminCall::RecordUsage => blocking(move || record_usage(&state, &body)).await,
    }
}

fn record_usage(state: &AppState, body: &[u8]) -> Result<Reply, Failure> {
    let mut parameters = Parameters::from_body(body)?;
    let resource = ResourceId::new(parameters.required_text("resource")?);
    let amount = parameters.number("micro_usd")?.ok_or_else(|| parameters.missing("micro_usd"))?;
    parameters.finish()?;
    let observed = state.store.accrue(&resource, MicroUsd::new(amount))?;
    Ok(Reply::json(&json!({
        "resource": resource.as_str(),
        "suspended": observed.suspended,
        "usage_micro_usd": observed.usage.map(MicroUsd::micro_usd),
    })))
}

/// Posts to the address of the page. It names nothing of the request.
const CONNECT_FORM: &str =
    "Connect the provider to the simulated account?<form method=post><button>Connect</button></form>";
