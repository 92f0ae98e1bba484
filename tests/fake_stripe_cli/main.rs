//! A fake of the `stripe` executable: it responds like recordings of the `projects` plugin, over an account kept on disk.
//!
//! `STRIPE_FAKE_CLI_DIR` names the folder with the account; the project folder is the current one, as with the real tool.
//! The fake shares no code with the program, so that one misreading of the recordings is not made twice. Behaviour that
//! is not recorded is invented, and a comment at each such place says so.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test tool: it reports errors by panicking, and a missing JSON field reads as null"
)]
#![allow(clippy::disallowed_methods, reason = "it imitates another program, which handles files in its own way")]

mod arguments;
mod catalog;
mod faults;
mod folder;
mod generate;
mod response;
mod store;
mod verbs;

use std::{
    env,
    io::{IsTerminal as _, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use arguments::Call;
use faults::Faults;
use store::AccountStore;

fn main() -> ExitCode {
    let argv: Vec<String> = env::args().skip(1).collect();
    if argv == [faults::HOLD_STDOUT] {
        faults::hold_stdout();
        return ExitCode::SUCCESS;
    }
    let Some(root) = env::var_os(DIR).map(PathBuf::from) else {
        eprintln!("{DIR} must name the folder with the fake account");
        return ExitCode::from(2);
    };
    let call = Call::parse(argv);
    let faults = {
        let mut store = AccountStore::open(&root);
        store.log(&call);
        store.save();
        Faults::take_due(&root, &call)
    };
    faults.apply_before_effect(&root);
    match call.verb.as_str() {
        "version" => {
            println!("stripe version {}", if faults.has("cli_too_old") { "1.21.0" } else { "1.52.0" });
            ExitCode::SUCCESS
        }
        "login" => {
            let mut store = AccountStore::open(&root);
            store.account["logged_in"] = true.into();
            store.save();
            println!("Done! The Stripe CLI is configured.");
            ExitCode::SUCCESS
        }
        "plugin" => {
            println!("installation complete.");
            ExitCode::SUCCESS
        }
        _ if faults.has("cli_too_old") || !call.is_for_plugin() => {
            eprintln!("unknown command \"{}\" for \"stripe\"", call.argv.first().map_or("", String::as_str));
            ExitCode::FAILURE
        }
        _ => projects(&root, &call, &faults),
    }
}

/// Runs a verb of the plugin. The store is locked during the effect, and not while hanging.
fn projects(root: &Path, call: &Call, faults: &Faults) -> ExitCode {
    let mut store = AccountStore::open(root);
    let logged_out = store.account["logged_in"] == false || faults.has("logged_out");
    // Recorded: a missing plugin prints the same text as a missing login.
    if logged_out || faults.has("plugin_missing") {
        println!("You must be logged in to access the \"projects\" plugin.");
        println!("Press Enter to open the browser or visit https://dashboard.stripe.com/stripecli/confirm_auth");
        return ExitCode::FAILURE;
    }
    // Recorded with a pipe; at a terminal it prints the whole catalog.
    if call.verb == "catalog" && call.words.is_empty() && !stdout().is_terminal() {
        return ExitCode::SUCCESS;
    }
    let outcome = match faults.early_failure(call) {
        Some(failure) => Err(failure),
        None => verbs::perform(&mut verbs::Context { store: &mut store, call, faults }),
    };
    store.save();
    let credential = store.some_credential(call);
    drop(store);
    faults.apply_after_effect(root);
    response::print(call, faults, outcome, &credential)
}

const DIR: &str = "STRIPE_FAKE_CLI_DIR";
