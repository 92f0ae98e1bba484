//! What can go wrong at a backend, named by what the caller does next.

use crate::{money::Cents, project::NoRandomness};

/// Why a backend did not do what was asked. No variant has room for a credential.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The answer came and cannot be right. Anything may have happened: observe.
    #[error("the backend's answer is not understood: unexpected {what} ({got})")]
    Malformed { what: &'static str, got: String },
    /// Nothing happened; a person must agree to something first. It is never agreed to on a person's behalf.
    #[error("the backend wants a person to confirm: {what}")]
    NeedsConsent { what: &'static str },
    /// Nothing happened; a person must open this address and connect the provider first.
    #[error("the provider is not linked to the account yet")]
    NeedsLink { url: String },
    /// The resource does not exist.
    #[error("the backend has no such resource")]
    NotFound,
    /// Nothing happened, and asking again will not change it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing happened: we are not logged in, or our key is not accepted.
    #[error("the backend does not accept who we are")]
    Unauthenticated,
    /// Nothing happened: the backend could not be reached or used. Later may be better.
    #[error("the backend cannot be used: {why}")]
    Unavailable { why: String },
    /// Anything may have happened. Observe before doing it again.
    #[error("the backend did not say what came of it: {why}")]
    Unknown { why: String },
}

impl BackendError {
    /// Whether it is certain that nothing happened.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::Malformed { .. } | Self::Unknown { .. })
    }
}

impl From<NoRandomness> for BackendError {
    fn from(_: NoRandomness) -> Self {
        Self::Unavailable { why: NoRandomness.to_string() }
    }
}

/// A definite no.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the payment method was declined")]
    CardDeclined,
    #[error("the cap is used up")]
    CapReached,
    #[error("the provider's monthly limit of {} USD is used up", limit)]
    MonthlyLimitReached { limit: Cents },
    #[error("the resource is suspended")]
    Suspended,
    #[error("this backend's usage is metered by the provider and cannot be recorded here")]
    UsageIsMetered,
}
