//! The arguments of every tool, as `crate::fuzzing` may hand them in.

use serde_json::{Number, Value};

use super::arguments::{Args, ListProjects, Named, Provision};

/// What a provision asks for, in the words that it came in.
pub struct Asked {
    pub name: String,
    pub provider: String,
    pub spend_cap_usd: Option<String>,
    pub expires_in: Option<String>,
}

/// What each tool has against these arguments.
pub fn refusals(arguments: &Value) -> Vec<String> {
    let said = [
        Args::<Provision>::of(arguments.clone()).0.err(),
        Args::<ListProjects>::of(arguments.clone()).0.err(),
        Args::<Named>::of(arguments.clone()).0.err(),
    ];
    said.into_iter().flatten().map(|error| format!("{} {}", error.message, error.hint)).collect()
}

pub fn provision(arguments: &Value) -> Option<Asked> {
    let Provision { name, provider, spend_cap_usd, expires_in } = Args::of(arguments.clone()).0.ok()?;
    Some(Asked { name, provider, spend_cap_usd: spend_cap_usd.as_ref().map(Number::to_string), expires_in })
}
