//! HTTP responses.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use domain::project::random_hex;
use serde_json::{Value, json};

use super::{failure::Failure, headers::VERSION};

/// A response before it is sent.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub body: String,
    kind: &'static str,
    retry_after: Option<u32>,
    replayed: bool,
}

impl Reply {
    pub fn json(value: &Value) -> Self {
        Self::new(StatusCode::OK, value.to_string(), "application/json")
    }

    /// Creates an HTML page.
    pub fn page(line: &str) -> Self {
        Self::new(StatusCode::OK, format!("<!doctype html><title>Simulator</title><p>{line}</p>\n"), "text/html")
    }

    /// Creates a replay of a stored response.
    pub fn replay(status: u16, body: String) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        Self { replayed: true, ..Self::new(status, body, "application/json") }
    }

    /// Creates a successful response that is not JSON.
    pub fn garbage() -> Self {
        Self::new(StatusCode::OK, "<html>upstream".to_owned(), "text/html")
    }

    fn new(status: StatusCode, body: String, kind: &'static str) -> Self {
        Self { status, body, kind, retry_after: None, replayed: false }
    }

    pub fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert("request-id", request_id());
        // The page with a button must not be shown inside of another page.
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert("stripe-version", HeaderValue::from_static(VERSION));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.replayed {
            headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        response
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        let body = json!({ "error": failure.error }).to_string();
        Self { retry_after: failure.retry_after, ..Self::new(failure.status, body, "application/json") }
    }
}

/// Creates a random request id. Without randomness all ids are equal, which is harmless.
fn request_id() -> HeaderValue {
    let id = random_hex::<8>().unwrap_or_default();
    HeaderValue::from_str(&format!("req_{id}")).unwrap_or(HeaderValue::from_static("req_0"))
}
