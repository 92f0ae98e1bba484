//! The only reader of the process environment.

use std::{env, ffi::OsString, path::PathBuf};

use crate::secret::Secret;

/// The name of the person at the terminal and the terminal itself, as far as the environment tells.
pub fn user() -> String {
    let user = word("USER").or_else(|| word("USERNAME")).unwrap_or_else(|| "unknown user".to_owned());
    match terminal() {
        Some(terminal) => format!("{user} on {terminal}"),
        None => format!("{user}, no terminal"),
    }
}

/// The terminal that our input or our errors lead to, such as `pts/3`.
#[cfg(unix)]
fn terminal() -> Option<String> {
    use rustix::termios::ttyname;
    use std::io::{stderr, stdin};
    let name = ttyname(stdin(), Vec::new()).or_else(|_| ttyname(stderr(), Vec::new())).ok()?;
    let name = name.to_string_lossy();
    Some(name.strip_prefix("/dev/").unwrap_or(&name).to_owned())
}

#[cfg(not(unix))]
fn terminal() -> Option<String> {
    use std::io::{IsTerminal as _, stdin};
    stdin().is_terminal().then(|| "a console".to_owned())
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
