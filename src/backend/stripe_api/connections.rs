//! The account's connection to a provider, without which nothing of it can be ordered.

use serde_json::json;
use tokio::time::{self, Instant};

use super::{
    StripeApi,
    api_config::is_fit_for_a_person,
    failure::{before_the_order, unexpected, word},
    http::is_id,
    random_key, schema_fields,
    wire::{Connection, ConnectionRequest},
};
use crate::backend::{BackendError, Refusal};

impl StripeApi {
    /// Sees to it that the provider is connected, and says what a person must do where that takes one.
    pub(super) async fn connect(&self, provider: &str, project: &str) -> Result<(), BackendError> {
        let connections = self.http.list::<Connection>("/v2/provisioning/provider_connections", &[]).await;
        let connections = connections.map_err(before_the_order)?;
        if connections.iter().any(|connection| connection.provider == provider && connection.status == "active") {
            return Ok(());
        }
        let body = json!({ "configuration": {}, "project": project, "provider": provider }).to_string();
        let mut request: ConnectionRequest =
            self.http.change(REQUESTS, &random_key()?, &body).await.map_err(before_the_order)?;
        let end = Instant::now() + self.retry_policy.poll_patience;
        while !is_connected(&request)? {
            if Instant::now() >= end {
                let why = "connecting the provider takes too long";
                return Err(BackendError::Unavailable { why: why.into() });
            }
            if !is_id(&request.id) {
                return Err(unexpected("id", ""));
            }
            time::sleep(self.retry_policy.poll_pause).await;
            request = self.http.get(&format!("{REQUESTS}/{}", request.id)).await.map_err(before_the_order)?;
        }
        Ok(())
    }
}

/// Whether a request is through; `false` where there is nothing to do but wait.
pub(super) fn is_connected(request: &ConnectionRequest) -> Result<bool, BackendError> {
    match (request.request_status.as_str(), &request.redirect_url) {
        ("complete", _) => Ok(true),
        ("error", _) => {
            let code = request.error.as_ref().and_then(|error| error.code.as_deref());
            Err(Refusal::ProviderFailed { code: code.and_then(word) }.into())
        }
        ("needs_information", _) => {
            Err(BackendError::NeedsInformation { fields: schema_fields(request.needs_information_schema.as_ref()) })
        }
        ("pending_auth" | "requested", Some(url)) if is_fit_for_a_person(url) => {
            Err(BackendError::NeedsLink { url: url.clone() })
        }
        ("pending_auth" | "requested", Some(_)) => Err(unexpected("redirect_url", "")),
        ("pending_auth" | "requested", None) => Ok(false),
        (other, _) => Err(unexpected("request_status", other)),
    }
}

const REQUESTS: &str = "/v2/provisioning/provider_connection_requests";
