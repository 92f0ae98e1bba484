//! Which backend is meant, and what it needs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Given,
    environment::{path, secret, word},
};
use crate::{
    backend::{
        Backend, Scrubbed, Setup,
        simulated::{PaymentError, PaymentMethod, Simulated},
        stripe_api::{self, Access, ApiBase, StripeApi},
        stripe_cli::{self, StripeCli},
    },
    clock::Clock,
    error::Error,
    fs,
    ledger::Ledger,
    secret::Secret,
};

/// A backend that has been chosen, and not been opened.
pub(super) enum Choice {
    Simulated,
    StripeApi(Access),
    StripeCli { bin: Option<PathBuf> },
}

impl Choice {
    /// Relative paths count from a folder, which `within` knows.
    pub fn of(given: &Given, within: impl Fn(PathBuf) -> PathBuf) -> Result<Self, Error> {
        match given.backend.clone().or_else(|| word("STRIPE_PROJECTS_BACKEND")).as_deref() {
            None | Some("simulated") => Ok(Self::Simulated),
            Some("stripe-api") => Ok(Self::StripeApi(access(given, within)?)),
            Some("stripe-cli") => Ok(Self::StripeCli { bin: bin(given, within) }),
            Some(_) => Err(Error::UnknownBackend),
        }
    }

    /// Still nothing is opened: that happens on first use.
    pub fn built(self, state: &Path, payment_method: PaymentMethod, clock: &Clock) -> Arc<dyn Backend> {
        let ledger = || Arc::new(Ledger::of(state));
        match self {
            Self::Simulated => Arc::new(Simulated::new(simulated_world(state), payment_method, clock.clone())),
            Self::StripeApi(access) => {
                let key = access.key.clone();
                let backend = StripeApi::new(access, ledger(), state.to_owned(), stripe_api::Pace::default());
                Arc::new(Scrubbed::new(Arc::new(backend)).knowing(key.as_ref()))
            }
            Self::StripeCli { bin } => {
                let backend = StripeCli::new(bin, ledger(), state.to_owned(), stripe_cli::Pace::default());
                Arc::new(Scrubbed::new(Arc::new(backend)).knowing(secret("STRIPE_API_KEY").as_ref()))
            }
        }
    }

    /// What the human should know before anything goes wrong.
    pub fn warning(&self) -> Option<&'static str> {
        match self {
            Self::StripeApi(access) if access.has_every_right() => Some(EVERY_RIGHT),
            _ => None,
        }
    }
}

/// How the simulation pays.
pub(super) fn payment_method(given: &Given) -> Result<PaymentMethod, PaymentError> {
    let token = given.payment_method.clone().or_else(|| word("STRIPE_PROJECTS_PAYMENT_METHOD"));
    token.map_or(Ok(PaymentMethod::default()), |token| PaymentMethod::parse(&token))
}

/// Where the simulated world of a state folder is kept.
pub fn simulated_world(state: &Path) -> PathBuf {
    state.join("simulated.db")
}

fn access(given: &Given, within: impl Fn(PathBuf) -> PathBuf) -> Result<Access, Error> {
    let base = given.stripe_api_base.clone().or_else(|| word("STRIPE_PROJECTS_STRIPE_API_BASE"));
    let base = base.map_or(Ok(ApiBase::default()), |base| ApiBase::parse(&base))?;
    let file = given.stripe_api_key_file.clone().or_else(|| path("STRIPE_PROJECTS_STRIPE_API_KEY_FILE"));
    let key = match file {
        Some(file) => Some(key_in(&within(file))?),
        None => secret("STRIPE_API_KEY"),
    };
    Ok(Access { base, key, context: word("STRIPE_CONTEXT") })
}

/// A file that was named and is not there is a mistake, not a missing key.
fn key_in(file: &Path) -> Result<Secret, Error> {
    let bytes = fs::read(file, LONGEST_KEY_FILE)?.ok_or_else(|| Error::NoKeyFile { path: file.to_owned() })?;
    let text = String::from_utf8(bytes).map_err(|_| Error::Backend(Setup::KeyUnfit.into()))?;
    Ok(Secret::new(text.trim().to_owned()))
}

/// A bare name is looked for on `PATH`, as a shell would.
fn bin(given: &Given, within: impl Fn(PathBuf) -> PathBuf) -> Option<PathBuf> {
    let bin = given.stripe_bin.clone().or_else(|| path("STRIPE_PROJECTS_STRIPE_BIN"))?;
    Some(if bin.components().count() > 1 { within(bin) } else { bin })
}

const EVERY_RIGHT: &str = "STRIPE_API_KEY is a live secret key, which may do everything on the account; a restricted \
    key (rk_live_…) for Stripe Projects alone does less harm if it leaks";

const LONGEST_KEY_FILE: u64 = 4096;
