//! What every error tells its reader: a stable code, the next step, and the exit code.
//!
//! Each error type implements [`Diagnostic`] beside its definition, without wildcard arms: a new variant does not
//! compile until it has all three. No text quotes input, because input may be a pasted key.

use std::error::Error;

use crate::channel::Channel;

/// An error that a person or an agent can act on.
pub trait Diagnostic: Error {
    /// Returns the stable `snake_case` code that scripts and models decide on.
    fn code(&self) -> &'static str;

    /// Returns the next step for this reader, as a sentence that stands on its own.
    fn hint(&self, channel: Channel) -> String;

    /// Returns the exit code of a command that ends with this error.
    fn exit(&self) -> Exit;
}

/// The exit code of the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// A file or the ledger failed.
    Failure = 1,
    /// The arguments or the registry are invalid.
    Usage = 2,
    /// A rule refused the call. Nothing was changed.
    Refused = 3,
    /// The project does not exist.
    NotFound = 4,
    /// The backend refused or could not be reached. Nothing was changed.
    Backend = 5,
    /// Incomplete, or the outcome is unknown. The message says which, the hint how to finish.
    Incomplete = 6,
    /// A scan found a credential where none belongs.
    Found = 7,
}

/// The name of the program, as a person types it.
pub const PROGRAM: &str = "stripe-projects-mcp";
