//! Usage errors, explained without repeating the input: it may be a key.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{settings::CliOptions, view::ErrorView};

/// Explains what is wrong with a command line.
pub fn explain(error: &Error) -> ErrorView {
    let message = match error.kind() {
        ErrorKind::InvalidSubcommand => "there is no such command",
        ErrorKind::UnknownArgument => "unexpected argument",
        ErrorKind::MissingRequiredArgument => "missing argument",
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => "missing command",
        ErrorKind::ArgumentConflict | ErrorKind::TooManyValues => "conflicting or repeated arguments",
        ErrorKind::InvalidValue if given(error) => "invalid value",
        ErrorKind::InvalidValue | ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            "an option requires a value"
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8 text",
        _ => "the command line cannot be read",
    };
    let message = match missing(error) {
        Some(names) => format!("{message}: {names}"),
        None => message.to_owned(),
    };
    let hint = match suggestion(error) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if given(error) => format!("use one of: {}", possible(error)),
        None => "run `stripe-projects-mcp --help`, or the same command with `--help`".to_owned(),
    };
    ErrorView { code: "usage", message, hint, project: None }
}

/// Tells whether a value was given, where one of a few was expected.
fn given(error: &Error) -> bool {
    let value = error.get(ContextKind::InvalidValue);
    error.kind() == ErrorKind::InvalidValue && matches!(value, Some(ContextValue::String(value)) if !value.is_empty())
}

/// Returns the values that were expected.
fn possible(error: &Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(words)) => words.join(", "),
        _ => String::new(),
    }
}

/// Returns the folders that a wrong command line names: its audit row is written there.
pub fn folders(arguments: &[OsString]) -> CliOptions {
    let named = |flag: &str| {
        let mut words = arguments.iter();
        words.find_map(|word| match word.to_str()?.strip_prefix(flag)? {
            "" => Some(None),
            rest => Some(Some(PathBuf::from(rest.strip_prefix('=')?))),
        })
    };
    let after = |flag: &str| arguments.iter().skip_while(|word| *word != flag).nth(1).map(PathBuf::from);
    let folder = |flag: &str| named(flag).and_then(|value| value.or_else(|| after(flag)));
    CliOptions { dir: folder("--dir"), state_dir: folder("--state-dir"), ..CliOptions::default() }
}

/// Returns the names of the missing arguments.
fn missing(error: &Error) -> Option<String> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(names))) => Some(names.join(" ")),
        _ => None,
    }
}

/// Returns the known argument that is closest to the input.
fn suggestion(error: &Error) -> Option<String> {
    [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue].into_iter().find_map(
        |kind| {
            match error.get(kind)? {
                ContextValue::String(word) => Some(word.clone()),
                ContextValue::Strings(words) => words.last().cloned(), // clap puts the closest last
                _ => None,
            }
        },
    )
}
