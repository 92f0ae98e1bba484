//! Why a verb did not do what was asked, and what that means for the caller: every code of Stripe's has its line here.

use std::{io, path::Path};

use serde_json::Value;

use super::runner::RunError;
use crate::backend::{BackendError, Consent, Refusal, Setup};

/// Why there is no `data`.
#[derive(Debug)]
pub enum CliError {
    /// It was run, and may be running still; the lock that it holds says for how long.
    LeftRunning,
    /// It answered, and the answer is no.
    No(ErrorEnvelope),
    /// It does not know the word `projects`: too old, or without its plugin.
    NoPlugin,
    /// Nothing happened: something is missing on this machine.
    NotSetUp(Setup),
    /// Nothing happened: it could not be started.
    NotStarted(io::ErrorKind),
    /// It was run, and what it did is not known.
    Unclear(&'static str),
}

/// What is kept of an answer that says no. Its message is not: it may quote anything.
#[derive(Debug)]
pub struct ErrorEnvelope {
    /// Letters and underscores.
    pub code: Option<String>,
    pub details: Value,
}

/// Whose error it is.
#[derive(Clone, Copy)]
pub struct Invocation<'a> {
    /// Such as `services list`.
    pub verb: &'a str,
    /// Whom it was about, where it was about one of Stripe's providers.
    pub provider: Option<&'a str>,
    /// Where it was run.
    pub folder: &'a Path,
}

impl From<RunError> for CliError {
    fn from(lost: RunError) -> Self {
        match lost {
            RunError::Broken => Self::LeftRunning,
            RunError::Missing => Self::NotSetUp(Setup::CliMissing),
            RunError::NotStarted(kind) => Self::NotStarted(kind),
            RunError::Prompts => Self::NotSetUp(Setup::LoggedOut),
            RunError::TimedOut => Self::Unclear("took too long"),
            RunError::TooMuch => Self::Unclear("printed too much"),
        }
    }
}

impl CliError {
    /// Of a verb that changes nothing that is billed: whatever it was, nothing happened.
    pub fn for_read(self, asked: Invocation<'_>) -> BackendError {
        match self.for_write(asked) {
            BackendError::Unknown { why } => BackendError::Unavailable { why },
            certain => certain,
        }
    }

    /// Of a verb that changes something at the account: where it may have, the error says so.
    pub fn for_write(self, asked: Invocation<'_>) -> BackendError {
        let verb = asked.verb;
        match self {
            Self::LeftRunning => BackendError::Unknown { why: format!("`stripe projects {verb}` was left running") },
            Self::No(complaint) => complaint.error(asked),
            Self::NoPlugin => Setup::LoggedOut.into(),
            Self::NotSetUp(missing) => missing.into(),
            Self::NotStarted(kind) => {
                BackendError::Unavailable { why: format!("the Stripe CLI could not be started: {kind}") }
            }
            Self::Unclear(how) => BackendError::Unknown { why: format!("`stripe projects {verb}` {how}") },
        }
    }

    pub fn code(&self) -> Option<&str> {
        match self {
            Self::No(complaint) => complaint.code.as_deref(),
            _ => None,
        }
    }
}

impl ErrorEnvelope {
    fn error(&self, asked: Invocation<'_>) -> BackendError {
        let folder = || asked.folder.to_owned();
        let Some(code) = self.code.as_deref() else {
            return BackendError::Unknown { why: format!("`stripe projects {}` failed without a code", asked.verb) };
        };
        let why = format!("`stripe projects {}` answered {code}", asked.verb);
        match code {
            "ACCOUNT_NOT_ELIGIBLE" => Refusal::AccountNotEligible.into(),
            "BROWSER_AUTH_REQUIRED" | "BROWSER_AUTH_TIMEOUT" => BackendError::NeedsBrowser,
            "INVALID_API_KEY" => BackendError::Unauthenticated,
            "JSON_REQUIRES_AUTH" | "PROJECTS_SESSION_UNUSABLE" => Setup::LoggedOut.into(),
            "JSON_REQUIRES_CONFIRMATION" => Consent::Other.into(),
            "MERCHANT_MISMATCH" => Setup::WrongAccount.into(),
            "PLAN_REQUIRED" => Refusal::PlanRequired.into(),
            "PRICE_CONFIRMATION_REQUIRED" => Consent::Price.into(),
            "PROJECTS_CONTEXT_MISMATCH" => Setup::OtherProject { folder: folder() }.into(),
            "PROVIDER_NOT_LINKED" => match asked.provider {
                Some(provider) => BackendError::NotLinked { provider: provider.to_owned(), folder: folder() },
                None => BackendError::Unavailable { why },
            },
            "TOS_ACCEPTANCE_REQUIRED" => Consent::Terms.into(),
            "invalid_fields" => Refusal::Configuration { fields: named_fields(&self.details) }.into(),
            "provider_failure" => Refusal::ProviderFailed { code: Some(code.to_owned()) }.into(),
            "resource_count_constraint_exceeded" => Refusal::TooMany.into(),
            // Said before anything is done: about our words, or about the folder.
            "INVALID_ARGUMENT"
            | "NO_PROJECT_CONFIG"
            | "PROJECT_ALREADY_CONNECTED"
            | "PROJECT_ENVIRONMENT_HAS_NO_RESOURCES"
            | "PROJECT_NOT_INITIALIZED" => BackendError::Unavailable { why },
            _ => BackendError::Unknown { why },
        }
    }
}

/// The names of fields among the details, in whatever shape they are listed.
fn named_fields(details: &Value) -> Vec<String> {
    let fields = ["fields", "invalid_fields"].iter().find_map(|key| details.get(key));
    let names: Vec<&str> = match fields {
        Some(Value::Array(rows)) => {
            rows.iter().filter_map(|row| row.as_str().or_else(|| row.get("name")?.as_str())).collect()
        }
        Some(Value::Object(map)) => map.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    names.into_iter().filter(|name| is_field(name)).map(str::to_owned).collect()
}

/// Whether it can be the name of a field and nothing else.
pub fn is_field(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(code: &str, details: Value) -> BackendError {
        let asked = Invocation { verb: "add", provider: Some("exa"), folder: Path::new("/state/stripe-cli") };
        CliError::No(ErrorEnvelope { code: Some(code.to_owned()), details }).for_write(asked)
    }

    #[test]
    fn every_recorded_code_says_what_to_do_next() {
        use BackendError as E;
        let is_what = |code: &str, error: &E| match code {
            "ACCOUNT_NOT_ELIGIBLE" => matches!(error, E::Refused(Refusal::AccountNotEligible)),
            "BROWSER_AUTH_REQUIRED" | "BROWSER_AUTH_TIMEOUT" => matches!(error, E::NeedsBrowser),
            "INVALID_API_KEY" => matches!(error, E::Unauthenticated),
            "JSON_REQUIRES_AUTH" | "PROJECTS_SESSION_UNUSABLE" => matches!(error, E::NotSetUp(Setup::LoggedOut)),
            "JSON_REQUIRES_CONFIRMATION" => matches!(error, E::NeedsConsent(Consent::Other)),
            "MERCHANT_MISMATCH" => matches!(error, E::NotSetUp(Setup::WrongAccount)),
            "PLAN_REQUIRED" => matches!(error, E::Refused(Refusal::PlanRequired)),
            "PRICE_CONFIRMATION_REQUIRED" => matches!(error, E::NeedsConsent(Consent::Price)),
            "PROJECTS_CONTEXT_MISMATCH" => matches!(error, E::NotSetUp(Setup::OtherProject { .. })),
            "PROVIDER_NOT_LINKED" => matches!(error, E::NotLinked { .. }),
            "TOS_ACCEPTANCE_REQUIRED" => matches!(error, E::NeedsConsent(Consent::Terms)),
            "UNKNOWN_ERROR" => matches!(error, E::Unknown { .. }),
            "invalid_fields" => matches!(error, E::Refused(Refusal::Configuration { .. })),
            "provider_failure" => matches!(error, E::Refused(Refusal::ProviderFailed { code: Some(_) })),
            "resource_count_constraint_exceeded" => matches!(error, E::Refused(Refusal::TooMany)),
            _ => matches!(error, E::Unavailable { .. }),
        };
        for code in RECORDED {
            let error = error(code, Value::Null);
            assert!(is_what(code, &error), "{code}: {error}");
        }
    }

    #[test]
    fn a_code_that_nobody_knows_proves_nothing() {
        assert!(!error("SOMETHING_NEW", Value::Null).is_definite());
        let asked = Invocation { verb: "status", provider: None, folder: Path::new("/") };
        assert!(CliError::Unclear("took too long").for_read(asked).is_definite());
        assert!(!CliError::Unclear("took too long").for_write(asked).is_definite());
    }

    #[test]
    fn fields_are_names_or_left_out() {
        for details in [
            json!({ "fields": ["plan", "sk_live CANARY", "X"] }),
            json!({ "invalid_fields": { "plan": "sk_canary" } }),
            json!({ "fields": [{ "name": "plan", "message": "sk_canary" }, {}, 1] }),
        ] {
            let BackendError::Refused(Refusal::Configuration { fields }) = error("invalid_fields", details) else {
                panic!("another error");
            };
            assert_eq!(fields, ["plan"]);
        }
    }

    const RECORDED: &[&str] = &[
        "ACCOUNT_NOT_ELIGIBLE",
        "BROWSER_AUTH_REQUIRED",
        "BROWSER_AUTH_TIMEOUT",
        "INVALID_API_KEY",
        "INVALID_ARGUMENT",
        "JSON_REQUIRES_AUTH",
        "JSON_REQUIRES_CONFIRMATION",
        "MERCHANT_MISMATCH",
        "NO_PROJECT_CONFIG",
        "PLAN_REQUIRED",
        "PRICE_CONFIRMATION_REQUIRED",
        "PROJECTS_CONTEXT_MISMATCH",
        "PROJECTS_SESSION_UNUSABLE",
        "PROJECT_ALREADY_CONNECTED",
        "PROJECT_ENVIRONMENT_HAS_NO_RESOURCES",
        "PROJECT_NOT_INITIALIZED",
        "PROVIDER_NOT_LINKED",
        "TOS_ACCEPTANCE_REQUIRED",
        "UNKNOWN_ERROR",
        "invalid_fields",
        "provider_failure",
        "resource_count_constraint_exceeded",
    ];
}
