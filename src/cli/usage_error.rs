//! A command line that cannot be read, explained without repeating it: what was typed may be a key.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{diagnostic::PROGRAM, settings::CliOptions, view::ErrorView};

/// What is wrong with the words of a call.
pub fn explain(error: &Error) -> ErrorView {
    let message = match error.kind() {
        ErrorKind::InvalidSubcommand => "there is no such command",
        ErrorKind::UnknownArgument => "there is a word or flag that this command does not take",
        ErrorKind::MissingRequiredArgument => "a word is missing",
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => "a command is missing",
        ErrorKind::ArgumentConflict | ErrorKind::TooManyValues => "a flag is given twice",
        ErrorKind::InvalidValue if given(error) => "a word is not one of those that it could be",
        ErrorKind::InvalidValue | ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            "a flag lacks its value"
        }
        ErrorKind::InvalidUtf8 => "a word is not UTF-8 text",
        _ => "the command line cannot be read",
    };
    let message = match missing(error) {
        Some(names) => format!("{message}: {names}"),
        None => message.to_owned(),
    };
    let hint = match suggestion(error) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if given(error) => format!("there are: {}", possible(error)),
        None => format!("run `{PROGRAM} --help`, or the same command with `--help`"),
    };
    ErrorView { code: "usage", message, hint, project: None }
}

/// Whether there was a word at all, where one of a few was wanted.
fn given(error: &Error) -> bool {
    let word = error.get(ContextKind::InvalidValue);
    error.kind() == ErrorKind::InvalidValue && matches!(word, Some(ContextValue::String(word)) if !word.is_empty())
}

/// Our own words, one of which was wanted.
fn possible(error: &Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(words)) => words.join(", "),
        _ => String::new(),
    }
}

/// The folders that a command line names, whatever else is wrong with it: its mistake is written down there.
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

/// Our own names of what is missing.
fn missing(error: &Error) -> Option<String> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(names))) => Some(names.join(" ")),
        _ => None,
    }
}

/// One of our own words, close to what was typed.
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
