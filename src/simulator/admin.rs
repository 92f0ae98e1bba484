//! What is not Stripe's: the pages that a person would open, and the strings that a test pulls.

use std::sync::Arc;

use axum::{body::Bytes, http::Method};
use serde_json::json;

use super::{
    calls,
    failure::Failure,
    handler::{AppState, blocking},
    parameters::Parameters,
    reply::Reply,
};
use crate::{money::MicroUsd, project::ResourceId};

/// A request that the simulator itself understands.
pub enum AdminCall {
    /// The page at which a payment method would be given.
    Checkout,
    ClearFaults,
    /// The page at which a provider is connected.
    Connect(String),
    PlanFault,
    RecordUsage,
}

/// Whether a path is one of ours, and none of Stripe's.
pub fn is_ours(path: &str) -> bool {
    matches!(path.trim_start_matches('/').split('/').next(), Some("_simulator" | "checkout" | "connect"))
}

/// The control that a method and a path mean.
pub fn find(method: &Method, path: &str) -> Option<AdminCall> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    Some(match (method.as_str(), segments.as_slice()) {
        ("DELETE", ["_simulator", "faults"]) => AdminCall::ClearFaults,
        ("GET", ["checkout"]) => AdminCall::Checkout,
        ("GET", ["connect", id]) => AdminCall::Connect((*id).to_owned()),
        ("POST", ["_simulator", "faults"]) => AdminCall::PlanFault,
        ("POST", ["_simulator", "usage"]) => AdminCall::RecordUsage,
        _ => return None,
    })
}

/// # Errors
/// 400 for a request that means nothing, 404 for a thing that is not there.
pub async fn make(control: AdminCall, state: Arc<AppState>, body: Bytes) -> Result<Reply, Failure> {
    match control {
        AdminCall::Checkout => Ok(Reply::page("Here a person would give a payment method.")),
        AdminCall::ClearFaults => {
            state.faults.clear();
            Ok(Reply::json(&json!({ "faults": "cleared" })))
        }
        AdminCall::Connect(id) => {
            blocking(move || state.store.change(|account| calls::complete_connection(account, &id))).await?;
            Ok(Reply::page("The provider is connected. You can close this page."))
        }
        AdminCall::PlanFault => {
            state.faults.plan(Parameters::of_body(&body)?)?;
            Ok(Reply::json(&json!({ "fault": "planned" })))
        }
        AdminCall::RecordUsage => blocking(move || record_usage(&state, &body)).await,
    }
}

fn record_usage(state: &AppState, body: &[u8]) -> Result<Reply, Failure> {
    let mut given = Parameters::of_body(body)?;
    let resource = ResourceId::new(given.required_text("resource")?);
    let amount = given.number("micro_usd")?.ok_or_else(|| given.missing("micro_usd"))?;
    given.finish()?;
    let observed = state.store.accrue(&resource, MicroUsd::new(amount))?;
    Ok(Reply::json(&json!({
        "resource": resource.as_str(),
        "suspended": observed.suspended,
        "usage_micro_usd": observed.usage.map(MicroUsd::micro_usd),
    })))
}
