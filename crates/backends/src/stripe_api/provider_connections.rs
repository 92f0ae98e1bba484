//! Connections of the account to providers, which an order requires.

use domain::{project::random_hex, safe_url::SafeUrl};
use serde_json::json;
use tokio::time::{self, Instant};

use super::{
    StripeApi,
    failure::{before_order, code, unexpected},
    http::is_id,
    schema_fields,
    wire::{Connection, ConnectionRequest},
};
use crate::{BackendError, Refusal};

impl StripeApi {
    /// Connects a provider.
    ///
    /// # Errors
    /// [`BackendError::NeedsLink`] if a person must open a page, [`BackendError::NeedsInformation`].
    pub(super) async fn connect(&self, provider: &str, project: &str) -> Result<(), BackendError> {
        let connections = self.http.list::<Connection>("/v2/provisioning/provider_connections", &[]).await;
        let connections = connections.map_err(before_order)?;
        if connections.iter().any(|connection| connection.provider == provider && connection.status == "active") {
            return Ok(());
        }
        let body = json!({ "configuration": {}, "project": project, "provider": provider }).to_string();
        let mut request: ConnectionRequest =
            self.http.write(REQUESTS, &random_hex::<16>()?, &body).await.map_err(before_order)?;
        let deadline = Instant::now() + self.retry_policy.poll_timeout;
        while !is_connected(&request)? {
            if Instant::now() >= deadline {
                let why = "connecting the provider timed out";
                return Err(BackendError::Unavailable { why: why.into() });
            }
            if !is_id(&request.id) {
                return Err(unexpected("id", ""));
            }
            time::sleep(self.retry_policy.poll_pause).await;
            request = self.http.get(&format!("{REQUESTS}/{}", request.id)).await.map_err(before_order)?;
        }
        Ok(())
    }
}

/// Whether a request is complete; `false` if it is still pending.
pub(super) fn is_connected(request: &ConnectionRequest) -> Result<bool, BackendError> {
    match (request.request_status.as_str(), &request.redirect_url) {
        ("complete", _) => Ok(true),
        ("error", _) => {
            let error = request.error.as_ref().and_then(|error| error.code.as_deref());
            Err(Refusal::ProviderFailed { code: error.and_then(code) }.into())
        }
        ("needs_information", _) => {
            Err(BackendError::NeedsInformation { fields: schema_fields(request.needs_information_schema.as_ref()) })
        }
        ("pending_auth" | "requested", Some(url)) if SafeUrl::parse(url).is_ok() => {
            Err(BackendError::NeedsLink { url: url.clone() })
        }
        ("pending_auth" | "requested", Some(_)) => Err(unexpected("redirect_url", "")),
        ("pending_auth" | "requested", None) => Ok(false),
        (other, _) => Err(unexpected("request_status", other)),
    }
}

const REQUESTS: &str = "/v2/provisioning/provider_connection_requests";
