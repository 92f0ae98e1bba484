//! Demonstrates an agent with a capped card, in seven short steps that are checked as they run.
//!
//! The server is the real program, called over MCP as a host does. The card pays for a small service on the loopback, and
//! the money is simulated. Run it with `cargo run --example agent_demo`. With `-- --backend stripe-api` or `stripe-cli` it
//! runs a shorter version with Supermemory itself and real money, after a confirmation; `-- --backend stripe-api
//! --simulator` runs that version without money.

#![allow(clippy::disallowed_methods, reason = "an example may use files and start processes")]
#![allow(clippy::indexing_slicing, reason = "a missing JSON field reads as null, which fails the checks")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "the demo prints its steps")]

mod agent;
mod app;
mod arguments;
mod demo;
mod memory_service;
mod purchase;
mod real;
mod recording;
mod simulated;
mod simulator;
mod supermemory;

use std::{
    env::{self, consts::EXE_SUFFIX},
    error::Error,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use self::simulator::Simulator;
use arguments::{Arguments, Backend};
use demo::{Setup, Step};
use purchase::Purchase;
use tempfile::TempDir;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Step {
    let arguments = Arguments::parse_or_exit();
    let purchase = match arguments.backend {
        Backend::Simulated => None,
        Backend::StripeApi | Backend::StripeCli => Some(Purchase::new(&arguments)?),
    };
    if let Some(purchase) = &purchase {
        purchase.confirm(arguments.yes)?;
    }
    let server = build_server()?;
    let start = Instant::now();
    let workspace = tempfile::tempdir()?;
    let root = workspace.path().canonicalize()?;
    // The demo leaves the user's own ledger alone; a state folder is never in a workspace.
    let (folder, state) = (root.join("workspace"), root.join("state"));
    std::fs::create_dir(&folder)?;
    let simulator = if arguments.simulator { Some(Simulator::start(&server, &folder, &state).await?) } else { None };
    let mut flags = arguments.server_flags();
    flags.extend(["--state-dir".into(), state.clone().into()]);
    let setup = Setup { server, folder, state, flags, simulator };
    // Ctrl-C ends the demo with an error, so that the cleanup below runs in every case.
    let outcome = unless_interrupted(async {
        match &purchase {
            None => simulated::run(&setup).await,
            Some(purchase) => real::run(&setup, purchase).await,
        }
    });
    let workspace = match (outcome.await, &purchase) {
        (Err(error), Some(_)) => return Err(clean_up(&setup, workspace, &*error).await),
        (outcome, _) => outcome.map(|()| workspace)?,
    };
    workspace.close()?;
    println!("\nDone in {:.1} s. The server has exited and its folder is deleted.", start.elapsed().as_secs_f64());
    Ok(())
}

async fn unless_interrupted(work: impl Future<Output = Step>) -> Step {
    tokio::select! {
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    }
}

/// Tears down what was bought with real money.
///
/// Only the folder has a record of it, so the folder is deleted only if nothing is left.
async fn clean_up(setup: &Setup, workspace: TempDir, error: &dyn Error) -> Box<dyn Error> {
    eprintln!("\nThe demo failed: {error}\nTearing down what it created.");
    match unless_interrupted(real::tear_down(setup)).await {
        Ok(()) => "the demo failed; everything that it bought is torn down".into(),
        Err(error) => {
            let _ = workspace.keep();
            let flags: Vec<_> = setup.flags.iter().map(|flag| flag.to_string_lossy()).collect();
            let program = format!("{} --dir {} {}", setup.server.display(), setup.folder.display(), flags.join(" "));
            format!(
                "a project may still cost money: {error}\nlist:      {program} list\ntear down: {program} teardown NAME"
            )
            .into()
        }
    }
}

/// Builds the program next to this example and returns its path.
///
/// `cargo run --example` builds only the library. Naming the example too makes Cargo select the same features, so that
/// compiled dependencies are reused and only the program is linked.
fn build_server() -> Result<PathBuf, Box<dyn Error>> {
    let example = env::current_exe()?;
    let folder = example.parent().and_then(Path::parent).ok_or("this example is not in a target folder")?;
    let target = folder.parent().ok_or("this example is not in a target folder")?;
    let profile = match folder.file_name().and_then(OsStr::to_str) {
        None | Some("debug") => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // Build scripts that watch these variables of `cargo run` would see a change and run again.
    for (variable, _) in env::vars_os() {
        let variable = variable.to_string_lossy();
        if ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|prefix| variable.starts_with(prefix)) {
            cargo.env_remove(&*variable);
        }
    }
    let status = cargo
        .args(["build", "--bin", SERVER, "--example", "agent_demo", "--profile", profile])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(target)
        .status()?;
    if status.success() {
        Ok(folder.join(format!("{SERVER}{EXE_SUFFIX}")))
    } else {
        Err("the server did not build".into())
    }
}

const SERVER: &str = env!("CARGO_PKG_NAME");
