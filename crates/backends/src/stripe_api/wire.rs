//! Stripe's JSON. Unknown fields are ignored: Stripe may add some at any time.

use std::collections::BTreeMap;

use domain::secret::Secret;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A page of a list.
#[derive(Deserialize)]
pub struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub next_page_url: Option<String>,
}

#[derive(Deserialize)]
pub struct Resource {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub needs_information_schema: Option<Value>,
}

/// A row of the list of resources.
#[derive(Deserialize)]
pub struct ListedResource {
    pub id: String,
    pub status: String,
    pub provider: String,
    pub service_ref: String,
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Deserialize)]
pub struct AccessConfiguration {
    pub configuration: BTreeMap<String, RevealedValue>,
}

#[derive(Deserialize)]
pub struct CreatedProject {
    pub id: String,
}

#[derive(Deserialize)]
pub struct CatalogProvider {
    pub id: String,
    pub name: String,
}

/// A service in the catalog.
#[derive(Deserialize)]
pub struct CatalogService {
    pub provider: String,
    pub service_id: String,
    pub availability: String,
    #[serde(default)]
    pub configuration_schema: Option<Value>,
    #[serde(default)]
    pub pricing: Option<Pricing>,
}

#[derive(Deserialize)]
pub struct Pricing {
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Deserialize)]
pub struct Connection {
    pub provider: String,
    pub status: String,
}

#[derive(Deserialize)]
pub struct ConnectionRequest {
    pub id: String,
    pub request_status: String,
    #[serde(default)]
    pub redirect_url: Option<String>,
    #[serde(default)]
    pub needs_information_schema: Option<Value>,
    #[serde(default)]
    pub error: Option<ErrorBody>,
}

#[derive(Deserialize)]
pub struct PaymentProfile {}

/// The body of an error response.
#[derive(Default, Deserialize)]
pub struct ErrorResponse {
    #[serde(default)]
    pub error: ErrorBody,
}

/// An error without Stripe's `message`, which is free text and could quote anything.
#[derive(Default, Deserialize)]
pub struct ErrorBody {
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub param: Option<String>,
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// A credential; `None` if the value is not text.
pub struct RevealedValue(pub Option<Secret>);

impl<'de> Deserialize<'de> for RevealedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text moves into the secret, which wipes it.
        Ok(match Value::deserialize(deserializer)? {
            Value::String(text) => Self(Some(Secret::new(text))),
            _ => Self(None),
        })
    }
}
