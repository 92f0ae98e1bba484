//! The configuration of the chosen backend.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use backends::{
    Backend, Scrubbed, Setup,
    simulated::{PaymentError, PaymentMethod, Simulated},
    stripe_api::{self, ApiBase, ApiConfig, StripeApi},
    stripe_cli::{self, StripeCli},
};
use domain::{clock::Clock, secret::Secret};
use files::fs::{self, SearchPath};
use storage::ledger::Ledger;

use super::{
    CliOptions,
    environment::{path, secret, word},
    ledger_notes::LedgerNotes,
};
use crate::error::Error;

/// A chosen backend that is not opened yet.
pub(super) enum BackendConfig {
    Simulated,
    StripeApi(ApiConfig),
    StripeCli { bin: Option<PathBuf> },
}

impl BackendConfig {
    /// Reads the choice; `within` resolves relative paths.
    pub fn new(
        options: &CliOptions,
        programs: &SearchPath,
        within: impl Fn(PathBuf) -> PathBuf,
    ) -> Result<Self, Error> {
        match options.backend.clone().or_else(|| word("STRIPE_PROJECTS_BACKEND")).as_deref() {
            None | Some("simulated") => Ok(Self::Simulated),
            Some("stripe-api") => Ok(Self::StripeApi(access(options, within)?)),
            Some("stripe-cli") => Ok(Self::StripeCli { bin: bin(options, programs, within)? }),
            Some(_) => Err(Error::UnknownBackend),
        }
    }

    /// Builds the backend. Nothing is opened: that happens on first use.
    pub fn build(
        self,
        state: &Path,
        ledger: &Arc<Ledger>,
        payment_method: PaymentMethod,
        clock: &Clock,
    ) -> Arc<dyn Backend> {
        let notes = |backend| Arc::new(LedgerNotes::new(Arc::clone(ledger), backend));
        match self {
            Self::Simulated => Arc::new(Simulated::new(simulated_store(state), payment_method, clock.clone())),
            Self::StripeApi(access) => {
                let key = access.key.clone();
                let backend = StripeApi::new(
                    access,
                    notes(stripe_api::NAME),
                    state.to_owned(),
                    stripe_api::RetryPolicy::default(),
                );
                Arc::new(Scrubbed::new(Arc::new(backend)).knowing(key.as_ref()))
            }
            Self::StripeCli { bin } => {
                let backend =
                    StripeCli::new(bin, notes(stripe_cli::NAME), state.to_owned(), stripe_cli::Timeouts::default());
                Arc::new(Scrubbed::new(Arc::new(backend)).knowing(secret("STRIPE_API_KEY").as_ref()))
            }
        }
    }

    /// Returns a warning to print at the start.
    pub fn warning(&self) -> Option<&'static str> {
        match self {
            Self::StripeApi(access) if access.has_every_right() => Some(EVERY_RIGHT),
            _ => None,
        }
    }
}

/// Reads the payment method of the simulation.
pub(super) fn payment_method(options: &CliOptions) -> Result<PaymentMethod, PaymentError> {
    let token = options.payment_method.clone().or_else(|| word("STRIPE_PROJECTS_PAYMENT_METHOD"));
    token.map_or(Ok(PaymentMethod::default()), |token| PaymentMethod::parse(&token))
}

/// Returns the database of the simulated account of a state folder.
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

/// A named file that does not exist is a usage error, not a missing key.
fn key_in(file: &Path) -> Result<Secret, Error> {
    let bytes = fs::read_named(file, MAX_KEY_FILE_BYTES)?.ok_or_else(|| Error::NoKeyFile { path: file.to_owned() })?;
    let text = String::from_utf8(bytes).map_err(|_| Error::Backend(Setup::KeyUnfit.into()))?;
    Ok(Secret::new(text.trim().to_owned()))
}

/// A bare name is searched on `PATH`, as in a shell. `None`: there is none that may be started.
fn bin(
    options: &CliOptions,
    programs: &SearchPath,
    within: impl Fn(PathBuf) -> PathBuf,
) -> Result<Option<PathBuf>, Error> {
    let named = options.stripe_bin.clone().or_else(|| path("STRIPE_PROJECTS_STRIPE_BIN"));
    let named = named.unwrap_or_else(|| PathBuf::from("stripe"));
    if named.components().count() > 1 {
        let path = within(named);
        programs.check(&path).map_err(Error::ProgramRefused)?;
        return Ok(Some(path));
    }
    let found = named.to_str().map(|name| programs.find(name));
    Ok(found.and_then(Result::ok).map(|program| program.path))
}

const EVERY_RIGHT: &str = "STRIPE_API_KEY is a live secret key, which may do everything on the account; a restricted \
    key (rk_live_…) for Stripe Projects alone does less harm if it leaks";

const MAX_KEY_FILE_BYTES: u64 = 4096;
