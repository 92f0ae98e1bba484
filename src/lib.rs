//! A prepaid, capped, revocable card for an AI agent.
//!
//! An agent provisions third-party services through Stripe Projects without ever holding a root key. It calls four
//! tools; a registry says what can be provisioned and for how much; a backend does it; the key that comes of it is
//! written to an env file, and the model sees a mask.
//!
//! The house has floors. A module imports only from floors below its own, which a test sees to; `ARCHITECTURE.md`
//! walks through it. Ground floor: words, which can only fail to parse. First floor: ports, each to one part of the
//! world. Second floor: the use cases, the only place that knows the order of effects. Third floor: two doors, for the
//! agent and for the human, which do not know of each other.

// Ground floor.
pub mod approval;
pub mod clock;
pub mod lifetime;
pub mod money;
pub mod name;
pub mod project;
pub mod secret;

// First floor.
pub mod alerts;
pub mod backend;
pub mod dotenv;
pub mod env_file;
pub mod fs;
pub mod git;
pub mod ledger;
pub mod registry;
pub mod scan;
pub mod setup;
pub mod simulator;
pub mod store;

// Second floor.
pub mod doctor;
pub mod error;
pub mod policy;
pub mod provisioner;
pub mod view;

// Third floor.
pub mod cli;
pub mod mcp;

pub mod settings;

// What must hold whatever anybody writes; for `fuzz/`, and for the tests that replay what it found.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    process::ExitCode,
    sync::Arc,
};

use cli::{Serving, Task};
use error::Error;
use lifetime::Lifetime;
use mcp::{Log, ServeError, ToolFilter};
use provisioner::Session;
use settings::{CliOptions, Settings, Start};
use simulator::SimulatorError;
use tokio::runtime::{Builder, Runtime};

/// Runs the program with these arguments, the first being its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    quiet_panics();
    cli::exit_code(attempt(arguments))
}

fn attempt(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let call = match cli::parse(arguments, io::stdin().is_terminal()) {
        Ok(call) => call,
        Err(said) => {
            if let Some(options) = said.mistake_in {
                note_mistake(*options);
            }
            return said.code;
        }
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::cannot_start(&error),
    };
    let options = call.options;
    let settings = match Settings::resolve(options.clone()) {
        Ok(settings) => settings,
        Err(error) => return cli::show_error(&error, call.output),
    };
    if let Some(warning) = settings.warning() {
        cli::warn(warning);
    }
    let code = match call.task {
        Task::Serve(serving) => match serve(&runtime, settings, &serving) {
            Ok(served) => served.map_or_else(|error| cli::cannot_serve(&error), |()| ExitCode::SUCCESS),
            Err(error) => cli::show_error(&error, call.output),
        },
        Task::SetUp(wanted) => match Start::of(&settings, &options) {
            Ok(start) => wanted.run(&start, call.output),
            Err(error) => cli::show_error(&error, call.output),
        },
        Task::Simulate { listen, unlinked } => {
            let simulated = runtime.block_on(simulate(settings, &listen, &unlinked));
            simulated.map_or_else(|error| cli::show_error(&error.into(), call.output), |()| ExitCode::SUCCESS)
        }
        Task::Once(job) => {
            let provisioner = settings.provisioner(runtime.handle().clone());
            let (principal, output) = (cli::principal(&settings::user()), call.output);
            runtime.block_on(cli::run(job, provisioner, principal, output))
        }
    };
    // What nobody waited for is in the journal; the process does not wait for it either. Nor is the runtime taken down
    // under a thread that still uses it, which would end that thread with a panic on the way out.
    std::mem::forget(runtime);
    code
}

/// Serves MCP, and ends the session if it is one that gives back what it took.
fn serve(runtime: &Runtime, settings: Settings, serving: &Serving) -> Result<Result<(), ServeError>, Error> {
    let tool_filter = match &serving.tools {
        Some(tools) => ToolFilter::of(tools).ok_or(Error::UnknownTool)?,
        None if serving.read_only => ToolFilter::reading(),
        None => ToolFilter::everything(),
    };
    let grace = serving.session.as_deref().map(Lifetime::parse).transpose()?;
    let detached_reaper = settings.detached_reaper();
    let provisioner = settings.provisioner(runtime.handle().clone());
    let provisioner = Arc::new(match grace {
        Some(grace) => provisioner.in_session(Session::begin(grace)?),
        None => provisioner,
    });
    let log = Log::to_stderr();
    if let Ok(log) = &log {
        tell_through(log.clone());
    }
    let served = runtime.block_on(mcp::serve(Arc::clone(&provisioner), tool_filter));
    if let Ok(log) = log {
        log.flush();
    }
    if let (Some(grace), true) = (grace, provisioner.end_session(&mcp::housekeeping())?) {
        detached_reaper.reap_after(grace);
    }
    Ok(served)
}

/// A mistake is a call like any other; where there is no workspace to write it into, nobody misses it.
fn note_mistake(options: CliOptions) {
    if let (Ok(runtime), Ok(settings)) = (Builder::new_current_thread().build(), Settings::resolve(options)) {
        cli::note_mistake(&settings.provisioner(runtime.handle().clone()), &cli::principal(&settings::user()));
    }
}

/// Serves the simulated world over HTTP until the process is told to end.
async fn simulate(settings: Settings, listen: &str, unlinked: &[String]) -> Result<(), SimulatorError> {
    // Polled before anybody can know the address, so that a signal that comes at once is not missed.
    let shutdown_signal = tokio::spawn(mcp::shutdown_signal());
    tokio::task::yield_now().await;
    let listening = settings.simulator().listen(listen, unlinked).await?;
    cli::say_address(listening.address());
    listening.serve(async { drop(shutdown_signal.await) }).await;
    Ok(())
}

/// A panic's message may quote anything; its place is enough to find it.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        cli::report_panic(&place);
    }));
}

/// Our own words only: rmcp logs whole requests at `debug`, and no variable of the environment may turn that on.
fn tell_through(log: Log) {
    use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), tracing::Level::INFO);
    let lines = tracing_subscriber::fmt::layer().with_writer(move || log.clone()).with_ansi(false).without_time();
    // Only a second call in one process can fail, and then the first one's lines are as good.
    let _ = tracing_subscriber::registry().with(lines).with(ours).try_init();
}
