//! Reveals the credentials of a resource, the only call that returns any.

use domain::secret::Secret;
use serde_json::Value;

use super::{Context, resource, to_json};
use crate::{failure::Failure, objects::ResourceAccessConfigurationObject, parameters::Parameters};

/// Returns the current credentials, also of a suspended resource.
///
/// The call creates nothing, and its response is never stored.
pub fn reveal(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    parameters.finish()?;
    let resource = resource::existing(context, id)?;
    if resource.status() != "complete" {
        return Err(Failure::invalid("resource_not_complete", "only a complete resource can be revealed"));
    }
    let credentials = context.account.credentials(&resource)?;
    let field = |(name, secret): (String, Secret)| (name, Value::from(secret.expose()));
    to_json(&ResourceAccessConfigurationObject {
        object: "v2.provisioning.resource_access_configuration",
        resource: id,
        configuration: credentials.into_iter().map(field).collect(),
        created: resource.minted(),
        expires_at: None,
        livemode: resource.details.livemode,
    })
}
