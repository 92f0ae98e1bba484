//! A prepaid, capped, revocable card for an AI agent.
//!
//! An agent provisions third-party services through Stripe Projects without ever holding a root key. It calls four
//! tools; a registry says what can be provisioned and for how much; a backend does it; the resulting key is
//! written to an env file, and the model sees a mask.
//!
//! The modules form layers, and a module imports only from layers below its own, which a test checks. Domain types
//! can only fail to parse. Each port gives access to one external system. The application layer executes commands and
//! alone knows the order of effects. The two transports, for agents and for people, do not know each other.

// Application.
pub mod app;
pub mod doctor;
pub mod error;
pub mod policy;
pub mod project_state;
pub mod provisioner;
pub mod view;

// Transports.
pub mod cli;
pub mod mcp;

pub mod settings;

// Properties that hold for any input; for `fuzz/`, and for the tests that replay its findings.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use app::App;
use cli::{Serving, Task};
use domain::{lifetime::Lifetime, principal::Principal, visible::visible};
use error::Error;
use mcp::{Log, ServeError, ToolFilter};
use provisioner::Session;
use settings::{CliOptions, Settings, Start};
use tokio::runtime::{Builder, Runtime};

/// Runs the program with these arguments, the first being its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    settings::prevent_dumps();
    quiet_panics();
    cli::exit_code(attempt(arguments))
}

fn attempt(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let call = match cli::parse(arguments, io::stdin().is_terminal()) {
        Ok(call) => call,
        Err(exit) => {
            if let Some(options) = exit.mistake_in {
                record_unreadable(*options);
            }
            return exit.code;
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
    if let Some(ignored) = settings.ignored_flags() {
        cli::warn(&ignored);
    }
    settings.sweep();
    let code = match call.task {
        Task::Serve(serving) => match settings.ensure_folder().and_then(|()| serve(&runtime, settings, &serving)) {
            Ok(served) => served.map_or_else(|error| cli::cannot_serve(&error), |()| ExitCode::SUCCESS),
            Err(error) => cli::show_error(&error, call.output),
        },
        Task::SetUp(setup) => match settings.ensure_folder().and_then(|()| Start::new(&settings, &options)) {
            Ok(start) => setup.run(&start, call.output),
            Err(error) => cli::show_error(&error, call.output),
        },
        #[cfg(feature = "simulator")]
        Task::Simulate { listen, unlinked } => {
            let simulated = runtime.block_on(simulate(settings, &listen, &unlinked));
            simulated.map_or_else(|error| cli::show_error(&error, call.output), |()| ExitCode::SUCCESS)
        }
        Task::Once(job) => match settings.provisioner(runtime.handle().clone()) {
            Ok(provisioner) => {
                let (principal, output) = (Principal::person(&settings::user()), call.output);
                runtime.block_on(cli::run(job, provisioner, principal, output))
            }
            Err(error) => cli::show_error(&error, call.output),
        },
    };
    // Work that is not awaited any more is in the journal, so the process does not wait for it. Dropping the runtime
    // under a thread that still uses it would make that thread panic.
    std::mem::forget(runtime);
    code
}

/// Serves MCP, and ends the session if there is one.
fn serve(runtime: &Runtime, settings: Settings, serving: &Serving) -> Result<Result<(), ServeError>, Error> {
    let tool_filter = match &serving.tools {
        Some(tools) => ToolFilter::of(tools).ok_or(Error::UnknownTool)?,
        None if serving.read_only => ToolFilter::reading(),
        None => ToolFilter::everything(),
    };
    let grace = serving.session.as_deref().map(Lifetime::parse).transpose()?;
    let detached_reaper = settings.detached_reaper();
    let policies = settings.policies().counting();
    let provisioner = settings.for_agents().provisioner(runtime.handle().clone())?;
    let provisioner = Arc::new(match grace {
        Some(grace) => provisioner.in_session(Session::begin(grace)?),
        None => provisioner,
    });
    let log = Log::to_stderr();
    if let Ok(log) = &log {
        log_to(log.clone());
    }
    tracing::info!("{}", policies_that_count(&policies));
    let app = Arc::new(App::new(Arc::clone(&provisioner), Arc::new(|warning| tracing::warn!("{warning}"))));
    let served = runtime.block_on(mcp::serve(app, tool_filter));
    if let Ok(log) = log {
        log.flush();
    }
    if let (Some(grace), true) = (grace, provisioner.lifetimes.end_session(&Principal::recovery())?) {
        detached_reaper.reap_after(grace);
    }
    Ok(served)
}

/// Returns the line about the policy files that a server prints at its start.
fn policies_that_count(files: &[PathBuf]) -> String {
    if files.is_empty() {
        return "no policy file counts; the built-in limits apply".to_owned();
    }
    let files: Vec<_> = files.iter().map(|file| visible(file).to_string()).collect();
    format!("these policy files count: {}", files.join(", "))
}

/// Records a command line that could not be read, if there is a workspace to record it in.
fn record_unreadable(options: CliOptions) {
    if let (Ok(runtime), Ok(settings)) = (Builder::new_current_thread().build(), Settings::resolve(options))
        && let Ok(services) = settings.provisioner(runtime.handle().clone())
    {
        runtime.block_on(cli::record_unreadable(services, &Principal::person(&settings::user())));
    }
}

/// Serves the simulated account over HTTP until a signal arrives.
#[cfg(feature = "simulator")]
async fn simulate(settings: Settings, listen: &str, unlinked: &[String]) -> Result<(), Error> {
    settings.ensure_folder()?;
    // Polled before the address is printed, so that an early signal is not missed.
    let shutdown_signal = tokio::spawn(mcp::shutdown_signal());
    tokio::task::yield_now().await;
    let simulator = settings.simulator()?.listen(listen, unlinked).await?;
    cli::say_address(simulator.address());
    simulator.serve(async { drop(shutdown_signal.await) }).await;
    Ok(())
}

/// Prints the location of a panic only: its message may quote a secret.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        cli::report_panic(&place);
    }));
}

/// Logs this crate's events only: rmcp logs whole requests at `debug`, and no environment variable may enable that.
fn log_to(log: Log) {
    use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let targets = Targets::new().with_targets(CRATES.map(|name| (name, tracing::Level::INFO)));
    let lines = tracing_subscriber::fmt::layer().with_writer(move || log.clone()).with_ansi(false).without_time();
    // Only a second call in one process fails, and the first one's subscriber stays.
    let _ = tracing_subscriber::registry().with(lines).with(targets).try_init();
}

/// The crates of this program, as the targets of log lines name them.
const CRATES: [&str; 6] = [env!("CARGO_CRATE_NAME"), "domain", "files", "storage", "backends", "simulator"];
