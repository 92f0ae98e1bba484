//! The recorded excerpt of Stripe's catalog, and the credentials of its services.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A row of the catalog.
pub struct Service {
    row: Map<String, Value>,
}

/// A provider, assembled from its rows.
pub struct Provider {
    pub id: String,
    /// The display name: `OpenRouter`.
    pub name: String,
    /// The name in the simulated account: `openrouter`.
    pub slug: String,
    categories: Vec<String>,
    configuration_schema: Value,
}

/// Returns every provider, in the order of the catalog.
pub fn providers() -> &'static [Provider] {
    &CATALOG.providers
}

/// Returns every service, in the order of the catalog.
pub fn services() -> &'static [Service] {
    &CATALOG.services
}

/// Finds a provider by its id, or by its name in any case.
pub fn provider(word: &str) -> Option<&'static Provider> {
    let named = |provider: &&Provider| provider.name.eq_ignore_ascii_case(word) || provider.slug == word;
    providers().iter().find(|provider| provider.id == word).or_else(|| providers().iter().find(named))
}

/// Finds a provider by its slug.
pub fn provider_of_slug(slug: &str) -> Option<&'static Provider> {
    providers().iter().find(|provider| provider.slug == slug)
}

impl Provider {
    /// Finds the service that a `service_ref` names.
    pub fn service(&self, service_ref: &str) -> Option<&'static Service> {
        services().iter().find(|service| service.provider() == self.id && service.service_id() == service_ref)
    }

    /// Returns the id of its connection. One account has at most one.
    pub fn connection(&self) -> String {
        format!("prvcn_{}", self.id.trim_start_matches("prvdr_"))
    }

    /// Returns the API object.
    pub fn object(&self, livemode: bool) -> Value {
        json!({
            "id": self.id,
            "object": "v2.provisioning.provider",
            "name": self.name,
            "description": format!("{}, from the recorded catalog", self.name),
            "categories": self.categories,
            "capabilities": [],
            "configuration_schema": self.configuration_schema,
            "deep_link_purposes": [],
            "development": false,
            "livemode": livemode,
            "created": RECORDED,
            "llm_context": null,
            "tos_url": null,
            "privacy_policy_url": null,
            "website_url": null,
        })
    }
}

impl Service {
    pub fn provider(&self) -> &str {
        self.text("provider")
    }

    pub fn provider_name(&self) -> &str {
        self.text("provider_name")
    }

    pub fn service_id(&self) -> &str {
        self.text("service_id")
    }

    pub fn is_free(&self) -> bool {
        self.row.get("pricing").and_then(|pricing| pricing.get("type")).is_some_and(|kind| kind == "free")
    }

    pub fn is_available(&self) -> bool {
        self.text("availability") == "available"
    }

    pub fn configuration_schema(&self) -> &Value {
        self.row.get("configuration_schema").unwrap_or(&Value::Null)
    }

    /// Returns whether a resource of this service may be updated to another one.
    pub fn can_update_to(&self, service_ref: &str) -> bool {
        let words = self.row.get("updateable_to").and_then(Value::as_array).into_iter().flatten();
        service_ref == self.service_id() || words.filter_map(Value::as_str).any(|word| word == service_ref)
    }

    /// Returns the names of its credentials.
    pub fn credentials(&self) -> Vec<String> {
        let names = CREDENTIALS
            .iter()
            .find(|(provider, service, _)| *provider == self.provider_name() && *service == self.service_id())
            .map_or(&["API_KEY"][..], |(.., names)| names);
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Returns the API object: the recorded row without the provider's schema.
    pub fn object(&self, livemode: bool) -> Value {
        let mut row = self.row.clone();
        row.remove("provider_configuration_schema");
        row.insert("livemode".to_owned(), Value::Bool(livemode));
        row.insert("created".to_owned(), Value::String(RECORDED.to_owned()));
        Value::Object(row)
    }

    fn text(&self, name: &str) -> &str {
        self.row.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

struct Catalog {
    services: Vec<Service>,
    providers: Vec<Provider>,
}

impl Catalog {
    fn parse(text: &str) -> Self {
        #[derive(Default, Deserialize)]
        struct Envelope {
            data: Data,
        }
        #[derive(Default, Deserialize)]
        struct Data {
            services: Vec<Map<String, Value>>,
        }
        let envelope: Envelope = serde_json::from_str(text).unwrap_or_default(); // a test parses it
        let services: Vec<_> = envelope.data.services.into_iter().map(|row| Service { row }).collect();
        let mut providers: Vec<Provider> = Vec::new();
        for service in &services {
            let categories = service.row.get("categories").and_then(Value::as_array).into_iter().flatten();
            let categories = categories.filter_map(Value::as_str).map(str::to_owned);
            let known = providers.iter_mut().find(|provider| provider.id == service.provider());
            match known {
                Some(provider) => provider.categories.extend(categories),
                None => providers.push(Provider {
                    id: service.provider().to_owned(),
                    name: service.provider_name().to_owned(),
                    slug: slug(service.provider_name()),
                    categories: categories.collect(),
                    configuration_schema: match service.row.get("provider_configuration_schema") {
                        Some(Value::Object(schema)) => Value::Object(schema.clone()),
                        _ => json!({}),
                    },
                }),
            }
        }
        for provider in &mut providers {
            provider.categories.sort();
            provider.categories.dedup();
        }
        Self { services, providers }
    }
}

/// Keeps letters and digits, in lower case.
fn slug(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::parse(include_str!("catalog-0.46.json")));

/// The creation time of catalog objects; the recorded rows have none.
const RECORDED: &str = "1970-01-01T00:00:00.000Z";

/// Credential names by service. Other services have one `API_KEY`, because the catalog does not list names.
const CREDENTIALS: &[(&str, &str, &[&str])] = &[
    ("AgentMail", "api", &["AGENTMAIL_API_KEY"]),
    ("Browserbase", "project", &["BROWSERBASE_API_KEY", "BROWSERBASE_PROJECT_ID"]),
    ("Firecrawl", "api", &["API_KEY", "API_BASE_URL"]),
    ("Neon", "postgres", &["CONNECTION_STRING", "PROJECT_ID"]),
    ("Supermemory", "memory", &["API_KEY", "PROJECT_ID"]),
    ("Upstash", "redis", &["ENDPOINT", "PASSWORD", "REST_URL", "REST_TOKEN"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_catalog_parses() {
        assert_eq!((services().len(), providers().len()), (23, 13));
        let provider = provider("openrouter").unwrap();
        assert_eq!((provider.name.as_str(), provider.slug.as_str()), ("OpenRouter", "openrouter"));
        assert!(!provider.service("api").unwrap().is_free());
        assert!(provider.service("tts").is_none());
    }

    #[test]
    fn credential_names_refer_to_catalog_rows() {
        for (provider_name, service, names) in CREDENTIALS {
            let service = provider(provider_name).unwrap().service(service).unwrap();
            assert_eq!(service.credentials(), *names);
        }
    }
}
