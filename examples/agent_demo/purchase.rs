//! The purchase of the real-money demo: its cost limit and the user's confirmation.

use std::{
    error::Error,
    io::{self, IsTerminal as _, Write as _},
};

use domain::{money::Cents, name::ProviderKey};
use files::registry::{Provider, Registry};

use crate::{app, arguments::Arguments, demo::line};

pub struct Purchase {
    pub provider: Provider,
    pub cap: Cents,
    /// The name of the backend, as the server shows it.
    pub backend: &'static str,
    /// Where the app stores its text.
    service: String,
    simulated: bool,
}

impl Purchase {
    /// Reads the provider from the built-in registry, which the server uses in its new folder too.
    pub fn new(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let key = ProviderKey::parse("supermemory")?;
        let provider = Registry::builtin()?.get(&key).cloned().ok_or("the registry has no supermemory")?;
        let cap = arguments.cap.filter(|cap| !cap.is_zero()).unwrap_or(provider.default_cap);
        if cap > provider.default_cap {
            return Err(format!("--cap is at most {} USD, the provider's default", provider.default_cap).into());
        }
        let simulated = arguments.simulator;
        let service = if simulated { "this machine".to_owned() } else { app::real_service()?.base().to_string() };
        Ok(Self { provider, cap, backend: arguments.backend.name(), service, simulated })
    }

    /// Prints the purchase and asks for confirmation, unless `--yes` confirms it.
    pub fn confirm(&self, confirmed: bool) -> Result<(), Box<dyn Error>> {
        let Provider { key, service, label, paid, .. } = &self.provider;
        if self.simulated {
            println!("\nThe real-money demo against a simulator: nothing here costs money.");
            return Ok(());
        }
        println!("\nThis demo spends real money.");
        line("backend", self.backend);
        line("provider", format_args!("{key}: {service} ({label})"));
        line("billed", if *paid { "yes, a paid service" } else { "no, free according to the registry" });
        line("cap", format_args!("at most {} USD a month", self.cap));
        line("terms", format_args!("confirming accepts the terms of service of {key} at Stripe Projects"));
        line("creates", "one project, agent-memory, torn down at the end, also after a failure");
        line("stores", format_args!("one sentence at {}", self.service));
        if confirmed {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err("no terminal to ask for confirmation; pass --yes to confirm".into());
        }
        print!("\nType yes to continue: ");
        io::stdout().flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if answer.trim() == "yes" { Ok(()) } else { Err("not confirmed; nothing was created".into()) }
    }
}
