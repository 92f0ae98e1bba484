//! Failures of requests, and how certain they are.

use std::{error::Error, io};

use domain::secret::has_sensitive_part;

use super::wire;
use crate::{BackendError, Refusal};

/// Why a request has no result.
#[derive(Debug)]
pub enum Failure {
    /// It may have taken effect.
    Lost { why: String },
    /// The response arrived and cannot be right.
    Malformed { what: &'static str, got: String },
    /// It had no effect: it was not sent, or rejected unread.
    NotSent(BackendError),
    /// Stripe refused this request.
    Refused(Rejection),
}

/// A refusal of Stripe, as far as it may be repeated.
#[derive(Debug)]
pub struct Rejection {
    pub status: u16,
    pub code: Option<String>,
    /// The parameter that it is about.
    pub param: Option<String>,
}

impl Rejection {
    pub fn new(status: u16, error: &wire::ErrorBody) -> Self {
        let code = error.code.as_deref().and_then(code).or_else(|| error.kind.as_deref().and_then(code));
        Self { status, code, param: error.param.as_deref().and_then(path) }
    }

    pub fn is_missing(&self) -> bool {
        self.status == 404
    }

    /// Whether a person must first resolve a problem of the account with Stripe.
    pub fn is_about_the_account(&self) -> bool {
        self.code.as_deref().is_some_and(|code| ABOUT_THE_ACCOUNT.contains(&code))
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Self::NotSent(error)
    }
}

impl From<Rejection> for BackendError {
    /// For any request; the refusals of an order are distinguished in `orders.rs`.
    fn from(rejection: Rejection) -> Self {
        if rejection.is_about_the_account() {
            return Refusal::AccountNotEligible.into();
        }
        Refusal::ProviderFailed { code: rejection.code }.into()
    }
}

/// For requests about an existing resource.
impl From<Failure> for BackendError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotSent(error) => error,
            Failure::Lost { why } => Self::Unknown { why: why.into() },
            Failure::Malformed { what, got } => Self::Malformed { what, got },
            Failure::Refused(rejection) if rejection.is_missing() => Self::NotFound,
            Failure::Refused(rejection) => rejection.into(),
        }
    }
}

/// The error of a request that precedes an order: whatever its outcome, nothing was ordered.
pub fn before_order(failure: Failure) -> BackendError {
    match failure {
        Failure::Lost { why } => BackendError::Unavailable { why: why.into() },
        Failure::Refused(rejection) => rejection.into(),
        failure => failure.into(),
    }
}

/// The error for a value of Stripe's that this program does not know.
pub fn unexpected(what: &'static str, got: &str) -> BackendError {
    BackendError::Malformed { what, got: code(got).unwrap_or_else(|| "…".to_owned()) }
}

/// Returns a code if it is safe to repeat.
pub fn code(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    ((1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(is_plain)).then(|| text.to_owned())
}

/// Returns the name of a field, or an ellipsis if it is not safe to repeat.
pub fn field(name: &str) -> String {
    path(name).unwrap_or_else(|| "…".to_owned())
}

/// Describes a failure of the connection, without quoting anything.
pub fn transport(error: &reqwest::Error) -> &'static str {
    let mut source = error.source();
    while let Some(cause) = source {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = cause.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        match tls {
            Some(rustls::Error::InvalidCertificate(_)) => return "the API's certificate is not trusted",
            Some(_) => return "the encrypted connection to the API failed",
            None => {}
        }
        let message = cause.to_string();
        if message.starts_with("dns error") {
            return "the API's host name could not be resolved";
        }
        if message.starts_with("tls handshake") {
            return "the encrypted connection to the API failed";
        }
        source = cause.source();
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => "connecting to the API timed out",
        (true, false) => "no connection to the API",
        (false, true) => "the API did not answer in time",
        (false, false) => "the connection to the API was lost",
    }
}

fn path(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_fit = (1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(is_plain);
    (is_fit && !has_sensitive_part(text)).then(|| text.to_owned())
}

const ABOUT_THE_ACCOUNT: &[&str] = &["account_not_eligible", "not_eligible", "requirements_outstanding"];

/// In bytes: longer than any of Stripe's codes, and shorter than a pasted value.
const LONGEST_CODE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_codes_are_repeated() {
        assert_eq!(code("card_declined").as_deref(), Some("card_declined"));
        for text in ["", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "a b", "é", &"a".repeat(65)] {
            assert_eq!(code(text), None, "{text}");
        }
        assert_eq!(field("configuration.plan_2"), "configuration.plan_2");
        for sensitive in
            ["", "plan.", "plan-", "the_"].map(|before| format!("{before}sk_live_4eC39HqLyjWDarjtT1zdp7dc"))
        {
            assert_eq!(field(&sensitive), "…", "{sensitive}");
        }
        assert_eq!(
            unexpected("status", "half done").to_string(),
            "the backend's response is malformed: unexpected status (…)"
        );
    }
}
