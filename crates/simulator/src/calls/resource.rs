//! Resource calls, from creation to removal.

use backends::simulated::{ApiResource, ApiStatus, Details, Ordered, Outcome, PaymentMethod};
use domain::project::ResourceId;
use serde_json::{Map, Value};

use super::{CATALOGS, Context, livemode, to_json};
use crate::{
    catalog::{self, Provider, Service},
    configuration,
    failure::Failure,
    faults::Fault,
    idempotency,
    objects::ResourceObject,
    page::Page,
    parameters::Parameters,
};

/// Creates a resource.
pub fn create(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let (provider, service) = named_service(parameters)?;
    let configuration = parameters.required_object("configuration")?;
    let details = Details { name: parameters.text("name")?, ..details(context, parameters, configuration)? };
    parameters.finish()?;
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

/// Links an existing resource of the provider, without payment or configuration.
pub fn link(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let (provider, service) = named_service(parameters)?;
    let details = details(context, parameters, Map::new())?;
    parameters.finish()?;
    start(context, provider, service, details)
}

/// Retrieves a resource and counts down its simulated pending polls.
pub fn retrieve(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    parameters.finish()?;
    let resource = context.account.resource(&ResourceId::new(id.to_owned()))?;
    if resource.outcome.polls > 0 {
        context.account.count_poll(&resource)?;
    }
    render(context, &resource)
}

/// Lists the resources, also those that were removed. Stripe does not document this list; other programs use it.
pub fn list(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let mut page = Page::parse("/v2/provisioning/resources", parameters)?;
    let project = parameters.text("project")?;
    parameters.finish()?;
    page.filter("project", project.as_deref());
    let mut resources = context.account.resources()?;
    resources.retain(|resource| project.is_none() || resource.details.project == project);
    let rendered = resources.iter().map(|resource| render(context, resource)).collect::<Result<Vec<_>, _>>()?;
    to_json(&page.slice(rendered.into_iter()))
}

/// Updates the service, configuration or catalog of a resource.
pub fn update(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    let resource = existing(context, id)?;
    let service_ref = parameters.text("service_ref")?.unwrap_or_else(|| resource.service_ref().to_owned());
    let configuration = parameters.object("configuration")?;
    let catalog = parameters.one_of("catalog", CATALOGS)?;
    parameters.finish()?;
    let provider = catalog::provider_of_slug(resource.provider()).ok_or_else(|| not_in_catalog("provider"))?;
    let now = provider.service(resource.service_ref()).ok_or_else(|| not_in_catalog("service_ref"))?;
    let next = provider.service(&service_ref).ok_or_else(|| not_in_catalog("service_ref"))?;
    if !now.can_update_to(&service_ref) {
        let what = "the catalog does not allow this update";
        return Err(Failure::parameter("parameter_invalid", "service_ref", what));
    }
    let configuration = configuration.map_or_else(|| resource.details.configuration.clone(), Value::Object);
    configuration::check(as_object(&configuration), next.configuration_schema(), "configuration")?;
    let details = Details {
        configuration,
        catalog: catalog.unwrap_or_else(|| resource.details.catalog.clone()),
        ..resource.details.clone()
    };
    if !Fault::prevents_effect(context.fault) {
        context.account.set_service(&resource, &format!("{}/{service_ref}", provider.slug))?;
    }
    record_outcome(context, &resource, &details)
}

/// Rotates the credentials. The old ones stop working at once, even while the status is `pending`.
pub fn rotate(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    parameters.finish()?;
    let resource = existing(context, id)?;
    if matches!(resource.outcome.status, ApiStatus::NeedsInformation) || resource.outcome.polls > 0 {
        return Err(Failure::invalid("resource_not_complete", "only a complete resource can be rotated"));
    }
    if !Fault::prevents_effect(context.fault) {
        context.account.rotate(&resource)?;
    }
    record_outcome(context, &resource, &resource.details)
}

/// Removes a resource. A repeated call returns the removed resource.
pub fn remove(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    parameters.finish()?;
    let resource = context.account.resource(&ResourceId::new(id.to_owned()))?;
    if resource.is_removed() && resource.status() == "removed" {
        return render(context, &resource);
    }
    if !Fault::prevents_effect(context.fault) {
        context.account.remove(&resource)?;
    }
    record_outcome(context, &resource, &resource.details)
}

/// Unlinks a resource, which stays at the provider.
pub fn unlink(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    parameters.finish()?;
    let resource = existing(context, id)?;
    context.account.unlink(&resource)?;
    render(context, &resource)
}

/// Submits the information that a resource needs.
pub fn submit(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    let information = parameters.required_object("submitted_information")?;
    parameters.finish()?;
    let resource = existing(context, id)?;
    let Some(wanted) = &resource.outcome.wanted else {
        return Err(Failure::invalid("nothing_to_submit", "the resource needs no information"));
    };
    configuration::check(&information, wanted, "submitted_information")?;
    record_outcome(context, &resource, &resource.details)
}

/// Finds a resource that is not removed.
pub fn existing(context: &Context<'_>, id: &str) -> Result<ApiResource, Failure> {
    let resource = context.account.resource(&ResourceId::new(id.to_owned()))?;
    if resource.is_removed() { Err(Failure::missing("resource")) } else { Ok(resource) }
}

/// Takes the parameters that name a service.
fn named_service(parameters: &mut Parameters) -> Result<(&'static Provider, &'static Service), Failure> {
    let provider = parameters.required_text("provider")?;
    let service_ref = parameters.required_text("service_ref")?;
    let provider = catalog::provider(&provider).ok_or_else(|| not_in_catalog("provider"))?;
    let service = provider.service(&service_ref).ok_or_else(|| not_in_catalog("service_ref"))?;
    if !service.is_available() {
        return Err(Failure::parameter("service_unavailable", "service_ref", "the service is not available"));
    }
    Ok((provider, service))
}

/// Takes the parameters that place a resource.
fn details(
    context: &Context<'_>,
    parameters: &mut Parameters,
    configuration: Map<String, Value>,
) -> Result<Details, Failure> {
    let project = parameters.text("project")?;
    if let Some(project) = &project
        && !context.account.has_project(project)?
    {
        return Err(Failure::parameter("resource_missing", "project", "there is no such project"));
    }
    Ok(Details {
        project,
        name: None,
        catalog: parameters.one_of("catalog", CATALOGS)?.unwrap_or_else(|| "prod".to_owned()),
        environment: parameters.one_of("environment", &["dev", "prod"])?.unwrap_or_else(|| "dev".to_owned()),
        livemode: livemode(context, parameters)?,
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
    render(context, &resource)
}

/// Records the outcome, which depends on planned faults, and renders the resource.
fn record_outcome(context: &Context<'_>, resource: &ApiResource, details: &Details) -> Result<Value, Failure> {
    render(context, &context.account.settle(resource, details, &Fault::outcome(context.fault))?)
}

fn render(context: &Context<'_>, resource: &ApiResource) -> Result<Value, Failure> {
    let Outcome { message, wanted, .. } = &resource.outcome;
    let provider = catalog::provider_of_slug(resource.provider());
    to_json(&ResourceObject {
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

/// Returns the fields of an object; null has none.
fn as_object(value: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

fn not_in_catalog(parameter: &str) -> Failure {
    Failure::parameter("resource_missing", parameter, "the catalog has no such entry")
}
