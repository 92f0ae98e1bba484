//! The current credentials of a resource: the one call whose answer holds any.

use serde_json::Value;

use super::{Context, answer, resource};
use crate::{
    secret::Secret,
    simulator::{failure::Failure, objects::ResourceAccessConfigurationObject, parameters::Parameters},
};

/// A look: it mints nothing, and its answer is never kept. What is suspended is revealed, too.
pub fn reveal(context: &Context<'_>, id: &str, given: &mut Parameters) -> Result<Value, Failure> {
    given.finish()?;
    let resource = resource::existing(context, id)?;
    if resource.status() != "complete" {
        return Err(Failure::invalid("resource_not_complete", "only a complete resource can be revealed"));
    }
    let credentials = context.account.credentials(&resource)?;
    let shown = |(name, secret): (String, Secret)| (name, Value::from(secret.expose()));
    answer(&ResourceAccessConfigurationObject {
        object: "v2.provisioning.resource_access_configuration",
        resource: id,
        configuration: credentials.into_iter().map(shown).collect(),
        created: resource.minted(),
        expires_at: None,
        livemode: resource.details.livemode,
    })
}
