//! Why a request has no answer to go on with, and how certain that is.

use std::{error::Error, io};

use super::wire;
use crate::{
    backend::{BackendError, Refusal},
    secret::has_sensitive_part,
};

/// What came of a request instead of an answer.
#[derive(Debug)]
pub enum Failure {
    /// Nothing came of it: it never left, or was turned away unread.
    NotSent(BackendError),
    /// It may have been acted upon.
    Lost { why: String },
    /// The answer came and cannot be right.
    Malformed { what: &'static str, got: String },
    /// Stripe's no to this very request.
    Refused(Rejection),
}

/// What a no says, as far as it may be repeated.
#[derive(Debug)]
pub struct Rejection {
    pub status: u16,
    pub code: Option<String>,
    /// The parameter that is meant.
    pub param: Option<String>,
}

impl Rejection {
    pub fn new(status: u16, complaint: &wire::ErrorBody) -> Self {
        let code = complaint.code.as_deref().and_then(word).or_else(|| complaint.kind.as_deref().and_then(word));
        Self { status, code, param: complaint.param.as_deref().and_then(path) }
    }

    pub fn is_missing(&self) -> bool {
        self.status == 404
    }

    /// Whether a person must first settle something between the account and Stripe.
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
    /// What any request may be refused with; an order's own refusals are told apart in `orders.rs`.
    fn from(rejection: Rejection) -> Self {
        if rejection.is_about_the_account() {
            return Refusal::AccountNotEligible.into();
        }
        Refusal::ProviderFailed { code: rejection.code }.into()
    }
}

/// For requests about something that exists.
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

/// Of a request that leads up to an order and buys nothing by itself: whatever came of it, the order was not placed.
pub fn before_the_order(failure: Failure) -> BackendError {
    match failure {
        Failure::Lost { why } => BackendError::Unavailable { why: why.into() },
        Failure::Refused(rejection) => rejection.into(),
        failure => failure.into(),
    }
}

/// A word of Stripe's that this program does not know.
pub fn unexpected(what: &'static str, got: &str) -> BackendError {
    BackendError::Malformed { what, got: word(got).unwrap_or_else(|| "…".to_owned()) }
}

/// A code as it may be repeated.
pub fn word(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    ((1..=LONGEST_WORD).contains(&text.len()) && text.bytes().all(is_plain)).then(|| text.to_owned())
}

/// The name of a field as it may be repeated.
pub fn field(name: &str) -> String {
    path(name).unwrap_or_else(|| "…".to_owned())
}

/// What kept a request from leaving, or its answer from arriving, in our own words.
pub fn transport(error: &reqwest::Error) -> &'static str {
    let mut source = error.source();
    while let Some(cause) = source {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = cause.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        match tls {
            Some(rustls::Error::InvalidCertificate(_)) => return "the API's certificate is not to be trusted",
            Some(_) => return "no encrypted connection to the API came about",
            None => {}
        }
        let words = cause.to_string();
        if words.starts_with("dns error") {
            return "the API's host name could not be resolved";
        }
        if words.starts_with("tls handshake") {
            return "no encrypted connection to the API came about";
        }
        source = cause.source();
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => "no connection to the API came about in time",
        (true, false) => "no connection to the API came about",
        (false, true) => "the API did not answer in time",
        (false, false) => "the connection to the API broke off",
    }
}

fn path(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_fit = (1..=LONGEST_WORD).contains(&text.len()) && text.bytes().all(is_plain);
    (is_fit && !has_sensitive_part(text)).then(|| text.to_owned())
}

const ABOUT_THE_ACCOUNT: &[&str] = &["account_not_eligible", "not_eligible", "requirements_outstanding"];

/// Longer than any of Stripe's codes, and shorter than what people paste.
const LONGEST_WORD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_repeated() {
        assert_eq!(word("card_declined").as_deref(), Some("card_declined"));
        for text in ["", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "a b", "é", &"a".repeat(65)] {
            assert_eq!(word(text), None, "{text}");
        }
        assert_eq!(field("configuration.plan_2"), "configuration.plan_2");
        for sensitive in
            ["", "plan.", "plan-", "the_"].map(|before| format!("{before}sk_live_4eC39HqLyjWDarjtT1zdp7dc"))
        {
            assert_eq!(field(&sensitive), "…", "{sensitive}");
        }
        assert_eq!(
            unexpected("status", "half done").to_string(),
            "the backend's answer is not understood: unexpected status (…)"
        );
    }
}
