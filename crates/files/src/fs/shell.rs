//! Paths as they are typed into a shell.

/// A path as one argument of a POSIX shell command.
pub fn shell_quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}
