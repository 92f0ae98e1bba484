//! The command line, read into a task.

use std::{ffi::OsString, process::ExitCode};

use clap::Parser as _;

use super::{
    Output, SetUp,
    arguments::{Arguments, Commands, Global, Serve},
    pages, render, usage_error,
};
use crate::settings::CliOptions;

/// A command line that could be read.
pub struct Call {
    pub task: Task,
    pub options: CliOptions,
    pub output: Output,
}

/// A command line that needs no task: everything is printed.
pub struct EarlyExit {
    pub code: ExitCode,
    /// The folders of a usage error, as far as they could be read.
    pub mistake_in: Option<Box<CliOptions>>,
}

/// What the program is to do.
pub enum Task {
    Once(Job),
    Serve(Serving),
    /// Adds this server to a host's configuration, which takes no backend and no ledger.
    SetUp(SetUp),
    /// Serves the simulated account over HTTP, with these providers not linked.
    #[cfg(feature = "simulator")]
    Simulate {
        listen: String,
        unlinked: Vec<String>,
    },
}

/// How MCP is served.
#[derive(Default)]
pub struct Serving {
    pub read_only: bool,
    /// The only tools to offer.
    pub tools: Option<Vec<String>>,
    /// The grace period of a session that tears down its projects, not parsed yet.
    pub session: Option<String>,
}

/// A command of one call.
pub struct Job {
    pub(super) command: Commands,
    pub(super) confirmed: bool,
}

/// Reads the command line. Without a command, a pipe is served and a person sees how to start.
///
/// # Errors
/// [`EarlyExit`] after help, the version, or a usage error.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, stdin_is_terminal: bool) -> Result<Call, EarlyExit> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let Arguments { global, command } = Arguments::try_parse_from(&arguments).map_err(|error| {
        if error.use_stderr() {
            let code = render::mistake(&usage_error::explain(&error), Output::of(wants_json));
            EarlyExit { code, mistake_in: Some(Box::new(usage_error::folders(&arguments))) }
        } else {
            EarlyExit { code: render::clap_text(&error), mistake_in: None }
        }
    })?;
    let output = Output::of(global.json);
    let mut options = options(global.clone());
    options.by_host = match &command {
        None => !stdin_is_terminal,
        Some(command) => command.is_by_host(),
    };
    if let Some(Commands::Connect { chosen: Some(backend) }) = &command {
        options.backend = Some(backend.clone());
    }
    let done = |code| Err(EarlyExit { code, mistake_in: None });
    let mut workspace = None;
    let task = match command {
        Some(Commands::Serve(Serve { read_only, tools, session, grace })) => {
            Task::Serve(Serving { read_only, tools, session: session.then_some(grace) })
        }
        #[cfg(feature = "simulator")]
        Some(Commands::Simulator { listen, unlinked }) => Task::Simulate { listen, unlinked },
        Some(Commands::Setup { host, print, remove }) => {
            Task::SetUp(SetUp { host, print, remove, confirmed: global.yes })
        }
        None if !stdin_is_terminal => Task::Serve(Serving::default()),
        None => return done(render::greeting()),
        Some(Commands::Completions { shell }) => return done(render::page(&pages::completions(shell))),
        Some(Commands::Man { command }) => {
            let page = pages::man(command.as_deref());
            return done(page.map_or_else(|mistake| render::mistake(&mistake, output), |page| render::page(&page)));
        }
        Some(mut command) => {
            workspace = command.take_workspace();
            Task::Once(Job { command, confirmed: global.yes })
        }
    };
    options.workspace = workspace;
    Ok(Call { task, options, output })
}

fn options(global: Global) -> CliOptions {
    CliOptions {
        dir: global.dir,
        workspace: None,
        env_file: global.env_file,
        providers: global.providers,
        state_dir: global.state_dir,
        backend: global.backend,
        payment_method: global.payment_method,
        accept_tos: global.accept_tos,
        stripe_bin: global.stripe_bin,
        stripe_api_base: global.stripe_api_base,
        stripe_api_key_file: global.stripe_api_key_file,
        by_host: false,
    }
}
