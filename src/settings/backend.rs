//! The configuration of the chosen backend.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use backends::{
    Backend, BackendError, Recorded, Scrubbed, Setup,
    simulated::{PaymentError, PaymentMethod, Simulated},
    stripe_api::{self, ApiBase, ApiConfig, StripeApi},
    stripe_cli::{self, StripeCli},
};
use domain::{clock::Clock, connection::ConnectionTarget, secret::Secret};
use files::fs::{self, SearchPath};
use storage::ledger::Ledger;

use super::{
    CliOptions,
    environment::{find_program, path, secret, word},
    ledger_notes::LedgerNotes,
};
use crate::{error::Error, provisioner::ConnectionChoice};

/// A chosen backend that is not opened yet.
pub(super) enum BackendConfig {
    /// A real backend of a server: only what a person has recorded counts.
    Recorded {
        backend: &'static str,
        asked_address: Option<String>,
    },
    Simulated,
    StripeApi {
        config: ApiConfig,
        key_file: Option<PathBuf>,
    },
    StripeCli {
        bin: Option<PathBuf>,
    },
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
            Some(stripe_api::NAME) if options.by_host => {
                // A loopback address is a simulator's. Any other one is taken from what was recorded.
                let asked = base(options)?.filter(ApiBase::is_loopback);
                let asked_address = asked.map(|base| base.as_str().to_owned());
                Ok(Self::Recorded { backend: stripe_api::NAME, asked_address })
            }
            Some(stripe_cli::NAME) if options.by_host => {
                Ok(Self::Recorded { backend: stripe_cli::NAME, asked_address: None })
            }
            Some(stripe_api::NAME) => access(options, within),
            Some(stripe_cli::NAME) => Ok(Self::StripeCli { bin: bin(options, programs, within)? }),
            Some(_) => Err(Error::UnknownBackend),
        }
    }

    /// Returns what `connect` would record for a workspace; `None` for the simulation.
    pub fn choice(&self, workspace: &Path, terms_accepted: bool) -> Option<ConnectionChoice> {
        let text = |path: &Path| path.to_str().map(str::to_owned);
        let (backend, address, key_file, has_key) = match self {
            Self::Recorded { .. } | Self::Simulated => return None,
            Self::StripeApi { config, key_file } => {
                let key_file = key_file.as_ref().and_then(|file| fs::real_path(file).ok());
                let key_file = key_file.as_deref().and_then(text);
                (stripe_api::NAME, Some(config.base.as_str().to_owned()), key_file, config.key.is_some())
            }
            Self::StripeCli { bin } => {
                let program = match bin.as_ref().filter(|bin| bin.components().count() > 1) {
                    Some(path) => fs::real_path(path).ok(),
                    None => find_program(bin.as_deref().unwrap_or(Path::new("stripe")), workspace),
                };
                (stripe_cli::NAME, program.as_deref().and_then(text), None, true)
            }
        };
        Some(ConnectionChoice { backend, address, key_file, has_key, terms_accepted })
    }

    /// Returns the flags and variables that a host's entry names and that do not count there.
    pub fn ignored(options: &CliOptions) -> Vec<&'static str> {
        let is_remote = || {
            !matches!(base(options), Ok(None))
                && !base(options).is_ok_and(|base| base.is_some_and(|base| base.is_loopback()))
        };
        let given = [
            (options.accept_tos, "--accept-tos"),
            (options.stripe_bin.is_some() || path("STRIPE_PROJECTS_STRIPE_BIN").is_some(), "--stripe-bin"),
            (
                options.stripe_api_key_file.is_some() || path("STRIPE_PROJECTS_STRIPE_API_KEY_FILE").is_some(),
                "--stripe-api-key-file",
            ),
            (is_remote(), "--stripe-api-base"),
        ];
        given.into_iter().filter_map(|(is_given, flag)| is_given.then_some(flag)).collect()
    }

    /// Builds the backend. Nothing is opened: that happens on first use.
    pub fn build(
        self,
        state: &Path,
        ledger: &Arc<Ledger>,
        payment_method: PaymentMethod,
        clock: &Clock,
    ) -> Arc<dyn Backend> {
        let (state_folder, notes_ledger) = (state.to_owned(), Arc::clone(ledger));
        match self {
            Self::Recorded { backend, asked_address } => {
                let unconnected = if backend == stripe_cli::NAME {
                    cli(None, ledger, state)
                } else {
                    api(ApiConfig { base: ApiBase::default(), key: None, context: None }, ledger, state)
                };
                let make = move |target: &ConnectionTarget| recorded(target, &notes_ledger, &state_folder);
                let ledger = Arc::clone(ledger);
                let find = move || {
                    let found = ledger.connections().find(backend);
                    let found = found.map_err(|error| BackendError::Unavailable { why: error.into() })?;
                    let is_asked =
                        |target: &ConnectionTarget| asked_address.as_ref().is_none_or(|asked| *asked == target.address);
                    Ok(found.map(|connection| connection.target).filter(is_asked))
                };
                Arc::new(Recorded::new(unconnected, Box::new(find), Box::new(make)))
            }
            Self::Simulated => Arc::new(Simulated::new(simulated_store(state), payment_method, clock.clone())),
            Self::StripeApi { config, .. } => api(config, ledger, state),
            Self::StripeCli { bin } => cli(bin, ledger, state),
        }
    }

    /// Returns a warning to print at the start.
    pub fn warning(&self) -> Option<&'static str> {
        match self {
            Self::StripeApi { config, .. } if config.has_every_right() => Some(EVERY_RIGHT),
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

/// Builds a backend for what was recorded.
fn recorded(target: &ConnectionTarget, ledger: &Arc<Ledger>, state: &Path) -> Result<Arc<dyn Backend>, BackendError> {
    if target.backend == stripe_cli::NAME {
        return Ok(cli(Some(PathBuf::from(&target.address)), ledger, state));
    }
    let unfit = |_| BackendError::Malformed { what: "address of the connection", got: "no address".to_owned() };
    let base = ApiBase::parse(&target.address).map_err(unfit)?;
    let key = match &target.key_file {
        Some(file) => Some(key_in(Path::new(file)).map_err(|_| Setup::KeyMissing)?),
        None => secret("STRIPE_API_KEY"),
    };
    Ok(api(ApiConfig { base, key, context: word("STRIPE_CONTEXT") }, ledger, state))
}

fn api(config: ApiConfig, ledger: &Arc<Ledger>, state: &Path) -> Arc<dyn Backend> {
    let (key, notes) = (config.key.clone(), Arc::new(LedgerNotes::new(Arc::clone(ledger), stripe_api::NAME)));
    let backend = StripeApi::new(config, notes, state.to_owned(), stripe_api::RetryPolicy::default());
    Arc::new(Scrubbed::new(Arc::new(backend)).knowing(key.as_ref()))
}

fn cli(bin: Option<PathBuf>, ledger: &Arc<Ledger>, state: &Path) -> Arc<dyn Backend> {
    let notes = Arc::new(LedgerNotes::new(Arc::clone(ledger), stripe_cli::NAME));
    let backend = StripeCli::new(bin, notes, state.to_owned(), stripe_cli::Timeouts::default());
    Arc::new(Scrubbed::new(Arc::new(backend)).knowing(secret("STRIPE_API_KEY").as_ref()))
}

fn base(options: &CliOptions) -> Result<Option<ApiBase>, Error> {
    let base = options.stripe_api_base.clone().or_else(|| word("STRIPE_PROJECTS_STRIPE_API_BASE"));
    Ok(base.map(|base| ApiBase::parse(&base)).transpose()?)
}

fn access(options: &CliOptions, within: impl Fn(PathBuf) -> PathBuf) -> Result<BackendConfig, Error> {
    let base = base(options)?.unwrap_or_default();
    let file = options.stripe_api_key_file.clone().or_else(|| path("STRIPE_PROJECTS_STRIPE_API_KEY_FILE"));
    let key_file = file.map(within);
    let key = match &key_file {
        Some(file) => Some(key_in(file)?),
        None => secret("STRIPE_API_KEY"),
    };
    Ok(BackendConfig::StripeApi { config: ApiConfig { base, key, context: word("STRIPE_CONTEXT") }, key_file })
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
