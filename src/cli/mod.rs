//! The human's door: a command is one call, and what came of it is shown.

mod arguments;
mod audit;
mod calls;
mod mistake;
mod render;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use arguments::{Arguments, Command, Providers, Usage};
use calls::Entry;
use clap::Parser as _;
pub use render::{Output, cannot_serve, cannot_start, report_panic, say_address, show_error, warn};

use crate::{
    env_file::Replace,
    error::Error,
    ledger::Visibility,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
    policy::Asker,
    provisioner::{Caller, LARGEST_PAGE, Listing, Provisioner, Wanted},
    settings::Given,
    view::{ProjectList, ProvidersView},
};

/// A command line that could be read.
pub struct Call {
    pub task: Task,
    pub given: Given,
    pub output: Output,
}

/// A command line after which there is nothing more to say.
pub struct Said {
    pub code: ExitCode,
    /// It was a mistake: where its workspace is, as far as it could be read.
    pub mistake_in: Option<Box<Given>>,
}

/// What to do.
pub enum Task {
    Once(Job),
    Serve,
    /// Serve the simulated world over HTTP on that address, without a connection to those providers.
    Simulate {
        listen: String,
        unlinked: Vec<String>,
    },
}

/// A command and the flags that are about commands.
pub struct Job {
    command: Command,
    confirmed: bool,
}

/// Reads the command line. Without a command, a pipe is served and a person is greeted.
///
/// # Errors
/// [`Said`], when everything has been said already: help, the version, or what is wrong.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, stdin_is_terminal: bool) -> Result<Call, Said> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let Arguments { global, command } = Arguments::try_parse_from(&arguments).map_err(|error| {
        if error.use_stderr() {
            let code = render::mistake(&mistake::explain(&error), Output::of(wants_json));
            Said { code, mistake_in: Some(Box::new(mistake::folders(&arguments))) }
        } else {
            Said { code: render::clap_text(&error), mistake_in: None }
        }
    })?;
    let output = Output::of(global.json);
    let task = match command {
        Some(Command::Serve) => Task::Serve,
        Some(Command::Simulator { listen, unlinked }) => Task::Simulate { listen, unlinked },
        None if !stdin_is_terminal => Task::Serve,
        None => return Err(Said { code: render::greeting(), mistake_in: None }),
        Some(command) => Task::Once(Job { command, confirmed: global.yes }),
    };
    let given = Given {
        dir: global.dir,
        env_file: global.env_file,
        providers: global.providers,
        state_dir: global.state_dir,
        backend: global.backend,
        payment_method: global.payment_method,
        accept_tos: global.accept_tos,
        stripe_bin: global.stripe_bin,
        stripe_api_base: global.stripe_api_base,
        stripe_api_key_file: global.stripe_api_key_file,
    };
    Ok(Call { task, given, output })
}

/// The person at the terminal, who is the human of every policy.
pub fn caller(user: &str) -> Caller {
    Caller::who_says("cli", user, Asker::Human)
}

/// Writes down a command line that could not be read, where there is something to write it into.
pub fn note_mistake(provisioner: &Provisioner, caller: &Caller) {
    Entry::unreadable().ended(provisioner, caller, "usage");
}

/// Does one command and shows what came of it.
pub fn execute(job: &Job, provisioner: &Provisioner, caller: &Caller, output: Output) -> ExitCode {
    let entry = Entry::of(&job.command);
    let outcome = attempt(job, provisioner, caller, output);
    let code = match &outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => show_error(error, output),
    };
    entry.answered(provisioner, caller, &outcome);
    code
}

fn attempt(job: &Job, provisioner: &Provisioner, caller: &Caller, output: Output) -> Result<(), Error> {
    match &job.command {
        Command::Serve | Command::Simulator { .. } => {} // have a task of their own
        Command::Provision { name, provider, cap, replace } => {
            let wanted = Wanted {
                name: ProjectName::parse(name)?,
                provider: ProviderKey::parse(provider)?,
                cap: Cents::parse_usd(cap)?,
                replace: if *replace { Replace::Foreign } else { Replace::OursOnly },
            };
            render::project(&provisioner.provision(&wanted, caller)?, output);
        }
        Command::Audit(asked) => audit::show(asked, provisioner, output)?,
        Command::List { all } => render::projects(&everything(provisioner, *all)?, output),
        Command::Rotate { name } => {
            render::project(&provisioner.rotate(&ProjectName::parse(name)?, caller)?, output);
        }
        Command::Teardown { name } => {
            let name = ProjectName::parse(name)?;
            confirm(job, &format!("Tear down {name} for good, with its data at the provider?"))?;
            render::project(&provisioner.teardown(&name, caller)?, output);
        }
        Command::Usage { command: Usage::Record { name, amount } } => {
            let (name, amount) = (ProjectName::parse(name)?, MicroUsd::parse_usd(amount)?);
            render::project(&provisioner.record_usage(&name, amount, caller)?, output);
        }
        Command::Providers { command: None } => {
            render::providers(&ProvidersView::new(&provisioner.registry()?), output);
        }
        Command::Providers { command: Some(Providers::Check) } => {
            render::sound_registry(&ProvidersView::new(&provisioner.registry()?), output);
        }
    }
    Ok(())
}

/// Every page as one.
fn everything(provisioner: &Provisioner, all: bool) -> Result<ProjectList, Error> {
    let visibility = if all { Visibility::All } else { Visibility::Live };
    let mut listing = Listing { visibility, limit: LARGEST_PAGE, cursor: None };
    let mut list = provisioner.list(&listing)?;
    while let Some(cursor) = list.next_cursor.take() {
        listing.cursor = Some(cursor);
        let mut page = provisioner.list(&listing)?;
        list.projects.append(&mut page.projects);
        list.next_cursor = page.next_cursor;
        list.warning = list.warning.or(page.warning);
    }
    Ok(list)
}

/// Asks, unless the answer was given with `--yes`; without a terminal there is nobody to ask.
fn confirm(job: &Job, question: &str) -> Result<(), Error> {
    if job.confirmed {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Error::NotConfirmed { asked: false });
    }
    render::question(question);
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    let agreed = read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if agreed { Ok(()) } else { Err(Error::NotConfirmed { asked: true }) }
}
