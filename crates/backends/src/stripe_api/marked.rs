//! Resources at Stripe that carry the id of an order of ours.
//!
//! Stripe documents no list of resources. Other programs use one, and a Stripe that lacks it answers 404.

use std::collections::BTreeMap;

use domain::project::ResourceId;

use super::{
    StripeApi,
    failure::Failure,
    http::is_id,
    resources::RESOURCES,
    wire::{CatalogProvider, ListedResource},
};
use crate::{BackendError, MarkedResource, marked::split_name};

impl StripeApi {
    pub(super) async fn list_marked(&self) -> Result<Vec<MarkedResource>, BackendError> {
        let listed = match self.http.list::<ListedResource>(RESOURCES, &[]).await {
            Err(Failure::Refused(rejection)) if rejection.is_missing() => {
                return Err(BackendError::Unknown { why: "Stripe's API has no list of all resources".into() });
            }
            listed => listed?,
        };
        let ours: Vec<_> = listed.into_iter().filter_map(marked).collect();
        if ours.is_empty() {
            return Ok(ours); // without a question about the catalog
        }
        let providers = self.http.list::<CatalogProvider>("/v2/provisioning/catalog/providers", &[]).await?;
        let names: BTreeMap<String, String> =
            providers.into_iter().map(|provider| (provider.id, provider.name)).collect();
        let with_name = |resource: MarkedResource| {
            let provider = names.get(&resource.provider).cloned().unwrap_or_default();
            MarkedResource { provider, ..resource }
        };
        Ok(ours.into_iter().map(with_name).collect())
    }
}

/// Reads a row of the list; `None` if it is not ours, or does not exist any more. Its provider is still an id.
fn marked(row: ListedResource) -> Option<MarkedResource> {
    if matches!(row.status.as_str(), "removed" | "errored") || !is_id(&row.id) {
        return None;
    }
    let name = row.name?;
    let (label, order) = split_name(&name)?;
    Some(MarkedResource {
        resource: ResourceId::new(row.id),
        order,
        label: label.to_owned(),
        provider: row.provider,
        service: row.service_ref,
        cap: None,
        suspended: false,
    })
}
