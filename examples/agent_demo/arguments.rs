//! The demo's command line: who provisions, and whether that may cost money.

use std::{ffi::OsString, path::PathBuf};

use clap::{CommandFactory as _, Parser, ValueEnum, error::ErrorKind};
use stripe_projects_mcp::money::Cents;

/// An agent's afternoon with a capped card, checked at every step.
#[derive(Parser)]
#[command(name = "agent_demo")]
pub struct Arguments {
    /// Who provisions; whoever is not simulated costs real money
    #[arg(long, value_enum, default_value_t = Backend::Simulated)]
    pub backend: Backend,
    /// The project's cap in US dollars, with a real backend [default: the provider's default]
    #[arg(long, value_name = "USD", value_parser = Cents::parse_usd)]
    pub cap: Option<Cents>,
    /// With stripe-api: speak to a simulator on this machine, so that nothing costs money
    #[arg(long)]
    pub simulator: bool,
    /// Do not ask before real money is spent
    #[arg(long)]
    pub yes: bool,
    /// Handed to the server: where Stripe's API is, with stripe-api
    #[arg(long, value_name = "URL")]
    stripe_api_base: Option<String>,
    /// Handed to the server: the Stripe CLI, with stripe-cli
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
    /// Reads the command line; ends the program with an explanation if there is nothing to tell.
    pub fn read() -> Self {
        let arguments = Self::parse();
        let belongs = |given: bool, to: &[Backend]| !given || to.contains(&arguments.backend);
        let sound = belongs(arguments.cap.is_some(), &[Backend::StripeApi, Backend::StripeCli])
            && belongs(arguments.stripe_api_base.is_some(), &[Backend::StripeApi])
            && belongs(arguments.simulator, &[Backend::StripeApi])
            && !(arguments.simulator && arguments.stripe_api_base.is_some())
            && belongs(arguments.stripe_bin.is_some(), &[Backend::StripeCli]);
        if !sound {
            let mistake = "a flag was given that this backend has no use for";
            Self::command().error(ErrorKind::ArgumentConflict, mistake).exit();
        }
        arguments
    }

    /// What the server is started with.
    pub fn for_the_server(&self) -> Vec<OsString> {
        let mut flags: Vec<OsString> = vec!["--backend".into(), self.backend.name().into()];
        if self.backend != Backend::Simulated {
            flags.push("--accept-tos".into()); // which the person has said yes to, before anything was started
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
