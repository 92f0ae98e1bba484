//! The only reader of the process environment.

use std::{env, ffi::OsString, path::PathBuf};

use crate::{scan::Homes, secret::Secret};

/// The name of the person at the terminal, as far as the environment tells.
pub fn user() -> String {
    word("USER").or_else(|| word("USERNAME")).unwrap_or_else(|| "unknown user".to_owned())
}

/// Where the person at the terminal keeps things.
pub fn homes() -> Homes {
    Homes {
        home: path("HOME").or_else(|| path("USERPROFILE")),
        app_data: path("APPDATA"),
        claude: path("CLAUDE_CONFIG_DIR"),
        codex: path("CODEX_HOME"),
        config: path("XDG_CONFIG_HOME"),
        data: path("XDG_DATA_HOME"),
        shell_history: path("HISTFILE"),
    }
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
