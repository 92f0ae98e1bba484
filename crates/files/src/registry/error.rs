//! Errors of the registry and of the user's policy: the place and the rule, never a value of the file.
//!
//! A value may be a key that was pasted into the wrong place.

use domain::{
    lifetime::LifetimeError,
    money::MoneyError,
    name::{NameError, ProviderKey},
};
use toml::Spanned;

use super::spelling;

/// An invalid registry or policy, displayed as `providers.toml:12:1: expected a table`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct RegistryError {
    /// The file as it may be shown.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    #[source]
    pub problem: Problem,
}

/// The rule that the file breaks, with the data for a hint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("a host is a name or an IP address, without scheme, port or path")]
    AlertsHost,
    #[error("the URL for alerts must be https:// without user or password; http:// only for a host in `allow_hosts`")]
    AlertsUrl,
    #[error(transparent)]
    Amount(#[from] MoneyError),
    #[error("an approval rule is \"never\", \"above-default\" or \"always\"")]
    Approval,
    #[error("the lifetime of an approval is a whole number of minutes from 1 to 10080")]
    ApprovalTtl,
    #[error("a cap must be above 0")]
    CapZero,
    #[error("a config cannot contain a date or time, which JSON does not have")]
    ConfigDatetime,
    #[error("a config cannot contain a number that JSON does not have")]
    ConfigNumber,
    #[error("a credential name is 1 to 64 of A-Z, 0-9 and `_`, starting with a letter")]
    CredentialName,
    #[error("the target of this symbolic link does not exist")]
    Dangling,
    #[error("a documentation link must be an https:// URL without user or password")]
    Docs,
    #[error("duplicate key")]
    DuplicateKey,
    #[error("another variable of this provider has the same name (case is ignored)")]
    DuplicateVariable,
    #[error(transparent)]
    Lifetime(#[from] LifetimeError),
    #[error("a label is one line of 1 to 80 visible characters")]
    Label,
    #[error("the number of live projects must be at least 1")]
    LiveProjects,
    #[error("the maximum is below the default")]
    MaxBelowDefault,
    #[error("`{key}` is missing")]
    MissingKey { key: String },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("no such file")]
    NoFile,
    #[error("the registry has no providers")]
    NoProviders,
    #[error("not a regular file")]
    NotAFile,
    #[error("not UTF-8 text")]
    NotText,
    #[error("this file belongs to another user")]
    NotYours,
    #[error("other users may write this file")]
    OpenToOthers,
    #[error("the number is out of range")]
    OutOfRange,
    #[error("the number for an hour is a whole number from 0")]
    PerHour,
    #[error("the plan must be of the same provider as the service")]
    PlanOfAnotherProvider,
    #[error("`{key}` does not count in a workspace; it belongs in your own {}", places(key))]
    OwnerOnly { key: &'static str },
    #[error("this looks like a credential, which this file must not contain")]
    Sensitive,
    #[error("invalid TOML")]
    Syntax,
    #[error("nested too deeply")]
    TooDeep,
    #[error("unknown key{}", did_you_mean(meant.as_ref()))]
    UnknownKey { meant: Option<String>, valid: Vec<String> },
    #[error("no provider has this key{}", did_you_mean(meant.as_ref()))]
    UnknownProvider { meant: Option<ProviderKey>, valid: Vec<ProviderKey> },
    #[error("invalid TOML: expected a quoted string")]
    Unquoted,
    #[error("cannot read the file: {why}")]
    Unreadable { why: std::io::ErrorKind },
    #[error("unknown version of the file format; this program reads version 1")]
    Version,
    #[error("expected {expected}")]
    WrongType { expected: &'static str },
}

/// A problem with its place in bytes, before the text is at hand that gives line and column.
#[derive(Debug)]
pub(super) struct SpannedProblem {
    byte: usize,
    problem: Problem,
}

impl SpannedProblem {
    pub(super) fn new(byte: usize, problem: impl Into<Problem>) -> Self {
        Self { byte, problem: problem.into() }
    }

    pub(super) fn at<T>(place: &Spanned<T>, problem: impl Into<Problem>) -> Self {
        Self::new(place.span().start, problem)
    }

    /// Translates an error of the TOML parser, whose own message may quote the file.
    pub(super) fn from_syntax(error: &toml::de::Error) -> Self {
        let starts = |with| error.message().starts_with(with);
        let problem = if starts("duplicate key") {
            Problem::DuplicateKey
        } else if starts("string values must be quoted") {
            Problem::Unquoted
        } else if starts("recursion limit") || starts("cannot recurse") {
            Problem::TooDeep
        } else {
            Problem::Syntax
        };
        Self::from_toml(error, problem)
    }

    /// Translates an error of serde. Only the part of its message that comes from our own structs is used.
    pub(super) fn from_serde(error: &toml::de::Error) -> Self {
        let message = error.message();
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.rsplit_once("`, expected "));
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        let problem = if let Some((written, known)) = unknown {
            let mut valid: Vec<String> = known.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            valid.sort();
            let meant = spelling::closest(written, valid.iter().map(|name| (name.as_str(), name.clone())));
            Problem::UnknownKey { meant, valid }
        } else if let Some(key) = missing {
            Problem::MissingKey { key: key.to_owned() }
        } else if message.starts_with("invalid type: ") {
            let expected = EXPECTED.iter().find(|(theirs, _)| message.ends_with(theirs));
            Problem::WrongType { expected: expected.map_or("a value of another type", |(_, ours)| ours) }
        } else {
            Problem::OutOfRange
        };
        Self::from_toml(error, problem)
    }

    /// The one error without a span is that of dotted keys nested too deeply.
    fn from_toml(error: &toml::de::Error, problem: Problem) -> Self {
        Self::new(error.span().map_or(0, |span| span.start), problem)
    }

    /// Converts the byte into the line and column that an editor shows.
    pub(super) fn in_file(self, file: &str, text: &str) -> RegistryError {
        let before = text.char_indices().take_while(|(byte, _)| *byte < self.byte).map(|(_, c)| c);
        let (line, column) = before.fold((1, 1), |(line, column), c| match c {
            '\n' => (line + 1, 1),
            _ => (line, column + 1),
        });
        RegistryError { file: file.to_owned(), line, column, problem: self.problem }
    }
}

/// Returns the files outside the workspace that may have the key.
fn places(key: &str) -> &'static str {
    match key {
        "alerts" => "~/.config/stripe-projects/policy.toml or providers.toml beside it",
        _ => "~/.config/stripe-projects/providers.toml",
    }
}

fn did_you_mean(meant: Option<impl std::fmt::Display>) -> String {
    meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

/// How serde's messages about a wrong type end, and how ours do.
const EXPECTED: [(&str, &str); 5] = [
    ("expected a boolean", "true or false"),
    ("expected a map", "a table"),
    ("expected a sequence", "an array"),
    ("expected a string", "a quoted string"),
    ("expected i64", "a whole number"),
];
