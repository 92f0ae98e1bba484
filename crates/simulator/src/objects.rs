//! The response objects of the API.

use serde::Serialize;
use serde_json::{Map, Value};

/// The eligibility of the account.
#[derive(Serialize)]
pub struct EligibilityObject {
    pub object: &'static str,
    pub is_eligible: bool,
    pub requirements: Vec<String>,
    pub livemode: bool,
}

#[derive(Serialize)]
pub struct ProjectObject {
    pub id: String,
    pub object: &'static str,
    pub name: String,
    pub catalog: String,
    pub created: String,
    pub livemode: bool,
    pub project_profile: Option<String>,
    pub profile: Option<Value>,
}

#[derive(Serialize)]
pub struct ResourceObject<'a> {
    pub id: &'a str,
    pub object: &'static str,
    pub provider: &'a str,
    pub service_ref: &'a str,
    pub status: &'a str,
    pub environment: &'a str,
    pub livemode: bool,
    pub created: &'a str,
    pub name: Option<&'a str>,
    pub catalog: &'a str,
    pub error_message: Option<&'a str>,
    pub needs_information_schema: Option<&'a Value>,
    pub user_message: Option<Value>,
}

/// The only object with credentials.
#[derive(Serialize)]
pub struct ResourceAccessConfigurationObject<'a> {
    pub object: &'static str,
    pub resource: &'a str,
    pub configuration: Map<String, Value>,
    pub created: &'a str,
    pub expires_at: Option<String>,
    pub livemode: bool,
}

#[derive(Serialize)]
pub struct ProviderConnectionObject<'a> {
    pub id: String,
    pub object: &'static str,
    pub provider: &'a str,
    pub status: &'static str,
    pub provider_account: Option<String>,
    pub provider_account_details: Option<Value>,
    pub livemode: bool,
    pub created: Option<String>,
}

#[derive(Serialize)]
pub struct ProviderConnectionRequestObject<'a> {
    pub id: &'a str,
    pub object: &'static str,
    pub provider: &'a str,
    pub request_status: &'static str,
    pub redirect_url: Option<String>,
    pub provider_connection: Option<ProviderConnectionObject<'a>>,
    pub needs_information_schema: Option<&'a Value>,
    pub error: Option<ConnectionError>,
    pub scopes: Vec<String>,
    pub livemode: bool,
    pub created: &'a str,
}

#[derive(Serialize)]
pub struct ConnectionError {
    pub code: &'static str,
    pub message: &'static str,
}

#[derive(Serialize)]
pub struct PaymentProfileObject {
    pub object: &'static str,
    pub card_last4: &'static str,
    pub livemode: bool,
    pub usage_limits: Option<UsageLimitsObject>,
    pub providers: Vec<SharedWith>,
    pub shared_with_providers: Vec<String>,
    pub payment_method_owner: Option<String>,
}

#[derive(Serialize)]
pub struct SharedWith {
    pub provider: String,
    pub usage_limits: Option<UsageLimitsObject>,
}

/// A spend limit. The amount is a string of minor units.
#[derive(Serialize)]
pub struct UsageLimitsObject {
    pub currency: &'static str,
    pub max_amount: String,
    pub recurring_interval: &'static str,
}

#[derive(Serialize)]
pub struct PaymentMethodRequestObject {
    pub object: &'static str,
    pub checkout_session_url: String,
    pub status: &'static str,
    pub livemode: bool,
}
