//! What Stripe can provision: a provider and a service found by the registry's names for them, and whether the
//! registry's configuration fits.

use serde_json::{Map, Value};

use super::{
    StripeApi,
    failure::{before_the_order, field, unexpected},
    http::is_id,
    wire::{CatalogService, Provider},
};
use crate::{
    backend::{BackendError, Consent, Refusal},
    name::ServiceRef,
};

/// What one provider has to offer.
pub struct ProviderCatalog {
    /// The id of the provider.
    pub(super) provider: String,
    pub(super) rows: Vec<CatalogService>,
}

/// A service that can be ordered, by Stripe's names.
pub struct Found {
    /// The id of the provider.
    pub provider: String,
    pub service_ref: String,
}

impl StripeApi {
    /// What the provider of a service of the registry has to offer. Its id is remembered under the registry's name.
    pub(super) async fn catalog_for(&self, service: &ServiceRef) -> Result<ProviderCatalog, BackendError> {
        let providers = self.http.list::<Provider>("/v2/provisioning/catalog/providers", &[]).await;
        let mut providers = providers.map_err(before_the_order)?.into_iter();
        let slug = service.provider();
        let provider = providers.find(|provider| bare(&provider.name) == bare(slug)).ok_or_else(|| missing(service))?;
        if !is_id(&provider.id) {
            return Err(unexpected("id", ""));
        }
        self.notes.note_text(&format!("provider/{slug}"), &provider.id).await?;
        let filter = [("provider_name", provider.name.as_str())];
        let rows = self.http.list::<CatalogService>("/v2/provisioning/catalog/services", &filter).await;
        Ok(ProviderCatalog { provider: provider.id, rows: rows.map_err(before_the_order)? })
    }
}

impl ProviderCatalog {
    /// The row that a service of the registry means, if it can be had so.
    pub fn find(&self, service: &ServiceRef, config: &Map<String, Value>, paid: bool) -> Result<Found, BackendError> {
        let (_, service_id) = service.as_str().split_once('/').ok_or_else(|| missing(service))?;
        let mut rows = self.rows.iter();
        let row = rows.find(|row| row.provider == self.provider && row.service_id == service_id);
        let row = row.filter(|row| row.availability == "available").ok_or_else(|| missing(service))?;
        if !paid && row.pricing.as_ref().is_some_and(|pricing| pricing.kind == "paid") {
            return Err(Consent::Price.into());
        }
        let fields = misfits(config, row.configuration_schema.as_ref());
        if !fields.is_empty() {
            return Err(Refusal::Configuration { fields }.into());
        }
        Ok(Found { provider: self.provider.clone(), service_ref: row.service_id.clone() })
    }
}

fn missing(service: &ServiceRef) -> Refusal {
    Refusal::ServiceMissing { service: service.to_string() }
}

/// What people write in several ways comes to the same: `Hugging Face`, `hugging-face`.
fn bare(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The names under which a configuration is not what its schema wants, as far as that is certain: Stripe has the last
/// word on everything else.
fn misfits(config: &Map<String, Value>, schema: Option<&Value>) -> Vec<String> {
    let none = Map::new();
    let schema = schema.and_then(Value::as_object).unwrap_or(&none);
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let has_default = |name: &str| properties.get(name).is_some_and(|rule| rule.get("default").is_some());
    let missing = required.filter(|name| !config.contains_key(*name) && !has_default(name));
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let odd = config.iter().filter(|(name, value)| match properties.get(*name) {
        None => is_closed,
        Some(rule) => rule.get("enum").and_then(Value::as_array).is_some_and(|words| !words.contains(value)),
    });
    missing.chain(odd.map(|(name, _)| name.as_str())).map(field).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_certain_is_a_misfit() {
        let schema = json!({ "additionalProperties": false, "required": ["name", "size", "title"], "properties": {
            "name": { "type": "string" }, "size": { "enum": ["s", "m"] }, "title": { "default": "t" },
        } });
        let names = |config: Value| misfits(config.as_object().unwrap(), Some(&schema)).join(" ");
        assert_eq!(names(json!({ "name": "a", "size": "m" })), "");
        assert_eq!(names(json!({ "name": "a" })), "size");
        assert_eq!(names(json!({ "name": "a", "size": "xl", "colour": 1 })), "colour size");
        assert!(misfits(&Map::new(), None).is_empty() && misfits(&Map::new(), Some(&json!({}))).is_empty());
    }

    #[test]
    fn names_are_compared_bare() {
        assert_eq!(bare("Hugging Face"), bare("hugging-face"));
        assert_ne!(bare("Neon"), bare("Neon Two"));
    }
}
