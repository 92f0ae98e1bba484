//! The only reader of the process environment.

use std::{env, ffi::OsString, path::PathBuf};

use crate::secret::Secret;

/// The name of the person at the terminal, as far as the environment tells.
pub fn user() -> String {
    word("USER").or_else(|| word("USERNAME")).unwrap_or_else(|| "unknown user".to_owned())
}

/// Whether the person wants colour, as far as the environment tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colour {
    /// `CLICOLOR_FORCE`: even into a pipe.
    Always,
    AtTerminal,
    /// `NO_COLOR`, `CLICOLOR=0`, or a terminal that cannot.
    Never,
}

/// As no-color.org and bixense.com/clicolors have it: whoever wants none is asked first, and an empty word is none.
pub fn colour() -> Colour {
    if word("NO_COLOR").is_some() {
        Colour::Never
    } else if word("CLICOLOR_FORCE").is_some_and(|word| word != "0") {
        Colour::Always
    } else if is_dumb() || word("CLICOLOR").is_some_and(|word| word == "0") {
        Colour::Never
    } else {
        Colour::AtTerminal
    }
}

/// A terminal that cannot take a line back.
pub fn is_dumb() -> bool {
    word("TERM").is_some_and(|word| word == "dumb")
}

pub(super) fn path(variable: &str) -> Option<PathBuf> {
    read(variable).map(PathBuf::from)
}

pub(super) fn word(variable: &str) -> Option<String> {
    read(variable).map(|value| value.to_string_lossy().into_owned())
}

pub(super) fn secret(variable: &str) -> Option<Secret> {
    word(variable).map(Secret::new)
}

/// An empty variable counts as none, as it does in a shell's `${VAR:-default}`.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment that the rule points to")]
fn read(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}
