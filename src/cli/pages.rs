//! Completions for shells and pages for `man`, generated from the definitions of the command line.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::arguments::Arguments;
use crate::view::ErrorView;

/// Returns the completion script of a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    let mut page = Vec::new(); // into memory first: clap panics when a pipe is closed
    generate(shell, &mut command, &name, &mut page);
    if shell == Shell::Bash { with_matching_labels(&page, &name) } else { page }
}

/// Makes the labels of commands match. For a program name with a hyphen, clap defines them in one form and looks them up in
/// another, so bash would complete nothing after a command.
fn with_matching_labels(script: &[u8], name: &str) -> Vec<u8> {
    let (label, sought) = (name.replace('-', "__subcmd__"), name.replace('-', "__"));
    String::from_utf8_lossy(script).replace(&label, &sought).into_bytes()
}

/// Returns the man page of the program, or of one command.
pub fn man(name: Option<&str>) -> Result<Vec<u8>, ErrorView> {
    let mut program = Arguments::command();
    program.build(); // adds the global options and the full name to each command
    let command = match name {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(no_such_command)?,
    };
    let mut page = Vec::new();
    // Writing to memory cannot fail.
    let _ = Man::new(command).source(SOURCE).render(&mut page);
    Ok(page)
}

fn no_such_command() -> ErrorView {
    let message = "there is no such command".to_owned();
    let hint = "run `stripe-projects-mcp --help` to see the commands there are".to_owned();
    ErrorView { code: "usage", message, hint, project: None }
}

const SOURCE: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
