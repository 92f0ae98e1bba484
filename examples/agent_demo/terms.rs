//! What a story with real money creates and may cost, and a person's yes to it.

use std::{
    error::Error,
    io::{self, IsTerminal as _, Write as _},
};

use stripe_projects_mcp::{
    money::Cents,
    name::ProviderKey,
    registry::{Provider, Registry},
};

use crate::{app, arguments::Arguments, scene::line};

pub struct Terms {
    pub provider: Provider,
    pub cap: Cents,
    /// The name of the backend, as the server shows it.
    pub backend: &'static str,
    /// Where the app stores its text.
    service: String,
    simulated: bool,
}

impl Terms {
    /// From the registry that the server has, since its folder brings no other.
    pub fn of(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let key = ProviderKey::parse("supermemory")?;
        let provider = Registry::builtin()?.get(&key).cloned().ok_or("the registry has no supermemory")?;
        let cap = arguments.cap.filter(|cap| !cap.is_zero()).unwrap_or(provider.default_cap);
        if cap > provider.default_cap {
            return Err(
                format!("an agent is granted at most {} USD, the provider's default", provider.default_cap).into()
            );
        }
        let simulated = arguments.simulator;
        let service = if simulated { "this machine".to_owned() } else { app::real_service()?.base().to_string() };
        Ok(Self { provider, cap, backend: arguments.backend.name(), service, simulated })
    }

    /// Says what will happen and asks for a yes, unless the command line has it.
    pub fn agree(&self, confirmed: bool) -> Result<(), Box<dyn Error>> {
        let Provider { key, service, label, paid, .. } = &self.provider;
        if self.simulated {
            println!("\nThe story with real money, told against a simulator: nothing here costs money.");
            return Ok(());
        }
        println!("\nThis story is about real money.");
        line("backend", self.backend);
        line("provider", format_args!("{key}: {service} ({label})"));
        line("billed", if *paid { "yes: this is a paid service" } else { "no: the registry says that it is free" });
        line("cap", format_args!("{} USD a month, the most that it may cost", self.cap));
        line("terms", format_args!("a yes accepts the terms of service of {key} at Stripe Projects"));
        line("creates", "one project, agent-memory; it is torn down at the end, and also if the story breaks off");
        line("stores", format_args!("one sentence at {}", self.service));
        if confirmed {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err("nobody is here to say yes; --yes says it".into());
        }
        print!("\nType yes to go on: ");
        io::stdout().flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if answer.trim() == "yes" { Ok(()) } else { Err("that was not a yes; nothing was created".into()) }
    }
}
