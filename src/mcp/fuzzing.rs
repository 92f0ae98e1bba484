//! The arguments of every tool, for `crate::fuzzing`.

use serde_json::{Number, Value};

use super::arguments::{ListProjects, Named, Provision, shaped};

/// The arguments of a provision, not parsed yet.
pub struct ProvisionArguments {
    pub name: String,
    pub provider: String,
    pub spend_cap_usd: Option<String>,
    pub expires_in: Option<String>,
}

/// Returns the error of each tool that does not take these arguments.
pub fn refusals(arguments: &Value) -> Vec<String> {
    let errors = [
        shaped::<Provision>(arguments.clone()).err(),
        shaped::<ListProjects>(arguments.clone()).err(),
        shaped::<Named>(arguments.clone()).err(),
    ];
    errors.into_iter().flatten().map(|error| format!("{} {}", error.message, error.hint)).collect()
}

pub fn provision(arguments: &Value) -> Option<ProvisionArguments> {
    let Provision { name, provider, spend_cap_usd, expires_in } = shaped(arguments.clone()).ok()?;
    Some(ProvisionArguments {
        name,
        provider,
        spend_cap_usd: spend_cap_usd.as_ref().map(Number::to_string),
        expires_in,
    })
}
