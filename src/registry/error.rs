//! Why a registry is refused: the place, and the rule that was broken. Never the words that broke it, because a
//! value in this file may be a key that somebody pasted.

use toml::Spanned;

use crate::lifetime::LifetimeError;
use crate::money::MoneyError;
use crate::name::{NameError, ProviderKey};

/// A refused registry: it reads `providers.toml:12:1: expected a table`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct RegistryError {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    #[source]
    pub problem: Problem,
}

/// The rule that was broken, and what a hint can be made of.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("a host is a name or an address, without scheme, port or path")]
    AlertsHost,
    #[error(
        "an address for alerts is a plain https:// URL without user or password; http:// is for a host in `allow_hosts`"
    )]
    AlertsUrl,
    #[error(transparent)]
    Amount(#[from] MoneyError),
    #[error("an approval is \"never\", \"above-default\" or \"always\"")]
    Approval,
    #[error("the time for an approval is a whole number of minutes from 1 to 10080")]
    ApprovalTtl,
    #[error("a cap is more than 0")]
    CapZero,
    #[error("a config holds no date or time: JSON has none")]
    ConfigDatetime,
    #[error("a config holds no number that JSON cannot carry")]
    ConfigNumber,
    #[error("a credential name is 1 to 64 of A-Z, 0-9 and `_`, starting with a letter")]
    CredentialName,
    #[error("this is a link that leads nowhere")]
    Dangling,
    #[error("a documentation link is a plain https:// URL without user or password")]
    Docs,
    #[error("this key is already there")]
    DuplicateKey,
    #[error("another variable of this provider has the same name; upper and lower case count as one")]
    DuplicateVariable,
    #[error(transparent)]
    Lifetime(#[from] LifetimeError),
    #[error("a label is one line of 1 to 80 visible characters")]
    Label,
    #[error("the number of live projects is a whole number from 1 up")]
    LiveProjects,
    #[error("the maximum is below the default")]
    MaxBelowDefault,
    #[error("`{key}` is missing")]
    MissingKey { key: &'static str },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("there is no such file")]
    NoFile,
    #[error("there is no provider in this registry")]
    NoProviders,
    #[error("this is not a file")]
    NotAFile,
    #[error("this is not UTF-8 text")]
    NotText,
    #[error("the number is out of range")]
    OutOfRange,
    #[error("a plan belongs to the same provider as its service")]
    PlanOfAnotherProvider,
    #[error("a registry carries no credential, and this reads like one")]
    Sensitive,
    #[error("this is not valid TOML")]
    Syntax,
    #[error("this is nested too deeply")]
    TooDeep,
    #[error("unknown key{}", did_you_mean(*meant))]
    UnknownKey { meant: Option<&'static str>, valid: &'static [&'static str] },
    #[error("no provider has this key{}", did_you_mean(meant.as_ref()))]
    UnknownProvider { meant: Option<ProviderKey>, valid: Vec<ProviderKey> },
    #[error("this is not valid TOML: text stands in quotes")]
    Unquoted,
    #[error("the file cannot be read: {why}")]
    Unreadable { why: std::io::ErrorKind },
    #[error("this version of the registry format is unknown; this program reads version 1")]
    Version,
    #[error("expected {expected}")]
    WrongType { expected: &'static str },
}

/// A problem that still counts its place in bytes, since only the door has the whole text.
#[derive(Debug)]
pub(super) struct Fault {
    byte: usize,
    problem: Problem,
}

impl Fault {
    pub(super) fn new(byte: usize, problem: impl Into<Problem>) -> Self {
        Self { byte, problem: problem.into() }
    }

    pub(super) fn at<T>(place: &Spanned<T>, problem: impl Into<Problem>) -> Self {
        Self::new(place.span().start, problem)
    }

    /// What the TOML parser has to say, in our words: its own could quote the file.
    pub(super) fn syntax(error: &toml::de::Error) -> Self {
        let says = |words| error.message().starts_with(words);
        let problem = if says("duplicate key") {
            Problem::DuplicateKey
        } else if says("string values must be quoted") {
            Problem::Unquoted
        } else if says("recursion limit") || says("cannot recurse") {
            Problem::TooDeep
        } else {
            Problem::Syntax
        };
        // The one complaint without a place is that of dotted keys nested too deeply.
        Self::new(error.span().map_or(0, |span| span.start), problem)
    }

    /// Turns the byte into the line and column that an editor shows.
    pub(super) fn in_file(self, file: &str, text: &str) -> RegistryError {
        let before = text.char_indices().take_while(|(byte, _)| *byte < self.byte).map(|(_, c)| c);
        let (line, column) = before.fold((1, 1), |(line, column), c| match c {
            '\n' => (line + 1, 1),
            _ => (line, column + 1),
        });
        RegistryError { file: file.to_owned(), line, column, problem: self.problem }
    }
}

fn did_you_mean(meant: Option<impl std::fmt::Display>) -> String {
    meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}
