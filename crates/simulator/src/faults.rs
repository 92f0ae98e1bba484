//! Fault injection: planned faults for the next matching requests.

use std::sync::{Mutex, PoisonError};

use axum::http::{Method, StatusCode};
use backends::simulated::{ApiStatus, Outcome};
use serde_json::{Value, json};

use super::{failure::Failure, parameters::Parameters};

/// A fault of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    Conflict,
    Declined,
    DropAfter,
    DropBefore,
    Errored,
    ErrorAfter,
    ErrorBefore,
    Garbage,
    NeedsInformation { schema: Value },
    Pending { polls: u32 },
    RateLimited { retry_after: u32 },
    Requirement,
    Slow { ms: u64 },
    UnknownStatus { polls: u32 },
}

/// The planned faults, in order.
#[derive(Default)]
pub struct Faults(Mutex<Vec<PlannedFault>>);

struct PlannedFault {
    method: Method,
    path: String,
    fault: Fault,
    times: u64,
}

impl Faults {
    /// Plans the fault that an admin request describes.
    ///
    /// # Errors
    /// 400 for invalid parameters, or if too many faults are planned.
    pub fn plan(&self, mut parameters: Parameters) -> Result<(), Failure> {
        let on = parameters.required_text("on")?;
        let (method, path) = on.split_once(' ').ok_or_else(|| parameters.invalid("on", "not METHOD /path"))?;
        let method: Method = method.parse().map_err(|_| parameters.invalid("on", "not METHOD /path"))?;
        if !path.starts_with('/') {
            return Err(parameters.invalid("on", "not METHOD /path"));
        }
        let times = parameters.number("times")?.unwrap_or(1);
        let fault = parse(&mut parameters)?;
        parameters.finish()?;
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if planned.len() >= MAX_PLANNED {
            return Err(Failure::invalid("too_many_faults", "64 faults are planned already"));
        }
        planned.push(PlannedFault { method, path: path.to_owned(), fault, times });
        Ok(())
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes the next fault planned for this request.
    pub fn take(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        planned.retain(|planned| planned.times > 0);
        let next = planned.iter_mut().find(|planned| planned.method == method && matches(&planned.path, path))?;
        next.times -= 1;
        Some(next.fault.clone())
    }
}

impl Fault {
    /// Returns the error response of a fault that prevents the request.
    pub fn refusal(&self) -> Option<Failure> {
        match self {
            Self::Conflict => Some(Failure::new(
                StatusCode::CONFLICT,
                "conflict_error",
                "lock_timeout",
                "another request is changing this object; retry with the same idempotency key",
            )),
            Self::Declined => Some(Failure::payment("card_declined", "the payment method was declined")),
            Self::ErrorBefore => Some(Failure::internal("something went wrong on our side")),
            Self::RateLimited { retry_after } => Some(Failure {
                retry_after: Some(*retry_after),
                ..Failure::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limit",
                    "rate_limit",
                    "too many requests; retry later with the same idempotency key",
                )
            }),
            Self::Requirement => Some(Failure::new(
                StatusCode::FORBIDDEN,
                "invalid_request_error",
                "requirements_outstanding",
                "the account has requirements that a person must meet first",
            )),
            _ => None,
        }
    }

    /// Returns the outcome of a resource operation under a fault.
    pub fn outcome(fault: Option<&Self>) -> Outcome {
        let complete = Outcome::complete();
        match fault {
            Some(Self::Pending { polls } | Self::UnknownStatus { polls }) => {
                let interim = Self::interim(fault).unwrap_or_default().to_owned();
                Outcome { interim, polls: *polls, ..complete }
            }
            Some(Self::Errored) => {
                Outcome { status: ApiStatus::Errored, message: Some("the provider failed".to_owned()), ..complete }
            }
            Some(Self::NeedsInformation { schema }) => {
                Outcome { status: ApiStatus::NeedsInformation, wanted: Some(schema.clone()), ..complete }
            }
            _ => complete,
        }
    }

    /// Returns the interim status that responses show.
    pub fn interim(fault: Option<&Self>) -> Option<&'static str> {
        match fault {
            Some(Self::Pending { .. }) => Some("pending"),
            Some(Self::UnknownStatus { .. }) => Some("reticulating"),
            _ => None,
        }
    }

    /// Returns whether an operation on an existing resource has no effect.
    pub fn prevents_effect(fault: Option<&Self>) -> bool {
        matches!(fault, Some(Self::Errored | Self::NeedsInformation { .. }))
    }
}

fn parse(parameters: &mut Parameters) -> Result<Fault, Failure> {
    let count = |number: Option<u64>, default: u32| number.map_or(default, |n| u32::try_from(n).unwrap_or(u32::MAX));
    let word = parameters.required_text("fault")?;
    Ok(match word.as_str() {
        "conflict" => Fault::Conflict,
        "declined" => Fault::Declined,
        "drop_after" => Fault::DropAfter,
        "drop_before" => Fault::DropBefore,
        "error_after" => Fault::ErrorAfter,
        "error_before" => Fault::ErrorBefore,
        "errored" => Fault::Errored,
        "garbage" => Fault::Garbage,
        "needs_information" => {
            let schema = parameters.object("schema")?.map_or_else(default_schema, Value::Object);
            Fault::NeedsInformation { schema }
        }
        "pending" => Fault::Pending { polls: count(parameters.number("polls")?, 1) },
        "rate_limited" => Fault::RateLimited { retry_after: count(parameters.number("retry_after")?, 0) },
        "requirement" => Fault::Requirement,
        "slow" => Fault::Slow { ms: parameters.number("ms")?.unwrap_or(1_000).min(MAX_DELAY_MS) },
        "unknown_status" => Fault::UnknownStatus { polls: count(parameters.number("polls")?, 1) },
        _ => return Err(parameters.invalid("fault", "not one that `simulator --help` lists")),
    })
}

/// The schema of a fault that names none.
fn default_schema() -> Value {
    json!({ "type": "object", "required": ["company_name"], "properties": { "company_name": { "type": "string" } } })
}

/// Returns whether a path matches a pattern; `{id}` matches any one segment.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(pattern), Some(segment)) if pattern == "{id}" || pattern == segment => {}
            _ => return false,
        }
    }
}

/// Limits the planned faults.
const MAX_PLANNED: usize = 64;

/// Five minutes, longer than any client waits.
const MAX_DELAY_MS: u64 = 300_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_pattern_matches_one_segment() {
        assert!(matches("/r/{id}/remove", "/r/1/remove"));
        for other in ["/r/1", "/r/1/2/remove", "/r/1/remove/", "/x/1/remove"] {
            assert!(!matches("/r/{id}/remove", other), "{other}");
        }
    }
}
