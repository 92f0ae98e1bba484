//! The recorded catalog, and facts about services that it does not contain.

use serde_json::{Value, json};

use crate::faults::Faults;

/// Returns the rows of the catalog, without a service that a fault removes.
pub fn rows(faults: &Faults) -> Vec<Value> {
    let catalog: Value = serde_json::from_str(RECORDED).unwrap();
    let removed = faults.find("service_gone").map(|entry| entry["service"].as_str().unwrap().to_owned());
    let rows = catalog["data"]["services"].as_array().unwrap().clone();
    rows.into_iter().filter(|row| removed.as_deref() != Some(reference(row).as_str())).collect()
}

pub fn find(faults: &Faults, service: &str) -> Option<Value> {
    rows(faults).into_iter().find(|row| reference(row) == service)
}

pub fn knows_provider(provider: &str) -> bool {
    rows(&Faults::none()).iter().any(|row| slug(row) == provider)
}

/// Returns the service as commands name it: `exa/api`.
pub fn reference(row: &Value) -> String {
    format!("{}/{}", slug(row), row["service_id"].as_str().unwrap())
}

/// Returns the provider as commands name it: `exa`.
pub fn slug(row: &Value) -> String {
    row["provider_name"].as_str().unwrap().to_lowercase()
}

/// Returns the plans that a service accepts as its parent; empty if it needs none.
pub fn parents(row: &Value) -> Vec<String> {
    let options = row["pricing"]["component"]["options"].as_array().into_iter().flatten();
    let parents = options.flat_map(|option| option["parent_services"].as_array().unwrap());
    let mut plans: Vec<String> = parents.map(|plan| format!("{}/{}", slug(row), plan.as_str().unwrap())).collect();
    let service = reference(row);
    // The catalog lists a free option of these without a parent; in live use they required one.
    plans.extend(REQUIRE_A_PLAN.iter().filter(|(child, _)| *child == service).map(|(_, plan)| (*plan).to_owned()));
    plans.sort();
    plans.dedup();
    plans
}

/// Returns the price of a row with that configuration and under those plans; `null` if it is free.
pub fn price(row: &Value, config: &Value, plans: &[String], by_tier: bool) -> Value {
    let pricing = &row["pricing"];
    match pricing["type"].as_str().unwrap() {
        "paid" => {
            let tiers = pricing["paid_pricing"].as_array().unwrap();
            let chosen = |tier: &&Value| {
                let conditions = tier["configuration"].as_object();
                conditions.is_some_and(|fields| fields.iter().all(|(key, value)| config[key] == *value))
            };
            let tier = tiers.iter().find(chosen).or(tiers.iter().find(|tier| tier["is_default"] == true));
            let tier = tier.or(tiers.first()).unwrap();
            if by_tier && tier["type"] == "free" { Value::Null } else { tier.clone() }
        }
        "component" => {
            let options = pricing["component"]["options"].as_array().unwrap();
            let below = |option: &&Value| {
                let mut parents = option["parent_services"].as_array().unwrap().iter().filter_map(Value::as_str);
                parents.any(|parent| plans.contains(&format!("{}/{parent}", slug(row))))
            };
            options.iter().find(below).map_or(Value::Null, |option| option["paid"].clone())
        }
        _ => Value::Null,
    }
}

/// Validates a configuration against the row's schema; returns a list of `{field, message}`.
pub fn invalid_fields(row: &Value, config: &Value) -> Vec<Value> {
    let schema = &row["configuration_schema"];
    let mut invalid = Vec::new();
    let mut report = |field: &str, message: &str| invalid.push(json!({ "field": field, "message": message }));
    let Some(fields) = config.as_object() else {
        report("", "must be an object");
        return invalid;
    };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            report(required, "is required");
        }
    }
    for (field, value) in fields {
        let rule = &schema["properties"][field];
        let Some(text) = value.as_str() else {
            report(field, "must be a string"); // as every field of the recorded catalog is
            continue;
        };
        let length = text.chars().count() as u64;
        if rule.is_null() && schema["additionalProperties"] == false {
            report(field, "is not a known field");
        } else if rule["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
            report(field, "is not one of the allowed values");
        } else if rule["minLength"].as_u64().is_some_and(|least| length < least) {
            report(field, "is too short");
        } else if rule["maxLength"].as_u64().is_some_and(|most| length > most) {
            report(field, "is too long");
        }
    }
    invalid
}

/// Returns the provider's names for the credentials of a service, which the catalog does not contain.
pub fn suffixes(service: &str) -> &'static [&'static str] {
    match service {
        "agentmail/api" => &["AGENTMAIL_API_KEY"],
        "browserbase/project" => &["BROWSERBASE_API_KEY", "BROWSERBASE_PROJECT_ID"],
        "firecrawl/api" => &["API_KEY", "API_BASE_URL"],
        "neon/postgres" => &["CONNECTION_STRING", "PROJECT_ID"],
        "supermemory/memory" => &["API_KEY", "PROJECT_ID"],
        "upstash/redis" => &["ENDPOINT", "PASSWORD", "REST_URL", "REST_TOKEN"],
        _ => &["API_KEY"],
    }
}

const REQUIRE_A_PLAN: [(&str, &str); 3] =
    [("exa/api", "exa/free"), ("firecrawl/api", "firecrawl/free"), ("openrouter/api", "openrouter/pay_as_you_go")];

/// The simulator's copy of the catalog; its licence is in the same folder.
const RECORDED: &str = include_str!("../../crates/simulator/src/catalog-0.46.json");
