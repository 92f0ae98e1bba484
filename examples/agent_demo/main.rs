//! An agent's afternoon with a capped card, told in seven short chapters and checked at every step.
//!
//! The server is the real program, spoken to over MCP as a host would. The service that the card pays for is a small
//! one on the loopback, and the money is simulated. Run it with `cargo run --example agent_demo`. With
//! `-- --backend stripe-api` or `stripe-cli` it tells a shorter story with Supermemory itself and with real money, and
//! asks first; `-- --backend stripe-api --simulator` tells that one without money.

#![allow(clippy::disallowed_methods, reason = "an example stands outside the house: it reads files, starts processes")]
#![allow(clippy::indexing_slicing, reason = "a field that JSON has not got is null, and null keeps no promise")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a story is printed")]

mod agent;
mod app;
mod arguments;
mod memory_service;
mod real;
mod recording;
mod scene;
mod simulator;
mod story;
mod supermemory;
mod terms;

use std::{
    env::{self, consts::EXE_SUFFIX},
    error::Error,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use arguments::{Arguments, Backend};
use scene::{Stage, Told};
use simulator::Simulator;
use tempfile::TempDir;
use terms::Terms;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match demonstrate().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe story broke off: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate() -> Told {
    let arguments = Arguments::read();
    let terms = match arguments.backend {
        Backend::Simulated => None,
        Backend::StripeApi | Backend::StripeCli => Some(Terms::of(&arguments)?),
    };
    if let Some(terms) = &terms {
        terms.agree(arguments.yes)?;
    }
    let server = build_server()?;
    let begun = Instant::now();
    let workspace = tempfile::tempdir()?;
    let folder = workspace.path().canonicalize()?;
    let simulator = if arguments.simulator { Some(Simulator::start(&server, &folder).await?) } else { None };
    let stage = Stage { server, folder, flags: arguments.for_the_server(), simulator };
    // Whoever interrupts the story still leaves nothing behind: both ends of it pass the line that cleans up.
    let told = unless_interrupted(async {
        match &terms {
            None => story::tell(&stage).await,
            Some(terms) => real::tell(&stage, terms).await,
        }
    });
    let workspace = match (told.await, &terms) {
        (Err(error), Some(_)) => return Err(clean_up(&stage, workspace, &*error).await),
        (told, _) => told.map(|()| workspace)?,
    };
    workspace.close()?;
    println!("\nDone in {:.1} s. The server has exited and its folder is gone.", begun.elapsed().as_secs_f64());
    Ok(())
}

async fn unless_interrupted(told: impl Future<Output = Told>) -> Told {
    tokio::select! {
        told = told => told,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    }
}

/// Gives back what was bought with real money. The folder is all that knows of it, so it goes only if nothing is left.
async fn clean_up(stage: &Stage, workspace: TempDir, error: &dyn Error) -> Box<dyn Error> {
    eprintln!("\nThe story broke off: {error}\nTearing down what it has created.");
    match unless_interrupted(real::give_back(stage)).await {
        Ok(()) => "told to no end, but nothing is left that could bill".into(),
        Err(error) => {
            let folder = workspace.keep();
            let flags: Vec<_> = stage.flags.iter().map(|flag| flag.to_string_lossy()).collect();
            let program = format!("{} --dir {} {}", stage.server.display(), folder.display(), flags.join(" "));
            format!("something may be left that bills: {error}\nlook:  {program} list\nend it: {program} teardown NAME")
                .into()
        }
    }
}

/// Builds the program next to this example, and says where it is.
///
/// `cargo run --example` builds the library and nothing else. Naming the example again makes Cargo choose the same
/// features, so that what is compiled already is used again and only the program itself is linked.
fn build_server() -> Result<PathBuf, Box<dyn Error>> {
    let example = env::current_exe()?;
    let folder = example.parent().and_then(Path::parent).ok_or("this example is not in a target folder")?;
    let target = folder.parent().ok_or("this example is not in a target folder")?;
    let profile = match folder.file_name().and_then(OsStr::to_str) {
        None | Some("debug") => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // What `cargo run` says of this package would look like a change to build scripts that watch such variables.
    for (variable, _) in env::vars_os() {
        let variable = variable.to_string_lossy();
        if ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|prefix| variable.starts_with(prefix)) {
            cargo.env_remove(&*variable);
        }
    }
    let built = cargo
        .args(["build", "--bin", SERVER, "--example", "agent_demo", "--profile", profile])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(target)
        .status()?;
    if built.success() {
        Ok(folder.join(format!("{SERVER}{EXE_SUFFIX}")))
    } else {
        Err("the server could not be built".into())
    }
}

const SERVER: &str = env!("CARGO_PKG_NAME");
