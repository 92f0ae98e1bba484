//! Lists of the catalog's providers and services.

use serde_json::Value;

use super::{CATALOGS, Context, to_json};
use crate::{catalog, failure::Failure, page::Page, parameters::Parameters};

/// Lists the providers.
pub fn providers(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let (page, development) = partition("/v2/provisioning/catalog/providers", parameters)?;
    parameters.finish()?;
    let providers = catalog::providers().iter().filter(|_| !development);
    let objects: Vec<_> = providers.map(|provider| provider.object(context.livemode)).collect();
    to_json(&page.slice(objects.into_iter()))
}

/// Lists the services.
pub fn services(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let (mut page, development) = partition("/v2/provisioning/catalog/services", parameters)?;
    let provider = parameters.text("provider_name")?;
    parameters.finish()?;
    page.filter("provider_name", provider.as_deref());
    let services = catalog::services().iter().filter(|service| {
        let matches = provider.as_deref().is_none_or(|name| service.provider_name().eq_ignore_ascii_case(name));
        matches && !development
    });
    let objects: Vec<_> = services.map(|service| service.object(context.livemode)).collect();
    to_json(&page.slice(objects.into_iter()))
}

/// Parses the page and whether only services in development are requested.
///
/// The recorded catalog has none in development.
fn partition(path: &'static str, parameters: &mut Parameters) -> Result<(Page, bool), Failure> {
    let mut page = Page::parse(path, parameters)?;
    page.filter("catalog", parameters.one_of("catalog", CATALOGS)?.as_deref());
    let development = parameters.flag("development")?;
    page.filter("development", development.map(|flag| if flag { "true" } else { "false" }));
    Ok((page, development == Some(true)))
}
