//! Stripe's catalog: finds the provider and service that the registry names, and checks the configuration.

use domain::name::ServiceRef;
use serde_json::{Map, Value};

use super::{
    StripeApi,
    failure::{before_order, field, unexpected},
    http::is_id,
    wire::{CatalogProvider, CatalogService},
};
use crate::{BackendError, Consent, Refusal};

/// The services of one provider.
pub struct ProviderCatalog {
    /// The id of the provider.
    pub(super) provider: String,
    pub(super) services: Vec<CatalogService>,
}

/// A service that can be ordered, by Stripe's names.
pub struct OrderableService {
    /// The id of the provider.
    pub provider: String,
    pub service_ref: String,
}

impl StripeApi {
    /// Gets the catalog of a service's provider, and notes its id under the registry's name.
    pub(super) async fn catalog_for(&self, service: &ServiceRef) -> Result<ProviderCatalog, BackendError> {
        let providers = self.http.list::<CatalogProvider>("/v2/provisioning/catalog/providers", &[]).await;
        let mut providers = providers.map_err(before_order)?.into_iter();
        let slug = service.provider();
        let provider = providers
            .find(|provider| normalized(&provider.name) == normalized(slug))
            .ok_or_else(|| missing(service))?;
        if !is_id(&provider.id) {
            return Err(unexpected("id", ""));
        }
        self.notes.put_text(&format!("provider/{slug}"), &provider.id).await?;
        let filter = [("provider_name", provider.name.as_str())];
        let services = self.http.list::<CatalogService>("/v2/provisioning/catalog/services", &filter).await;
        Ok(ProviderCatalog { provider: provider.id, services: services.map_err(before_order)? })
    }
}

impl ProviderCatalog {
    /// Finds a service of the registry that can be ordered with this configuration.
    pub fn find(
        &self,
        service: &ServiceRef,
        config: &Map<String, Value>,
        paid: bool,
    ) -> Result<OrderableService, BackendError> {
        let (_, service_id) = service.as_str().split_once('/').ok_or_else(|| missing(service))?;
        let mut entries = self.services.iter();
        let entry = entries.find(|entry| entry.provider == self.provider && entry.service_id == service_id);
        let entry = entry.filter(|entry| entry.availability == "available").ok_or_else(|| missing(service))?;
        if !paid && entry.pricing.as_ref().is_some_and(|pricing| pricing.kind == "paid") {
            return Err(Consent::Price.into());
        }
        let fields = invalid_fields(config, entry.configuration_schema.as_ref());
        if !fields.is_empty() {
            return Err(Refusal::Configuration { fields }.into());
        }
        Ok(OrderableService { provider: self.provider.clone(), service_ref: entry.service_id.clone() })
    }
}

fn missing(service: &ServiceRef) -> Refusal {
    Refusal::ServiceMissing { service: service.to_string() }
}

/// Removes the differences between spellings such as `Hugging Face` and `hugging-face`.
fn normalized(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns the fields of a configuration that certainly violate its schema. Stripe decides about everything else.
fn invalid_fields(config: &Map<String, Value>, schema: Option<&Value>) -> Vec<String> {
    let none = Map::new();
    let schema = schema.and_then(Value::as_object).unwrap_or(&none);
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let has_default = |name: &str| properties.get(name).is_some_and(|rule| rule.get("default").is_some());
    let missing = required.filter(|name| !config.contains_key(*name) && !has_default(name));
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let invalid = config.iter().filter(|(name, value)| match properties.get(*name) {
        None => is_closed,
        Some(rule) => rule.get("enum").and_then(Value::as_array).is_some_and(|allowed| !allowed.contains(value)),
    });
    missing.chain(invalid.map(|(name, _)| name.as_str())).map(field).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_certain_violations_are_invalid_fields() {
        let schema = json!({ "additionalProperties": false, "required": ["name", "size", "title"], "properties": {
            "name": { "type": "string" }, "size": { "enum": ["s", "m"] }, "title": { "default": "t" },
        } });
        let names = |config: Value| invalid_fields(config.as_object().unwrap(), Some(&schema)).join(" ");
        assert_eq!(names(json!({ "name": "a", "size": "m" })), "");
        assert_eq!(names(json!({ "name": "a" })), "size");
        assert_eq!(names(json!({ "name": "a", "size": "xl", "colour": 1 })), "colour size");
        assert!(
            invalid_fields(&Map::new(), None).is_empty() && invalid_fields(&Map::new(), Some(&json!({}))).is_empty()
        );
    }

    #[test]
    fn names_are_compared_normalized() {
        assert_eq!(normalized("Hugging Face"), normalized("hugging-face"));
        assert_ne!(normalized("Neon"), normalized("Neon Two"));
    }
}
