//! What other programs read of the command line: completions for shells, pages for `man`. Both come from the
//! definitions that read it.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::arguments::Arguments;
use crate::{diagnostic::PROGRAM, view::ErrorView};

/// A script for a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    let mut page = Vec::new(); // into memory first: clap gives up with a panic when a pipe is closed
    generate(shell, &mut command, &name, &mut page);
    if shell == Shell::Bash { with_labels_met(&page, &name) } else { page }
}

/// For a program with a hyphen in its name clap labels the commands in one way and looks for them in another, so that bash
/// would complete none of their words. Here both are the same.
fn with_labels_met(script: &[u8], name: &str) -> Vec<u8> {
    let (label, sought) = (name.replace('-', "__subcmd__"), name.replace('-', "__"));
    String::from_utf8_lossy(script).replace(&label, &sought).into_bytes()
}

/// The page of the program, or of one of its commands.
///
/// # Errors
/// When there is no such command.
pub fn man(name: Option<&str>) -> Result<Vec<u8>, ErrorView> {
    let mut program = Arguments::command();
    program.build(); // gives each command the flags that are everybody's, and its full name
    let command = match name {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(no_such_command)?,
    };
    let mut page = Vec::new();
    // Memory takes everything.
    let _ = Man::new(command).source(SOURCE).render(&mut page);
    Ok(page)
}

fn no_such_command() -> ErrorView {
    let message = "there is no such command".to_owned();
    let hint = format!("run `{PROGRAM} --help` to see the commands there are");
    ErrorView { code: "usage", message, hint, project: None }
}

const SOURCE: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
