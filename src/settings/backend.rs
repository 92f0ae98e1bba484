//! Which backend is meant, and what it needs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CliOptions,
    environment::{path, secret, word},
};
use crate::{
    backend::{
        Backend, Scrubbed, Setup,
        simulated::{PaymentError, PaymentMethod, Simulated},
        stripe_api::{self, ApiBase, ApiConfig, StripeApi},
        stripe_cli::{self, StripeCli},
    },
    clock::Clock,
    error::Error,
    fs,
    ledger::Ledger,
    secret::Secret,
};

/// A backend that has been chosen, and not been opened.
pub(super) enum BackendConfig {
    Simulated,
    StripeApi(ApiConfig),
    StripeCli { bin: Option<PathBuf> },
}

impl BackendConfig {
    /// Relative paths count from a folder, which `within` knows.
    pub fn of(options: &CliOptions, within: impl Fn(PathBuf) -> PathBuf) -> Result<Self, Error> {
        match options.backend.clone().or_else(|| word("STRIPE_PROJECTS_BACKEND")).as_deref() {
            None | Some("simulated") => Ok(Self::Simulated),
            Some("stripe-api") => Ok(Self::StripeApi(access(options, within)?)),
            Some("stripe-cli") => Ok(Self::StripeCli { bin: bin(options, within) }),
            Some(_) => Err(Error::UnknownBackend),
        }
    }

    /// Still nothing is opened: that happens on first use.
    pub fn built(
        self,
        state: &Path,
        ledger: &Arc<Ledger>,
        payment_method: PaymentMethod,
        clock: &Clock,
    ) -> Arc<dyn Backend> {
        let ledger = || Arc::clone(ledger);
        match self {
            Self::Simulated => Arc::new(Simulated::new(simulated_store(state), payment_method, clock.clone())),
            Self::StripeApi(access) => {
                let key = access.key.clone();
                let backend = StripeApi::new(access, ledger(), state.to_owned(), stripe_api::RetryPolicy::default());
                Arc::new(Scrubbed::new(Arc::new(backend)).knowing(key.as_ref()))
            }
            Self::StripeCli { bin } => {
                let backend = StripeCli::new(bin, ledger(), state.to_owned(), stripe_cli::Timeouts::default());
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
pub(super) fn payment_method(options: &CliOptions) -> Result<PaymentMethod, PaymentError> {
    let token = options.payment_method.clone().or_else(|| word("STRIPE_PROJECTS_PAYMENT_METHOD"));
    token.map_or(Ok(PaymentMethod::default()), |token| PaymentMethod::parse(&token))
}

/// Where the simulated world of a state folder is kept.
pub fn simulated_store(state: &Path) -> PathBuf {
    state.join("simulated.db")
}

fn access(options: &CliOptions, within: impl Fn(PathBuf) -> PathBuf) -> Result<ApiConfig, Error> {
    let base = options.stripe_api_base.clone().or_else(|| word("STRIPE_PROJECTS_STRIPE_API_BASE"));
    let base = base.map_or(Ok(ApiBase::default()), |base| ApiBase::parse(&base))?;
    let file = options.stripe_api_key_file.clone().or_else(|| path("STRIPE_PROJECTS_STRIPE_API_KEY_FILE"));
    let key = match file {
        Some(file) => Some(key_in(&within(file))?),
        None => secret("STRIPE_API_KEY"),
    };
    Ok(ApiConfig { base, key, context: word("STRIPE_CONTEXT") })
}

/// A file that was named and is not there is a mistake, not a missing key.
fn key_in(file: &Path) -> Result<Secret, Error> {
    let bytes = fs::read(file, LONGEST_KEY_FILE)?.ok_or_else(|| Error::NoKeyFile { path: file.to_owned() })?;
    let text = String::from_utf8(bytes).map_err(|_| Error::Backend(Setup::KeyUnfit.into()))?;
    Ok(Secret::new(text.trim().to_owned()))
}

/// A bare name is looked for on `PATH`, as a shell would.
fn bin(options: &CliOptions, within: impl Fn(PathBuf) -> PathBuf) -> Option<PathBuf> {
    let bin = options.stripe_bin.clone().or_else(|| path("STRIPE_PROJECTS_STRIPE_BIN"))?;
    Some(if bin.components().count() > 1 { within(bin) } else { bin })
}

const EVERY_RIGHT: &str = "STRIPE_API_KEY is a live secret key, which may do everything on the account; a restricted \
    key (rk_live_…) for Stripe Projects alone does less harm if it leaks";

const LONGEST_KEY_FILE: u64 = 4096;
