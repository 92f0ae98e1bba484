//! The bodies of the API, as `crate::fuzzing` may hand them in.

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    catalog::ProviderCatalog,
    connections::is_connected,
    failure::{Failure, before_the_order},
    http::answered,
    resources::{credentials, id_of},
    schema_fields,
    wire::{
        AccessConfiguration, CatalogService, Connection, ConnectionRequest, List, PaymentProfile, Project, Provider,
        Resource,
    },
};
use crate::{backend::BackendError, name::ServiceRef};

/// Everything that could be said of an answer, whatever it was the answer to.
pub fn heard(status: u16, body: &[u8]) -> Vec<BackendError> {
    let mut said = Vec::new();
    read::<List<Provider>>(status, body, &mut said);
    read::<List<Connection>>(status, body, &mut said);
    read::<Project>(status, body, &mut said);
    if let Some(List { data: rows, .. }) = read::<List<CatalogService>>(status, body, &mut said) {
        let catalog = ProviderCatalog { provider: "prov_1".to_owned(), rows };
        let config: Map<String, Value> = json!({ "name": "a", "size": 1 }).as_object().cloned().unwrap_or_default();
        if let Ok(service) = ServiceRef::parse("exa/api") {
            said.extend([true, false].into_iter().filter_map(|paid| catalog.find(&service, &config, paid).err()));
        }
    }
    if let Some(resource) = read::<Resource>(status, body, &mut said) {
        said.extend(resource.status().err());
        said.extend(id_of(&resource).err());
        let fields = schema_fields(resource.needs_information_schema.as_ref());
        said.push(BackendError::NeedsInformation { fields });
    }
    if let Some(request) = read::<ConnectionRequest>(status, body, &mut said) {
        said.extend(is_connected(&request).err());
    }
    if let Some(access) = read::<AccessConfiguration>(status, body, &mut said) {
        match credentials(access) {
            Ok(credentials) => {
                said.extend([None, Some("API_KEY")].into_iter().filter_map(|name| credentials.pick(name).err()));
            }
            Err(error) => said.push(error),
        }
    }
    said
}

/// Whether such an answer to a change would be taken for proof that nothing happened.
pub fn is_definite(status: u16, body: &[u8]) -> bool {
    // What is asked for has no fields, so that everything but a no is an answer.
    let Ok(status) = StatusCode::from_u16(status) else { return false };
    let answer = answered::<PaymentProfile>(true, status, body);
    answer.is_err_and(|failure| BackendError::from(failure).is_definite())
}

fn read<T: DeserializeOwned>(status: u16, body: &[u8], said: &mut Vec<BackendError>) -> Option<T> {
    let status = StatusCode::from_u16(status).ok()?;
    let ask = |changes| answered::<T>(changes, status, body);
    let of_each: [fn(Failure) -> BackendError; 3] =
        [BackendError::from, before_the_order, |failure| BackendError::from(failure).into_unknown()];
    for changes in [true, false] {
        // What a log would show, the parts included that only some errors repeat.
        said.extend(ask(changes).err().map(|failure| BackendError::Unavailable { why: format!("{failure:?}").into() }));
        said.extend(of_each.iter().filter_map(|of| ask(changes).err().map(of)));
    }
    ask(false).ok()
}
