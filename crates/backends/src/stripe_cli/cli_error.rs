//! Errors of the Stripe CLI, and what each code means for the caller.

use std::{io, path::Path};

use serde_json::Value;

use super::runner::RunError;
use crate::{BackendError, Cause, Consent, Refusal, Setup};

/// Why a command returned no `data`.
#[derive(Debug)]
pub enum CliError {
    /// It was run and may still be running; it holds the lock until it ends.
    LeftRunning,
    /// It does not know the command `projects`: it is too old, or its plugin is missing.
    NoPlugin,
    /// Nothing happened: something is missing on this machine.
    NotSetUp(Setup),
    /// Nothing happened: it could not be started.
    NotStarted(io::ErrorKind),
    /// It answered with an error.
    Refused(ErrorEnvelope),
    /// It was run, and its effect is unknown.
    Unclear(&'static str),
}

/// An error answer without its message, which may quote anything.
#[derive(Debug)]
pub struct ErrorEnvelope {
    /// Letters and underscores.
    pub code: Option<String>,
    pub details: Value,
}

/// The error that failed.
#[derive(Clone, Copy)]
pub struct Invocation<'a> {
    /// Such as `services list`.
    pub verb: &'a str,
    /// The provider that it was about.
    pub provider: Option<&'a str>,
    /// Its working directory.
    pub folder: &'a Path,
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Broken => Self::LeftRunning,
            RunError::Missing => Self::NotSetUp(Setup::CliMissing),
            RunError::NotStarted(kind) => Self::NotStarted(kind),
            RunError::Prompts => Self::NotSetUp(Setup::LoggedOut),
            RunError::TimedOut => Self::Unclear("timed out"),
            RunError::TooMuch => Self::Unclear("printed too much"),
        }
    }
}

impl CliError {
    /// The error of a command that changes nothing billable: nothing happened.
    pub fn for_read(self, invocation: Invocation<'_>) -> BackendError {
        match self.for_write(invocation) {
            BackendError::Unknown { why } => BackendError::Unavailable { why },
            definite => definite,
        }
    }

    /// The error of a command that changes the account: unknown if it may have taken effect.
    pub fn for_write(self, invocation: Invocation<'_>) -> BackendError {
        let verb = invocation.verb;
        match self {
            Self::LeftRunning => {
                BackendError::Unknown { why: format!("`stripe projects {verb}` was left running").into() }
            }
            Self::Refused(envelope) => envelope.error(invocation),
            Self::NoPlugin => Setup::LoggedOut.into(),
            Self::NotSetUp(setup) => setup.into(),
            Self::NotStarted(kind) => {
                BackendError::Unavailable { why: format!("the Stripe CLI could not be started: {kind}").into() }
            }
            Self::Unclear(how) => BackendError::Unknown { why: format!("`stripe projects {verb}` {how}").into() },
        }
    }

    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(envelope) => envelope.code.as_deref(),
            _ => None,
        }
    }
}

impl ErrorEnvelope {
    fn error(&self, invocation: Invocation<'_>) -> BackendError {
        let folder = || invocation.folder.to_owned();
        let Some(code) = self.code.as_deref() else {
            return BackendError::Unknown {
                why: format!("`stripe projects {}` failed without a code", invocation.verb).into(),
            };
        };
        let why = Cause::from(format!("`stripe projects {}` answered {code}", invocation.verb));
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
            "PROVIDER_NOT_LINKED" => match invocation.provider {
                Some(provider) => BackendError::NotLinked { provider: provider.to_owned(), folder: folder() },
                None => BackendError::Unavailable { why },
            },
            "TOS_ACCEPTANCE_REQUIRED" => Consent::Terms.into(),
            "invalid_fields" => Refusal::Configuration { fields: field_names(&self.details) }.into(),
            "provider_failure" => Refusal::ProviderFailed { code: Some(code.to_owned()) }.into(),
            "resource_count_constraint_exceeded" => Refusal::TooMany.into(),
            // About the arguments or the folder, checked before any effect.
            "INVALID_ARGUMENT"
            | "NO_PROJECT_CONFIG"
            | "PROJECT_ALREADY_CONNECTED"
            | "PROJECT_ENVIRONMENT_HAS_NO_RESOURCES"
            | "PROJECT_NOT_INITIALIZED" => BackendError::Unavailable { why },
            _ => BackendError::Unknown { why },
        }
    }
}

/// Returns the names of fields in the details, in any of the known shapes.
fn field_names(details: &Value) -> Vec<String> {
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

/// Whether a text can only be the name of a field.
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
        let invocation = Invocation { verb: "add", provider: Some("exa"), folder: Path::new("/state/stripe-cli") };
        CliError::Refused(ErrorEnvelope { code: Some(code.to_owned()), details }).for_write(invocation)
    }

    #[test]
    fn recorded_code_maps_to_the_next_step() {
        use BackendError as E;
        let is_expected = |code: &str, error: &E| match code {
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
            assert!(is_expected(code, &error), "{code}: {error}");
        }
    }

    #[test]
    fn unknown_code_is_not_definite() {
        assert!(!error("SOMETHING_NEW", Value::Null).is_definite());
        let invocation = Invocation { verb: "status", provider: None, folder: Path::new("/") };
        assert!(CliError::Unclear("timed out").for_read(invocation).is_definite());
        assert!(!CliError::Unclear("timed out").for_write(invocation).is_definite());
    }

    #[test]
    fn field_that_is_not_a_name_is_left_out() {
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
