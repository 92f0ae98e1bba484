//! A refusal in the shape in which Stripe says it.

use axum::http::StatusCode;
use serde::Serialize;

use crate::{backend::simulated::SimulatedStoreError, store::StoreError};

/// An answer that is not the one that was asked for.
#[derive(Debug)]
pub struct Failure {
    pub status: StatusCode,
    pub error: ErrorObject,
    /// In how many seconds to ask again.
    pub retry_after: Option<u32>,
}

/// What stands under `error`. It never repeats a value that was sent.
#[derive(Debug, Serialize)]
pub struct ErrorObject {
    pub code: &'static str,
    pub message: String,
    /// The parameter that is meant, as a path of names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl Failure {
    pub fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, error: ErrorObject { code, message: message.into(), param: None, kind }, retry_after: None }
    }

    /// 400: the request is not one that can be done.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, code, message)
    }

    /// 400, and a parameter is to blame.
    pub fn parameter(code: &'static str, name: &str, what: &str) -> Self {
        let mut failure = Self::invalid(code, format!("{what}: {name}"));
        failure.error.param = Some(name.to_owned());
        failure
    }

    /// 404 for a thing.
    pub fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, INVALID_REQUEST, "resource_missing", format!("no such {what}"))
    }

    /// 402: somebody would have to pay, and does not.
    pub fn payment(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", code, message)
    }

    /// 500: not the fault of who asked.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "api_error", message)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(format!("the simulated world cannot be used: {error}"))
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

/// The type of most refusals.
pub const INVALID_REQUEST: &str = "invalid_request_error";
