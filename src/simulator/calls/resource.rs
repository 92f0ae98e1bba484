//! Resources: from creation to removal.

use serde_json::{Map, Value};

use super::{CATALOGS, Context, answer, livemode};
use crate::{
    backend::simulated::{ApiResource, ApiStatus, Details, Ordered, Outcome, PaymentMethod},
    project::ResourceId,
    simulator::{
        catalog::{self, Provider, Service},
        configuration,
        failure::Failure,
        faults::Fault,
        idempotency,
        objects::ResourceObject,
        parameters::Parameters,
    },
};

pub fn create(context: &Context<'_>, given: &mut Parameters) -> Result<Value, Failure> {
    let (provider, service) = named_service(given)?;
    let configured = given.required_object("configuration")?;
    let details = Details { name: given.text("name")?, ..details(context, given, configured)? };
    given.finish()?;
    configuration::check(as_object(&details.configuration), service.configuration_schema(), "configuration")?;
    if !service.is_free() {
        if context.payment_method == PaymentMethod::Declines {
            return Err(Failure::payment("card_declined", "the payment method was declined"));
        }
        if context.account.is_used_up(&provider.slug)? {
            return Err(Failure::payment("usage_limit_reached", "the provider's usage limit is used up"));
        }
    }
    start(context, provider, service, details)
}

/// What exists at the provider already is not charged for and needs no configuration.
pub fn link(context: &Context<'_>, given: &mut Parameters) -> Result<Value, Failure> {
    let (provider, service) = named_service(given)?;
    let details = details(context, given, Map::new())?;
    given.finish()?;
    start(context, provider, service, details)
}

/// A look; one that sees an interim status takes one of those looks away.
pub fn retrieve(context: &Context<'_>, id: &str, given: &mut Parameters) -> Result<Value, Failure> {
    given.finish()?;
    let resource = context.account.resource(&ResourceId::new(id.to_owned()))?;
    if resource.outcome.polls > 0 {
        context.account.count_poll(&resource)?;
    }
    shown(context, &resource)
}

pub fn update(context: &Context<'_>, id: &str, given: &mut Parameters) -> Result<Value, Failure> {
    let resource = existing(context, id)?;
    let service_ref = given.text("service_ref")?.unwrap_or_else(|| resource.service_ref().to_owned());
    let configured = given.object("configuration")?;
    let catalog = given.one_of("catalog", CATALOGS)?;
    given.finish()?;
    let provider = catalog::provider_of_slug(resource.provider()).ok_or_else(|| not_in_catalog("provider"))?;
    let now = provider.service(resource.service_ref()).ok_or_else(|| not_in_catalog("service_ref"))?;
    let next = provider.service(&service_ref).ok_or_else(|| not_in_catalog("service_ref"))?;
    if !now.may_become(&service_ref) {
        let what = "the catalog does not allow this update";
        return Err(Failure::parameter("parameter_invalid", "service_ref", what));
    }
    let configured = configured.map_or_else(|| resource.details.configuration.clone(), Value::Object);
    configuration::check(as_object(&configured), next.configuration_schema(), "configuration")?;
    let details = Details {
        configuration: configured,
        catalog: catalog.unwrap_or_else(|| resource.details.catalog.clone()),
        ..resource.details.clone()
    };
    if !Fault::stops_the_provider(context.fault) {
        context.account.set_service(&resource, &format!("{}/{service_ref}", provider.slug))?;
    }
    settle(context, &resource, &details)
}

/// The old credentials die at once, also when the status says `pending` for a while.
pub fn rotate(context: &Context<'_>, id: &str, given: &mut Parameters) -> Result<Value, Failure> {
    given.finish()?;
    let resource = existing(context, id)?;
    if matches!(resource.outcome.status, ApiStatus::NeedsInformation) || resource.outcome.polls > 0 {
        return Err(Failure::invalid("resource_not_complete", "only a complete resource can be rotated"));
    }
    if !Fault::stops_the_provider(context.fault) {
        context.account.rotate(&resource)?;
    }
    settle(context, &resource, &resource.details)
}

/// Removing what is removed says so again.
pub fn remove(context: &Context<'_>, id: &str, given: &mut Parameters) -> Result<Value, Failure> {
    given.finish()?;
    let resource = context.account.resource(&ResourceId::new(id.to_owned()))?;
    if resource.is_removed() && resource.status() == "removed" {
        return shown(context, &resource);
    }
    if !Fault::stops_the_provider(context.fault) {
        context.account.remove(&resource)?;
    }
    settle(context, &resource, &resource.details)
}

/// The provider keeps it running; Stripe knows it no more.
pub fn unlink(context: &Context<'_>, id: &str, given: &mut Parameters) -> Result<Value, Failure> {
    given.finish()?;
    let resource = existing(context, id)?;
    context.account.unlink(&resource)?;
    shown(context, &resource)
}

pub fn submit(context: &Context<'_>, id: &str, given: &mut Parameters) -> Result<Value, Failure> {
    let information = given.required_object("submitted_information")?;
    given.finish()?;
    let resource = existing(context, id)?;
    let Some(wanted) = &resource.outcome.wanted else {
        return Err(Failure::invalid("nothing_to_submit", "the resource needs no information"));
    };
    configuration::check(&information, wanted, "submitted_information")?;
    settle(context, &resource, &resource.details)
}

/// A resource that is not removed.
pub fn existing(context: &Context<'_>, id: &str) -> Result<ApiResource, Failure> {
    let resource = context.account.resource(&ResourceId::new(id.to_owned()))?;
    if resource.is_removed() { Err(Failure::missing("resource")) } else { Ok(resource) }
}

/// The parameters that say what is meant.
fn named_service(given: &mut Parameters) -> Result<(&'static Provider, &'static Service), Failure> {
    let provider = given.required_text("provider")?;
    let service_ref = given.required_text("service_ref")?;
    let provider = catalog::provider(&provider).ok_or_else(|| not_in_catalog("provider"))?;
    let service = provider.service(&service_ref).ok_or_else(|| not_in_catalog("service_ref"))?;
    if !service.is_available() {
        return Err(Failure::parameter("service_unavailable", "service_ref", "the service is not available"));
    }
    Ok((provider, service))
}

/// The parameters that say where it belongs.
fn details(
    context: &Context<'_>,
    given: &mut Parameters,
    configuration: Map<String, Value>,
) -> Result<Details, Failure> {
    let project = given.text("project")?;
    if let Some(project) = &project
        && !context.account.has_project(project)?
    {
        return Err(Failure::parameter("resource_missing", "project", "there is no such project"));
    }
    Ok(Details {
        project,
        name: None,
        catalog: given.one_of("catalog", CATALOGS)?.unwrap_or_else(|| "prod".to_owned()),
        environment: given.one_of("environment", &["dev", "prod"])?.unwrap_or_else(|| "dev".to_owned()),
        livemode: livemode(context, given)?,
        configuration: Value::Object(configuration),
    })
}

fn start(context: &Context<'_>, provider: &Provider, service: &Service, details: Details) -> Result<Value, Failure> {
    if !context.account.is_connected(&provider.id)? {
        let what = "this provider is not connected; make a provider connection request";
        return Err(Failure::parameter("provider_not_connected", "provider", what));
    }
    let resource = context.account.create(
        &Ordered {
            orders: idempotency::orders(context.idempotency_key)?,
            provider: &provider.slug,
            service: &format!("{}/{}", provider.slug, service.service_id()),
            credentials: &service.credentials(),
            details,
        },
        &Fault::outcome(context.fault),
    )?;
    shown(context, &resource)
}

/// Remembers what came of it, which is up to the weather, and shows it.
fn settle(context: &Context<'_>, resource: &ApiResource, details: &Details) -> Result<Value, Failure> {
    shown(context, &context.account.settle(resource, details, &Fault::outcome(context.fault))?)
}

fn shown(context: &Context<'_>, resource: &ApiResource) -> Result<Value, Failure> {
    let Outcome { message, wanted, .. } = &resource.outcome;
    let provider = catalog::provider_of_slug(resource.provider());
    answer(&ResourceObject {
        id: resource.id().as_str(),
        object: "v2.provisioning.resource",
        provider: provider.map_or(resource.provider(), |provider| &provider.id),
        service_ref: resource.service_ref(),
        status: Fault::interim(context.fault).unwrap_or(resource.status()),
        environment: &resource.details.environment,
        livemode: resource.details.livemode,
        created: resource.created(),
        name: resource.details.name.as_deref(),
        catalog: &resource.details.catalog,
        error_message: message.as_deref(),
        needs_information_schema: wanted.as_ref(),
        user_message: None,
    })
}

/// Null has no fields.
fn as_object(value: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

fn not_in_catalog(parameter: &str) -> Failure {
    Failure::parameter("resource_missing", parameter, "the catalog has no such thing")
}
