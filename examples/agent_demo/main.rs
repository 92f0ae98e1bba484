//! An agent's afternoon with a capped card, told in seven short chapters and checked at every step.
//!
//! The server is the real program, spoken to over MCP as a host would. The service that the card pays for is a small
//! one on the loopback, and the money is simulated. Run it with `cargo run --example agent_demo`.

#![allow(clippy::disallowed_methods, reason = "an example stands outside the house: it reads files, starts processes")]
#![allow(clippy::indexing_slicing, reason = "a field that JSON has not got is null, and null keeps no promise")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a story is printed")]

mod agent;
mod app;
mod memory_service;
mod recording;
mod story;

use std::{
    env::{self, consts::EXE_SUFFIX},
    error::Error,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

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

async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let server = build_server()?;
    let begun = Instant::now();
    let workspace = tempfile::tempdir()?;
    let folder = workspace.path().canonicalize()?;
    // Whoever interrupts the story still leaves nothing behind: both ends of it pass the line that cleans up.
    tokio::select! {
        told = story::tell(&server, &folder) => told?,
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
    }
    workspace.close()?;
    println!("\nDone in {:.1} s. The server has exited and its folder is gone.", begun.elapsed().as_secs_f64());
    Ok(())
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
    let built = Command::new(env!("CARGO"))
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
