//! Resources at Stripe: status, credentials and removal.

use domain::project::{ResourceId, random_hex};
use tokio::time::{self, Instant};

use super::{
    StripeApi,
    failure::{Failure, field, unexpected},
    http::is_id,
    wire::{AccessConfiguration, Resource},
};
use crate::{BackendError, Credentials, Refusal};

/// The status of a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResourceStatus {
    Complete,
    Errored,
    NeedsInformation,
    Pending,
    Removed,
}

impl Resource {
    pub fn status(&self) -> Result<ResourceStatus, BackendError> {
        Ok(match self.status.as_str() {
            "complete" => ResourceStatus::Complete,
            "errored" => ResourceStatus::Errored,
            "needs_information" => ResourceStatus::NeedsInformation,
            "pending" => ResourceStatus::Pending,
            "removed" => ResourceStatus::Removed,
            other => return Err(unexpected("status", other)),
        })
    }
}

impl StripeApi {
    /// Gets a resource; `None` if Stripe has none of that id.
    pub(super) async fn get_resource(&self, id: &str) -> Result<Option<Resource>, BackendError> {
        let Some(path) = path(id, "") else {
            return Ok(None);
        };
        match self.http.get::<Resource>(&path).await {
            Ok(resource) => Ok(Some(resource)),
            Err(Failure::Refused(rejection)) if rejection.is_missing() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Polls a resource until it is no longer pending.
    pub(super) async fn wait_until_settled(
        &self,
        mut resource: Resource,
    ) -> Result<(Resource, ResourceStatus), BackendError> {
        let deadline = Instant::now() + self.retry_policy.poll_timeout;
        loop {
            match resource.status()? {
                ResourceStatus::Pending if Instant::now() >= deadline => {
                    return Err(BackendError::Unknown { why: "the provider has not finished yet".into() });
                }
                ResourceStatus::Pending => {}
                status => return Ok((resource, status)),
            }
            time::sleep(self.retry_policy.poll_pause).await;
            resource = self.get_resource(&resource.id).await?.ok_or(BackendError::NotFound)?;
        }
    }

    pub(super) async fn reveal_now(&self, id: &str) -> Result<Credentials, BackendError> {
        let path = path(id, "/reveal_access_configuration").ok_or(BackendError::NotFound)?;
        match self.http.read::<AccessConfiguration>(&path).await {
            Ok(access) => return credentials(access),
            Err(Failure::Refused(rejection)) if !rejection.is_missing() => {}
            Err(failure) => return Err(failure.into()),
        }
        // Only a complete resource reveals credentials; this one may have been pending.
        let resource = self.get_resource(id).await?.ok_or(BackendError::NotFound)?;
        match self.wait_until_settled(resource).await?.1 {
            ResourceStatus::Complete => credentials(self.http.read(&path).await?),
            ResourceStatus::Removed => Err(BackendError::NotFound),
            _ => Err(Refusal::ProviderFailed { code: None }.into()),
        }
    }

    /// Replaces the credentials. Once this returns, the previous ones do not work.
    pub(super) async fn replace_credentials(&self, id: &str) -> Result<(), BackendError> {
        let path = path(id, "/rotate_credentials").ok_or(BackendError::NotFound)?;
        let resource = match self.http.write::<Resource>(&path, &random_hex::<16>()?, "{}").await {
            Ok(resource) => resource,
            Err(failure @ Failure::Refused(_)) => return Err(self.refusal_reason(id, failure).await),
            Err(failure) => return Err(failure.into()),
        };
        match self.wait_until_settled(resource).await.map_err(BackendError::into_unknown)?.1 {
            ResourceStatus::Complete => Ok(()),
            ResourceStatus::Removed => Err(BackendError::NotFound),
            _ => Err(BackendError::Unknown { why: "the provider failed during the rotation".into() }),
        }
    }

    /// Removes a resource and waits until it is removed. Succeeds if there is none.
    pub(super) async fn remove(&self, id: &str) -> Result<(), BackendError> {
        let Some(path) = path(id, "/remove") else {
            return Ok(());
        };
        let mut resource = match self.http.write::<Resource>(&path, &random_hex::<16>()?, "{}").await {
            Ok(resource) => resource,
            Err(failure @ Failure::Refused(_)) => {
                return match self.refusal_reason(id, failure).await {
                    BackendError::NotFound => Ok(()),
                    error => Err(error),
                };
            }
            Err(failure) => return Err(failure.into()),
        };
        let deadline = Instant::now() + self.retry_policy.poll_timeout;
        loop {
            match resource.status()? {
                ResourceStatus::Removed => return Ok(()),
                ResourceStatus::Errored => return Err(Refusal::ProviderFailed { code: None }.into()),
                _ if Instant::now() >= deadline => {
                    return Err(BackendError::Unknown { why: "the provider is still removing it".into() });
                }
                _ => time::sleep(self.retry_policy.poll_pause).await,
            }
            match self.get_resource(id).await.map_err(BackendError::into_unknown)? {
                Some(now) => resource = now,
                None => return Ok(()),
            }
        }
    }

    /// Converts a refusal into `NotFound` if the resource is gone, whatever code Stripe uses for that.
    async fn refusal_reason(&self, id: &str, failure: Failure) -> BackendError {
        match self.get_resource(id).await {
            Ok(None) => BackendError::NotFound,
            Ok(Some(resource)) if resource.status == "removed" => BackendError::NotFound,
            _ => failure.into(),
        }
    }
}

pub(super) fn credentials(access: AccessConfiguration) -> Result<Credentials, BackendError> {
    if access.configuration.is_empty() {
        return Err(unexpected("credentials", "none"));
    }
    let pairs = access.configuration.into_iter();
    let secrets = pairs.map(|(name, revealed)| match revealed.0.filter(|secret| !secret.is_empty()) {
        Some(secret) => Ok((name, secret)),
        None => Err(BackendError::Malformed { what: "credential", got: field(&name) }),
    });
    secrets.collect()
}

/// The path of a resource; `None` if the text cannot be an id of Stripe's.
fn path(id: &str, action: &str) -> Option<String> {
    is_id(id).then(|| format!("{RESOURCES}/{id}{action}"))
}

/// The id of a new resource.
///
/// # Errors
/// [`BackendError::Malformed`] if it cannot be an id of Stripe's.
pub fn resource_id(resource: &Resource) -> Result<ResourceId, BackendError> {
    if is_id(&resource.id) { Ok(ResourceId::new(resource.id.clone())) } else { Err(unexpected("id", "")) }
}

pub const RESOURCES: &str = "/v2/provisioning/resources";
