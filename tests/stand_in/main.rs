//! A stand-in for the `stripe` executable: it answers as the `projects` plugin was recorded to, over a small world on disk.
//!
//! The world is the folder that `STRIPE_STAND_IN` names; the project folder is the current one, as with the real tool.
//! It shares no code with the house, so that a misreading there is not repeated here. What nobody has recorded is
//! invented, and a comment at the place says so.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool of the tests: it says what went wrong by panicking, and a field that JSON has not got is null"
)]
#![allow(clippy::disallowed_methods, reason = "it plays another program, which has its own ways with files")]

mod account;
mod answer;
mod arguments;
mod catalog;
mod folder;
mod mint;
mod verbs;
mod weather;

use std::{
    env,
    io::{IsTerminal as _, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use account::World;
use arguments::Call;
use weather::Weather;

fn main() -> ExitCode {
    let argv: Vec<String> = env::args().skip(1).collect();
    if argv == [weather::HOLD] {
        weather::hold();
        return ExitCode::SUCCESS;
    }
    let Some(root) = env::var_os(ROOT).map(PathBuf::from) else {
        eprintln!("{ROOT} does not name the folder of the stand-in's world");
        return ExitCode::from(2);
    };
    let call = Call::parse(argv);
    let weather = {
        let mut world = World::open(&root);
        world.log(&call);
        world.save();
        Weather::strike(&root, &call)
    };
    weather.before(&root);
    match call.verb.as_str() {
        "version" => {
            println!("stripe version {}", if weather.has("cli_too_old") { "1.21.0" } else { "1.52.0" });
            ExitCode::SUCCESS
        }
        "login" => {
            let mut world = World::open(&root);
            world.account["logged_in"] = true.into();
            world.save();
            println!("Done! The Stripe CLI is configured.");
            ExitCode::SUCCESS
        }
        "plugin" => {
            println!("installation complete.");
            ExitCode::SUCCESS
        }
        _ if weather.has("cli_too_old") || !call.of_projects() => {
            eprintln!("unknown command \"{}\" for \"stripe\"", call.argv.first().map_or("", String::as_str));
            ExitCode::FAILURE
        }
        _ => projects(&root, &call, &weather),
    }
}

/// A verb of the plugin. The lock on the world is held for as long as the effect takes, and not while hanging.
fn projects(root: &Path, call: &Call, weather: &Weather) -> ExitCode {
    let mut world = World::open(root);
    let logged_out = world.account["logged_in"] == false || weather.has("logged_out");
    // An absent plugin was seen to say the same as an absent login.
    if logged_out || weather.has("plugin_missing") {
        println!("You must be logged in to access the \"projects\" plugin.");
        println!("Press Enter to open the browser or visit https://dashboard.stripe.com/stripecli/confirm_auth");
        return ExitCode::FAILURE;
    }
    // Seen with a pipe; at a terminal it prints the lot.
    if call.verb == "catalog" && call.words.is_empty() && !stdout().is_terminal() {
        return ExitCode::SUCCESS;
    }
    let outcome = match weather.refusal(call) {
        Some(refusal) => Err(refusal),
        None => verbs::perform(&mut verbs::Scene { world: &mut world, call, weather }),
    };
    world.save();
    let credential = world.some_credential(call);
    drop(world);
    weather.after(root);
    answer::give(call, weather, outcome, &credential)
}

const ROOT: &str = "STRIPE_STAND_IN";
