//! Entry points for `stripe_projects_mcp::fuzzing`: response bodies of the API.

use domain::name::ServiceRef;
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    catalog::ProviderCatalog,
    failure::{Failure, before_order},
    http::decode_response,
    provider_connections::is_connected,
    resources::{credentials, resource_id},
    schema_fields,
    wire::{
        AccessConfiguration, CatalogProvider, CatalogService, Connection, ConnectionRequest, CreatedProject, List,
        PaymentProfile, Resource,
    },
};
use crate::BackendError;

/// Returns every error that a response can lead to, whatever the request was.
pub fn response_errors(status: u16, body: &[u8]) -> Vec<BackendError> {
    let mut errors = Vec::new();
    read::<List<CatalogProvider>>(status, body, &mut errors);
    read::<List<Connection>>(status, body, &mut errors);
    read::<CreatedProject>(status, body, &mut errors);
    if let Some(List { data: services, .. }) = read::<List<CatalogService>>(status, body, &mut errors) {
        let catalog = ProviderCatalog { provider: "prov_1".to_owned(), services };
        let config: Map<String, Value> = json!({ "name": "a", "size": 1 }).as_object().cloned().unwrap_or_default();
        if let Ok(service) = ServiceRef::parse("exa/api") {
            errors.extend([true, false].into_iter().filter_map(|paid| catalog.find(&service, &config, paid).err()));
        }
    }
    if let Some(resource) = read::<Resource>(status, body, &mut errors) {
        errors.extend(resource.status().err());
        errors.extend(resource_id(&resource).err());
        let fields = schema_fields(resource.needs_information_schema.as_ref());
        errors.push(BackendError::NeedsInformation { fields });
    }
    if let Some(request) = read::<ConnectionRequest>(status, body, &mut errors) {
        errors.extend(is_connected(&request).err());
    }
    if let Some(access) = read::<AccessConfiguration>(status, body, &mut errors) {
        match credentials(access) {
            Ok(credentials) => {
                errors.extend([None, Some("API_KEY")].into_iter().filter_map(|name| credentials.pick(name).err()));
            }
            Err(error) => errors.push(error),
        }
    }
    errors
}

/// Whether such a response to a write counts as proof that nothing happened.
pub fn is_definite(status: u16, body: &[u8]) -> bool {
    // The expected type has no fields, so that every body of a success is valid.
    let Ok(status) = StatusCode::from_u16(status) else { return false };
    let result = decode_response::<PaymentProfile>(true, status, body);
    result.is_err_and(|failure| BackendError::from(failure).is_definite())
}

fn read<T: DeserializeOwned>(status: u16, body: &[u8], errors: &mut Vec<BackendError>) -> Option<T> {
    let status = StatusCode::from_u16(status).ok()?;
    let decode = |is_write| decode_response::<T>(is_write, status, body);
    let conversions: [fn(Failure) -> BackendError; 3] =
        [BackendError::from, before_order, |failure| BackendError::from(failure).into_unknown()];
    for is_write in [true, false] {
        // The `Debug` text includes the parts that only some errors repeat.
        errors.extend(
            decode(is_write).err().map(|failure| BackendError::Unavailable { why: format!("{failure:?}").into() }),
        );
        errors.extend(conversions.iter().filter_map(|convert| decode(is_write).err().map(convert)));
    }
    decode(false).ok()
}
