//! Tool arguments: accepted or refused, and never quoted.

use domain::{
    lifetime::Lifetime,
    money::Cents,
    name::{ProjectName, ProviderKey},
};
use serde_json::Value;

use super::{assert_quotes_nothing, plant_credentials};
use crate::mcp::fuzzing::{self, ProvisionArguments};

/// Parses the input as JSON arguments of every tool.
///
/// # Panics
/// If a refusal quotes an argument, or an amount does not survive a round trip.
pub fn arguments(bytes: &[u8]) {
    let Ok(arguments) = serde_json::from_str::<Value>(&plant_credentials(bytes)) else { return };
    for refusal in fuzzing::refusals(&arguments) {
        assert_quotes_nothing(&refusal);
    }
    let Some(ProvisionArguments { name, provider, spend_cap_usd, expires_in }) = fuzzing::provision(&arguments) else {
        return;
    };
    if let Err(error) = ProjectName::parse(&name) {
        assert_quotes_nothing(&format!("{error} {error:?}"));
    }
    if let Err(error) = ProviderKey::parse(&provider) {
        assert_quotes_nothing(&format!("{error} {error:?}"));
    }
    if let Some(Err(error)) = expires_in.as_deref().map(Lifetime::parse) {
        assert_quotes_nothing(&format!("{error} {error:?}"));
    }
    match spend_cap_usd.as_deref().map(Cents::parse_usd) {
        Some(Ok(cap)) => assert!(Cents::parse_usd(&cap.to_string()) == Ok(cap), "an amount reads as another"),
        Some(Err(error)) => assert_quotes_nothing(&format!("{error} {error:?}")),
        None => {}
    }
}
