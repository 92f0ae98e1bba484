//! The recorded catalog, and what the facts say of a service beyond it.

use serde_json::{Value, json};

use crate::weather::Weather;

/// The rows on offer right now.
pub fn rows(weather: &Weather) -> Vec<Value> {
    let catalog: Value = serde_json::from_str(RECORDED).unwrap();
    let gone = weather.find("service_gone").map(|entry| entry["service"].as_str().unwrap().to_owned());
    let rows = catalog["data"]["services"].as_array().unwrap().clone();
    rows.into_iter().filter(|row| gone.as_deref() != Some(reference(row).as_str())).collect()
}

pub fn find(weather: &Weather, service: &str) -> Option<Value> {
    rows(weather).into_iter().find(|row| reference(row) == service)
}

pub fn knows_provider(provider: &str) -> bool {
    rows(&Weather::fair()).iter().any(|row| slug(row) == provider)
}

/// As commands name it: `exa/api`.
pub fn reference(row: &Value) -> String {
    format!("{}/{}", slug(row), row["service_id"].as_str().unwrap())
}

/// As commands name the provider: `exa`.
pub fn slug(row: &Value) -> String {
    row["provider_name"].as_str().unwrap().to_lowercase()
}

/// The plans of which one must be there first; none if any will do without.
pub fn parents(row: &Value) -> Vec<String> {
    let options = row["pricing"]["component"]["options"].as_array().into_iter().flatten();
    let parents = options.flat_map(|option| option["parent_services"].as_array().unwrap());
    let mut plans: Vec<String> = parents.map(|plan| format!("{}/{}", slug(row), plan.as_str().unwrap())).collect();
    let service = reference(row);
    // The catalog lists a free option of these without a parent; in live use they wanted one.
    plans.extend(SEEN_TO_WANT_A_PLAN.iter().filter(|(of, _)| *of == service).map(|(_, plan)| (*plan).to_owned()));
    plans.sort();
    plans.dedup();
    plans
}

/// What is billed for a row with that configuration and below those plans; `null` when nothing is.
pub fn price(row: &Value, config: &Value, plans: &[String], by_tier: bool) -> Value {
    let pricing = &row["pricing"];
    match pricing["type"].as_str().unwrap() {
        "paid" => {
            let tiers = pricing["paid_pricing"].as_array().unwrap();
            let chosen = |tier: &&Value| {
                let wanted = tier["configuration"].as_object();
                wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| config[key] == *value))
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

/// What a configuration gets wrong by the row's schema: a list of `{field, message}`.
pub fn invalid_fields(row: &Value, config: &Value) -> Vec<Value> {
    let schema = &row["configuration_schema"];
    let mut wrong = Vec::new();
    let mut say = |field: &str, message: &str| wrong.push(json!({ "field": field, "message": message }));
    let Some(fields) = config.as_object() else {
        say("", "must be an object");
        return wrong;
    };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            say(required, "is required");
        }
    }
    for (field, value) in fields {
        let rule = &schema["properties"][field];
        let Some(text) = value.as_str() else {
            say(field, "must be a string"); // as every field of the recorded catalog is
            continue;
        };
        let length = text.chars().count() as u64;
        if rule.is_null() && schema["additionalProperties"] == false {
            say(field, "is not a known field");
        } else if rule["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
            say(field, "is not one of the allowed values");
        } else if rule["minLength"].as_u64().is_some_and(|least| length < least) {
            say(field, "is too short");
        } else if rule["maxLength"].as_u64().is_some_and(|most| length > most) {
            say(field, "is too long");
        }
    }
    wrong
}

/// The provider's own names for the credentials of a service. They are not in the catalog.
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

const SEEN_TO_WANT_A_PLAN: [(&str, &str); 3] =
    [("exa/api", "exa/free"), ("firecrawl/api", "firecrawl/free"), ("openrouter/api", "openrouter/pay_as_you_go")];

/// The same record as the simulator has, whose licence stands beside it.
const RECORDED: &str = include_str!("../../src/simulator/catalog-0.46.json");
