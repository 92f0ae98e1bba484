//! Error responses in Stripe's format.

use axum::http::StatusCode;
use backends::simulated::SimulatedStoreError;
use serde::Serialize;
use storage::store::StoreError;

/// An error response.
#[derive(Debug)]
pub struct Failure {
    pub status: StatusCode,
    pub error: ErrorObject,
    /// Seconds until a retry.
    pub retry_after: Option<u32>,
}

/// The `error` object. It never quotes a value of the request.
#[derive(Debug, Serialize)]
pub struct ErrorObject {
    pub code: &'static str,
    pub message: String,
    /// The path of the parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl Failure {
    pub fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, error: ErrorObject { code, message: message.into(), param: None, kind }, retry_after: None }
    }

    /// Returns 400 for an invalid request.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, code, message)
    }

    /// Returns 400 for an invalid parameter.
    pub fn parameter(code: &'static str, name: &str, reason: &str) -> Self {
        let mut failure = Self::invalid(code, format!("{reason}: {name}"));
        failure.error.param = Some(name.to_owned());
        failure
    }

    /// Returns 404 for a missing object.
    pub fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, INVALID_REQUEST, "resource_missing", format!("no such {what}"))
    }

    /// Returns 402 for a failed payment.
    pub fn payment(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", code, message)
    }

    /// Returns 500 for a failure of the server.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "api_error", message)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(format!("the simulated account cannot be used: {error}"))
    }
}

impl From<SimulatedStoreError> for Failure {
    fn from(error: SimulatedStoreError) -> Self {
        match error {
            SimulatedStoreError::Database(error) => error.into(),
            SimulatedStoreError::NoRandomness(error) => Self::internal(error.to_string()),
            SimulatedStoreError::NotFound => Self::missing("resource"),
            SimulatedStoreError::Refused(refusal) => Self::payment("usage_limit_reached", &refusal.to_string()),
        }
    }
}

/// The type of most errors.
pub const INVALID_REQUEST: &str = "invalid_request_error";
