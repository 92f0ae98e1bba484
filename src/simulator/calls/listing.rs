//! The catalog, as lists of providers and services.

use serde_json::Value;

use super::{CATALOGS, Context, answer};
use crate::simulator::{catalog, failure::Failure, page::Page, parameters::Parameters};

pub fn providers(context: &Context<'_>, given: &mut Parameters) -> Result<Value, Failure> {
    let (page, development) = partition("/v2/provisioning/catalog/providers", given)?;
    given.finish()?;
    let providers = catalog::providers().iter().filter(|_| !development);
    let shown: Vec<_> = providers.map(|provider| provider.object(context.livemode)).collect();
    answer(&page.cut(shown.into_iter()))
}

pub fn services(context: &Context<'_>, given: &mut Parameters) -> Result<Value, Failure> {
    let (mut page, development) = partition("/v2/provisioning/catalog/services", given)?;
    let provider = given.text("provider_name")?;
    given.finish()?;
    page.filter("provider_name", provider.as_deref());
    let services = catalog::services().iter().filter(|service| {
        let wanted = provider.as_deref().is_none_or(|name| service.provider_name().eq_ignore_ascii_case(name));
        wanted && !development
    });
    let shown: Vec<_> = services.map(|service| service.object(context.livemode)).collect();
    answer(&page.cut(shown.into_iter()))
}

/// The page, and whether only what is in development is asked for, of which the recording has nothing.
fn partition(path: &'static str, given: &mut Parameters) -> Result<(Page, bool), Failure> {
    let mut page = Page::read(path, given)?;
    page.filter("catalog", given.one_of("catalog", CATALOGS)?.as_deref());
    let development = given.flag("development")?;
    page.filter("development", development.map(|flag| if flag { "true" } else { "false" }));
    Ok((page, development == Some(true)))
}
