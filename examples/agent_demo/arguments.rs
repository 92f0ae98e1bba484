//! The demo's command line: the backend, and whether the demo may cost money.

use std::{ffi::OsString, path::PathBuf};

use clap::{CommandFactory as _, Parser, ValueEnum, error::ErrorKind};
use domain::money::Cents;

/// Shows an agent with a capped card, and checks every step.
#[derive(Parser)]
#[command(name = "agent_demo")]
pub struct Arguments {
    /// Backend; all but `simulated` cost real money
    #[arg(long, value_enum, default_value_t = Backend::Simulated)]
    pub backend: Backend,
    /// The project's cap in US dollars, with a real backend [default: the provider's default]
    #[arg(long, value_name = "USD", value_parser = Cents::parse_usd)]
    pub cap: Option<Cents>,
    /// With stripe-api: use a simulator on this machine, so that nothing costs money
    #[arg(long)]
    pub simulator: bool,
    /// Skip the confirmation before real money is spent
    #[arg(long)]
    pub yes: bool,
    /// Passed to the server: base URL of Stripe's API, with stripe-api
    #[arg(long, value_name = "URL")]
    stripe_api_base: Option<String>,
    /// Passed to the server: path of the Stripe CLI, with stripe-cli
    #[arg(long, value_name = "PATH")]
    stripe_bin: Option<PathBuf>,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub enum Backend {
    Simulated,
    StripeApi,
    StripeCli,
}

impl Arguments {
    /// Parses the command line; on an invalid combination, prints the error and exits.
    pub fn parse_or_exit() -> Self {
        let arguments = Self::parse();
        let allowed = |is_set: bool, backends: &[Backend]| !is_set || backends.contains(&arguments.backend);
        let is_valid = allowed(arguments.cap.is_some(), &[Backend::StripeApi, Backend::StripeCli])
            && allowed(arguments.stripe_api_base.is_some(), &[Backend::StripeApi])
            && allowed(arguments.simulator, &[Backend::StripeApi])
            && !(arguments.simulator && arguments.stripe_api_base.is_some())
            && allowed(arguments.stripe_bin.is_some(), &[Backend::StripeCli]);
        if !is_valid {
            let message = "this backend does not support one of the flags";
            Self::command().error(ErrorKind::ArgumentConflict, message).exit();
        }
        arguments
    }

    /// Returns the server's flags.
    pub fn server_flags(&self) -> Vec<OsString> {
        let mut flags: Vec<OsString> = vec!["--backend".into(), self.backend.name().into()];
        if self.backend != Backend::Simulated {
            flags.push("--accept-tos".into()); // the user accepted the terms before the server was started
        }
        for (flag, value) in [
            ("--stripe-api-base", self.stripe_api_base.as_ref().map(OsString::from)),
            ("--stripe-bin", self.stripe_bin.as_ref().map(OsString::from)),
        ] {
            flags.extend(value.into_iter().flat_map(|value| [flag.into(), value]));
        }
        flags
    }
}

impl Backend {
    pub fn name(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::StripeApi => "stripe-api",
            Self::StripeCli => "stripe-cli",
        }
    }
}
