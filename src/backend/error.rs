//! What can go wrong at a backend, named by what the caller does next.

use std::{error::Error, path::PathBuf};

use crate::{ledger::LedgerError, money::Cents, project::NoRandomness};

/// Why a backend did not do what was asked. No variant has room for a credential.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Anything may have happened, and asking again will never tell. Only a person can look, at `place`, whether there
    /// is a resource of that name.
    #[error(
        "it was too long ago for the backend to say what became of it; {place} shows whether there is a resource \
        called {name}"
    )]
    Forgotten { name: String, place: &'static str },
    /// The answer came and cannot be right. Anything may have happened: observe.
    #[error("the backend's answer is not understood: unexpected {what} ({got})")]
    Malformed { what: &'static str, got: String },
    /// Nothing happened; a person must finish something in a browser first.
    #[error("Stripe wants a person to go on in a browser")]
    NeedsBrowser,
    /// Nothing happened; a person must agree to something first. It is never agreed to on a person's behalf.
    #[error(transparent)]
    NeedsConsent(#[from] Consent),
    /// Nothing is left of it; the provider wants to know more, by these names of its own.
    #[error("the provider wants more information: {}", fields.join(", "))]
    NeedsInformation { fields: Vec<String> },
    /// Nothing happened; a person must open this address and connect the provider first.
    #[error("the provider is not linked to the account yet")]
    NeedsLink { url: String },
    /// The resource does not exist.
    #[error("the backend has no such resource")]
    NotFound,
    /// Nothing happened; a person must link the provider first, from that folder.
    #[error("the provider {provider} is not linked to the account yet")]
    NotLinked { provider: String, folder: PathBuf },
    /// Nothing happened: this machine is not set up for the backend.
    #[error(transparent)]
    NotSetUp(#[from] Setup),
    /// Nothing happened, and asking again will not change it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing happened: we are not logged in, or our key is not accepted.
    #[error("the backend does not accept who we are")]
    Unauthenticated,
    /// Nothing happened: the backend could not be reached or used. Later may be better.
    #[error("the backend cannot be used: {why}")]
    Unavailable {
        #[source]
        why: Cause,
    },
    /// Anything may have happened. Observe before doing it again.
    #[error("the backend did not say what came of it: {why}")]
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

    /// The same, told once something may have been acted upon: no later error makes it certain that nothing was.
    #[must_use]
    pub fn into_unknown(self) -> Self {
        match self {
            Self::Unavailable { why } => Self::Unknown { why },
            certain if certain.is_definite() => Self::Unknown { why: certain.into() },
            into_unknown => into_unknown,
        }
    }
}

impl From<NoRandomness> for BackendError {
    fn from(error: NoRandomness) -> Self {
        Self::Unavailable { why: error.into() }
    }
}

/// What cannot be remembered is not done.
impl From<LedgerError> for BackendError {
    fn from(error: LedgerError) -> Self {
        Self::Unavailable { why: error.into() }
    }
}

/// What only a person may agree to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Consent {
    #[error("Stripe wants a person to confirm something that this program does not know")]
    Other,
    #[error("Stripe wants a person to confirm the price")]
    Price,
    #[error("the provider's terms of service have not been accepted")]
    Terms,
}

/// A definite no.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the Stripe account is not eligible for Stripe Projects")]
    AccountNotEligible,
    #[error("the payment method was declined")]
    CardDeclined,
    #[error("the cap is used up")]
    CapReached,
    /// The catalog's own names of what it wants otherwise.
    #[error("the service does not take its configuration as the registry has it: {}", fields.join(", "))]
    Configuration { fields: Vec<String> },
    #[error("Stripe did not take the spending limit of {limit} USD for {provider}")]
    LimitNotSet { provider: String, limit: Cents },
    #[error("the provider's monthly limit of {limit} USD is used up")]
    MonthlyLimitReached { limit: Cents },
    #[error("the service wants a plan to exist first")]
    PlanRequired,
    /// Stripe's code for it, letters and underscores only.
    #[error("the provider did not do it{}", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    ProviderFailed { code: Option<String> },
    #[error("Stripe's catalog does not have the service {service}, or not at the moment")]
    ServiceMissing { service: String },
    #[error("the resource is suspended")]
    Suspended,
    #[error("the provider allows no more of them on this account")]
    TooMany,
    #[error("this backend's usage is metered by the provider and cannot be recorded here")]
    UsageIsMetered,
}

/// What is missing on this machine before the backend can be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Setup {
    #[error("the Stripe CLI was not found")]
    CliMissing,
    #[error("the Stripe CLI is too old for Stripe Projects")]
    CliTooOld,
    #[error("there is no Stripe API key")]
    KeyMissing,
    #[error("the Stripe API key is not one that Stripe gives out")]
    KeyUnfit,
    #[error("the Stripe CLI is not logged in, or its projects plugin is not installed")]
    LoggedOut,
    /// The folder speaks of a Stripe project that is not the one remembered.
    #[error("the Stripe project of this workspace is not the one that it was")]
    OtherProject { folder: PathBuf },
    /// To another account, or in the other mode, what this workspace provisioned would look removed.
    #[error("this is not the Stripe account and mode that this workspace was provisioned with")]
    WrongAccount,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_stays() {
        for error in [BackendError::NotFound, BackendError::Unauthenticated, Refusal::TooMany.into()] {
            assert!(!error.into_unknown().is_definite());
        }
    }
}
