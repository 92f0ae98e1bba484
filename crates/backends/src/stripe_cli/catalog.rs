//! Checks an order against Stripe's catalog: availability, configuration and price.

use domain::name::ServiceRef;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::cli_error::is_field;
use crate::{BackendError, Consent, Order, Refusal};

/// Checks an order against the `data` of `catalog <provider>`.
///
/// Unknown fields and values pass: Stripe checks the order again, and bills nothing that was not confirmed.
///
/// # Errors
/// [`Refusal::ServiceMissing`], [`Refusal::Configuration`], [`Consent::Price`]; [`BackendError::Unavailable`] if it is
/// not a catalog.
pub fn check(data: &Value, order: &Order) -> Result<(), BackendError> {
    let unreadable = || BackendError::Unavailable { why: "Stripe's catalog is not understood".into() };
    let entries: Vec<CatalogEntry> =
        data.get("services").and_then(|list| Vec::deserialize(list).ok()).ok_or_else(unreadable)?;
    let entry = available(&entries, &order.service)?;
    let fields = invalid_fields(entry.configuration_schema.as_ref(), &order.config);
    if !fields.is_empty() {
        return Err(Refusal::Configuration { fields }.into());
    }
    let plan = order.plan.as_ref().map(|plan| available(&entries, plan)).transpose()?;
    let bills =
        entry.bills(&order.config, order.plan.as_ref()) || plan.is_some_and(|plan| plan.bills(&Map::new(), None));
    if bills && !order.paid { Err(Consent::Price.into()) } else { Ok(()) }
}

#[derive(Deserialize)]
struct CatalogEntry {
    availability: Option<String>,
    configuration_schema: Option<Value>,
    pricing: Option<CatalogPricing>,
    service_id: Option<String>,
}

#[derive(Deserialize)]
struct CatalogPricing {
    component: Option<ComponentPricing>,
    #[serde(rename = "paid_pricing")]
    tiers: Option<Vec<PricingTier>>,
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct ComponentPricing {
    options: Option<Vec<PricingOption>>,
}

/// The price under certain plans.
#[derive(Deserialize)]
struct PricingOption {
    is_default: Option<bool>,
    parent_services: Option<Vec<String>>,
    r#type: Option<String>,
}

/// The price of a certain configuration.
#[derive(Deserialize)]
struct PricingTier {
    configuration: Option<Map<String, Value>>,
    r#type: Option<String>,
}

fn available<'a>(entries: &'a [CatalogEntry], service: &ServiceRef) -> Result<&'a CatalogEntry, BackendError> {
    let part = part(service);
    let entry = entries.iter().find(|entry| entry.service_id.as_deref() == Some(part));
    let entry = entry.filter(|entry| entry.availability.as_deref() == Some("available"));
    entry.ok_or_else(|| Refusal::ServiceMissing { service: service.to_string() }.into())
}

impl CatalogEntry {
    fn bills(&self, config: &Map<String, Value>, plan: Option<&ServiceRef>) -> bool {
        let Some(pricing) = &self.pricing else { return false };
        match pricing.r#type.as_deref() {
            Some("paid") => !pricing.is_free_tier(config),
            Some("component") => pricing.component.as_ref().is_some_and(|component| component.bills(plan)),
            _ => false,
        }
    }
}

impl CatalogPricing {
    fn is_free_tier(&self, config: &Map<String, Value>) -> bool {
        let fits = |tier: &&PricingTier| {
            let condition = tier.configuration.as_ref().filter(|condition| !condition.is_empty());
            condition.is_some_and(|condition| condition.iter().all(|(key, value)| config.get(key) == Some(value)))
        };
        let mut matching = self.tiers.iter().flatten().filter(fits).peekable();
        matching.peek().is_some() && matching.all(|tier| tier.r#type.as_deref() == Some("free"))
    }
}

impl ComponentPricing {
    /// If the plan allows both, the free option applies: Stripe bills only what was confirmed.
    fn bills(&self, plan: Option<&ServiceRef>) -> bool {
        let applies = |option: &&PricingOption| match plan {
            Some(plan) => option.parent_services.iter().flatten().any(|parent| parent == part(plan)),
            None => option.is_default == Some(true) || option.parent_services.iter().flatten().next().is_none(),
        };
        let mut options = self.options.iter().flatten().filter(applies).peekable();
        options.peek().is_some() && options.all(|option| option.r#type.as_deref() == Some("paid"))
    }
}

/// Returns the fields that violate the schema, or are missing.
fn invalid_fields(schema: Option<&Value>, config: &Map<String, Value>) -> Vec<String> {
    let Some(schema) = schema.and_then(Value::as_object) else {
        return Vec::new();
    };
    let known = schema.get("properties").and_then(Value::as_object);
    let rule = |name: &str| known.and_then(|known| known.get(name));
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|name| !config.contains_key(*name));
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let invalid = config.iter().filter(|(name, value)| rule(name).map_or(is_closed, |rule| !fits(rule, value)));
    let mut fields: Vec<String> = missing.chain(invalid.map(|(name, _)| name.as_str())).map(field_name).collect();
    fields.sort();
    fields.dedup();
    fields
}

/// Checks type, choice and length. Stripe checks the rest of a schema.
fn fits(rule: &Value, value: &Value) -> bool {
    let limit = |key: &str| rule.get(key).and_then(Value::as_u64);
    let is_type = |name: &Value| match (name.as_str(), value) {
        (Some("array"), value) => value.is_array(),
        (Some("boolean"), value) => value.is_boolean(),
        (Some("integer"), value) => value.is_i64() || value.is_u64(),
        (Some("null"), value) => value.is_null(),
        (Some("number"), value) => value.is_number(),
        (Some("object"), value) => value.is_object(),
        (Some("string"), value) => value.is_string(),
        _ => true,
    };
    let has_type = match rule.get("type") {
        Some(Value::Array(names)) => names.iter().any(is_type),
        Some(name) => is_type(name),
        None => true,
    };
    let is_allowed = rule.get("enum").and_then(Value::as_array).is_none_or(|choices| choices.contains(value));
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let is_long_enough = length.is_none_or(|length| limit("minLength").is_none_or(|least| length >= least));
    let is_short_enough = length.is_none_or(|length| limit("maxLength").is_none_or(|most| length <= most));
    has_type && is_allowed && is_long_enough && is_short_enough
}

fn field_name(name: &str) -> String {
    if is_field(name) { name.to_owned() } else { "a field with an invalid name".to_owned() }
}

fn part(service: &ServiceRef) -> &str {
    service.as_str().split_once('/').map_or("", |(_, part)| part)
}

#[cfg(test)]
mod tests {
    use domain::{money::Cents, name::ProjectName, project::ProjectId};
    use serde_json::json;

    use super::*;

    fn order(service: &str, plan: Option<&str>, config: &Value, paid: bool) -> Order {
        Order {
            id: ProjectId::random().unwrap(),
            name: ProjectName::parse("x").unwrap(),
            service: ServiceRef::parse(service).unwrap(),
            plan: plan.map(|plan| ServiceRef::parse(plan).unwrap()),
            config: config.as_object().unwrap().clone(),
            credentials: Vec::new(),
            cap: Cents::ZERO,
            paid,
            terms_accepted: true,
        }
    }

    /// As recorded, shortened.
    fn catalog() -> Value {
        let free = json!({ "component": null, "paid": null, "paid_pricing": [], "type": "free" });
        let tier = |plan: &str, kind: &str| json!({ "configuration": { "plan": plan }, "type": kind });
        json!({ "services": [
            { "service_id": "memory", "availability": "available",
              "configuration_schema": { "properties": { "plan": { "enum": ["free", "pro"], "type": "string" },
                  "name": { "minLength": 3, "maxLength": 5, "type": "string" } }, "required": ["plan"] },
              "pricing": { "type": "paid", "paid_pricing": [tier("free", "free"), tier("pro", "freeform")] } },
            { "service_id": "metered", "availability": "available", "configuration_schema": {},
              "pricing": { "type": "paid", "paid_pricing": [{ "configuration": null, "type": "freeform" }] } },
            { "service_id": "closed", "availability": "available", "pricing": null,
              "configuration_schema": { "additionalProperties": false, "properties": {}, "type": "object" } },
            { "service_id": "api", "availability": "available", "configuration_schema": null,
              "pricing": { "type": "component", "component": { "options": [
                  { "parent_services": ["launch"], "type": "paid" },
                  { "is_default": true, "parent_services": ["free"], "type": "free" }] } } },
            { "service_id": "free", "availability": "available", "pricing": free },
            { "service_id": "launch", "availability": "available", "pricing": free },
            { "service_id": "paid", "availability": "available", "pricing": { "type": "paid" } },
            { "service_id": "off", "availability": "unavailable", "pricing": free },
        ] })
    }

    #[test]
    fn available_and_free_service_passes() {
        for order in [
            order("x/memory", None, &json!({ "plan": "free", "name": "abcde" }), false),
            order("x/memory", None, &json!({ "plan": "pro" }), true),
            order("x/metered", None, &json!({ "any": 1 }), true),
            order("x/api", Some("x/free"), &json!({}), false),
            order("x/api", None, &json!({}), false),
            order("x/api", Some("x/launch"), &json!({}), true),
            order("x/closed", None, &json!({}), false),
        ] {
            check(&catalog(), &order).unwrap();
        }
    }

    #[test]
    fn billed_service_needs_price_consent() {
        for order in [
            order("x/memory", None, &json!({ "plan": "pro" }), false),
            order("x/metered", None, &json!({}), false),
            order("x/api", Some("x/launch"), &json!({}), false),
            order("x/closed", Some("x/paid"), &json!({}), false),
        ] {
            let error = check(&catalog(), &order).unwrap_err();
            assert!(matches!(error, BackendError::NeedsConsent(Consent::Price)), "{}: {error}", order.service);
        }
    }

    #[test]
    fn invalid_field_is_named() {
        for (service, config, wrong) in [
            ("x/memory", json!({}), "plan"),
            ("x/memory", json!({ "plan": "scale" }), "plan"),
            ("x/memory", json!({ "plan": "free", "name": "ab" }), "name"),
            ("x/memory", json!({ "plan": "free", "name": "abcdef" }), "name"),
            ("x/memory", json!({ "plan": "free", "name": 1234 }), "name"),
            ("x/closed", json!({ "a": 1 }), "a"),
            ("x/closed", json!({ "CANARY": 1 }), "a field with an invalid name"),
        ] {
            let error = check(&catalog(), &order(service, None, &config, true)).unwrap_err();
            let BackendError::Refused(Refusal::Configuration { fields }) = error else { panic!("{error}") };
            assert_eq!(fields, [wrong]);
        }
    }

    #[test]
    fn unavailable_service_is_missing() {
        for order in [
            order("x/none", None, &json!({}), true),
            order("x/off", None, &json!({}), true),
            order("x/api", Some("x/none"), &json!({}), true),
        ] {
            let error = check(&catalog(), &order).unwrap_err();
            assert!(matches!(error, BackendError::Refused(Refusal::ServiceMissing { .. })), "{error}");
        }
        assert!(matches!(
            check(&json!({}), &order("x/api", None, &json!({}), true)),
            Err(BackendError::Unavailable { .. })
        ));
    }
}
