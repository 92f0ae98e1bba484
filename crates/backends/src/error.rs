//! Errors of backends, named by what the caller can do next.

use std::{error::Error, path::PathBuf};

use domain::{money::Cents, project::NoRandomness, visible::visible};

use super::NotesError;

/// Why a backend did not do what was requested. No variant has room for a credential.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Anything may have happened, and repeating the lookup will not tell. Only a person can check, at `place`, whether
    /// there is a resource of that name.
    #[error("the order is too old for the backend to know its outcome; look at {place} for a resource called {name}")]
    Forgotten { name: String, place: &'static str },
    /// The response arrived and cannot be right. Anything may have happened: observe.
    #[error("the backend's response is malformed: unexpected {what} ({})", visible(got))]
    Malformed { what: &'static str, got: String },
    /// Nothing happened; a person must finish a step in a browser first.
    #[error("Stripe requires a step in a browser")]
    NeedsBrowser,
    /// Nothing happened; a person must agree first. The program never agrees on a person's behalf.
    #[error(transparent)]
    NeedsConsent(#[from] Consent),
    /// Nothing is left of it; the provider requires more information, in fields of its own.
    #[error("the provider requires more information: {}", visible(&fields.join(", ")))]
    NeedsInformation { fields: Vec<String> },
    /// Nothing happened; a person must open this address and connect the provider first.
    #[error("the provider is not linked to the Stripe account")]
    NeedsLink { url: String },
    /// Nothing happened: no person has connected this workspace to the backend, its program and its address.
    #[error("this workspace is not connected to the backend {backend}")]
    NotConnected { backend: &'static str },
    /// The resource does not exist.
    #[error("the backend has no such resource")]
    NotFound,
    /// Nothing happened; a person must link the provider first, from that folder.
    #[error("the provider {} is not linked to the Stripe account", visible(provider))]
    NotLinked { provider: String, folder: PathBuf },
    /// Nothing happened: this machine is not set up for the backend.
    #[error(transparent)]
    NotSetUp(#[from] Setup),
    /// Nothing happened, and a retry will not change that.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing happened: there is no login, or the key is not accepted.
    #[error("the backend rejected the key or login")]
    Unauthenticated,
    /// Nothing happened: the backend could not be reached or used. A later retry may succeed.
    #[error("the backend cannot be used: {why}")]
    Unavailable {
        #[source]
        why: Cause,
    },
    /// Anything may have happened. Observe before a retry.
    #[error("the outcome is unknown: {why}")]
    Unknown {
        #[source]
        why: Cause,
    },
}

/// Why a backend did not answer: an error with its own causes, or a text of this program.
pub type Cause = Box<dyn Error + Send + Sync>;

impl BackendError {
    /// Whether it is certain that nothing happened.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::Forgotten { .. } | Self::Malformed { .. } | Self::Unknown { .. })
    }

    /// Converts a definite failure into `Unknown`; use after a request that may have taken effect.
    #[must_use]
    pub fn into_unknown(self) -> Self {
        match self {
            Self::Unavailable { why } => Self::Unknown { why },
            definite if definite.is_definite() => Self::Unknown { why: definite.into() },
            unknown => unknown,
        }
    }
}

impl From<NoRandomness> for BackendError {
    fn from(error: NoRandomness) -> Self {
        Self::Unavailable { why: error.into() }
    }
}

/// What cannot be noted is not done.
impl From<NotesError> for BackendError {
    fn from(error: NotesError) -> Self {
        Self::Unavailable { why: error.into_cause() }
    }
}

/// A step that only a person may agree to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Consent {
    #[error("Stripe requires a confirmation that this program does not know")]
    Other,
    #[error("Stripe requires a person to confirm the price")]
    Price,
    #[error("the provider's terms of service have not been accepted")]
    Terms,
}

/// A definite refusal.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the Stripe account is not eligible for Stripe Projects")]
    AccountNotEligible,
    #[error("the payment method was declined")]
    CardDeclined,
    /// The provider has no way to revoke a credential but removing the service.
    #[error("the provider cannot disable a credential without removing the service")]
    CannotDisable,
    #[error("the cap is used up")]
    CapReached,
    /// The catalog's names of the fields.
    #[error("the service rejects its configuration in the registry: {}", visible(&fields.join(", ")))]
    Configuration { fields: Vec<String> },
    #[error("Stripe rejected the spending limit of {limit} USD for {}", visible(provider))]
    LimitNotSet { provider: String, limit: Cents },
    #[error("the provider's monthly limit of {limit} USD is used up")]
    MonthlyLimitReached { limit: Cents },
    #[error("the service requires a plan")]
    PlanRequired,
    /// Stripe's code for it, letters and underscores only.
    #[error("the provider failed{}", code.as_ref().map(|code| format!(" ({})", visible(code))).unwrap_or_default())]
    ProviderFailed { code: Option<String> },
    #[error("Stripe's catalog does not offer the service {} at the moment", visible(service))]
    ServiceMissing { service: String },
    #[error("the resource is suspended")]
    Suspended,
    #[error("the provider allows no more of these services on this account")]
    TooMany,
    #[error("this backend's usage is metered by the provider and cannot be recorded here")]
    UsageIsMetered,
}

/// A requirement of the backend that this machine does not meet.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Setup {
    #[error("the Stripe CLI was not found")]
    CliMissing,
    #[error("the Stripe CLI is too old for Stripe Projects")]
    CliTooOld,
    #[error("no Stripe API key is set")]
    KeyMissing,
    #[error("the Stripe API key has an unknown format")]
    KeyUnfit,
    #[error("the Stripe CLI is not logged in, or its projects plugin is not installed")]
    LoggedOut,
    /// The folder belongs to another Stripe project than the ledger names.
    #[error("this workspace now belongs to another Stripe project")]
    OtherProject { folder: PathBuf },
    /// In another account or mode, resources of this workspace would look removed.
    #[error("this is not the Stripe account and mode that this workspace was provisioned with")]
    WrongAccount,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn into_unknown_is_never_definite() {
        for error in [BackendError::NotFound, BackendError::Unauthenticated, Refusal::TooMany.into()] {
            assert!(!error.into_unknown().is_definite());
        }
    }
}
