//! One resource at Stripe: where it stands, its credentials, its end.

use tokio::time::{self, Instant};

use super::{
    StripeApi,
    failure::{Failure, field, unexpected},
    http::is_id,
    random_key,
    wire::{AccessConfiguration, Resource},
};
use crate::{
    backend::{BackendError, Credentials, Refusal},
    project::ResourceId,
};

/// Where a resource stands, once it is not pending.
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
    /// The resource as it is now; `None` where Stripe has none of that id.
    pub(super) async fn look(&self, id: &str) -> Result<Option<Resource>, BackendError> {
        let Some(path) = path(id, "") else {
            return Ok(None);
        };
        match self.http.get::<Resource>(&path).await {
            Ok(resource) => Ok(Some(resource)),
            Err(Failure::Refused(rejection)) if rejection.is_missing() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Waits until it is no longer pending.
    pub(super) async fn settled(&self, mut resource: Resource) -> Result<(Resource, ResourceStatus), BackendError> {
        let end = Instant::now() + self.retry_policy.poll_patience;
        loop {
            match resource.status()? {
                ResourceStatus::Pending if Instant::now() >= end => {
                    return Err(BackendError::Unknown { why: "the provider is still at work on it".into() });
                }
                ResourceStatus::Pending => {}
                status => return Ok((resource, status)),
            }
            time::sleep(self.retry_policy.poll_pause).await;
            resource = self.look(&resource.id).await?.ok_or(BackendError::NotFound)?;
        }
    }

    pub(super) async fn reveal_now(&self, id: &str) -> Result<Credentials, BackendError> {
        let path = path(id, "/reveal_access_configuration").ok_or(BackendError::NotFound)?;
        match self.http.read::<AccessConfiguration>(&path).await {
            Ok(answer) => return credentials(answer),
            Err(Failure::Refused(rejection)) if !rejection.is_missing() => {}
            Err(failure) => return Err(failure.into()),
        }
        // Only a complete resource has credentials to reveal, and this one may have been pending.
        let resource = self.look(id).await?.ok_or(BackendError::NotFound)?;
        match self.settled(resource).await?.1 {
            ResourceStatus::Complete => credentials(self.http.read(&path).await?),
            ResourceStatus::Removed => Err(BackendError::NotFound),
            _ => Err(Refusal::ProviderFailed { code: None }.into()),
        }
    }

    /// Has the provider replace the credentials. Once this returns, what was handed out before is dead.
    pub(super) async fn replace_credentials(&self, id: &str) -> Result<(), BackendError> {
        let path = path(id, "/rotate_credentials").ok_or(BackendError::NotFound)?;
        let resource = match self.http.change::<Resource>(&path, &random_key()?, "{}").await {
            Ok(resource) => resource,
            Err(failure @ Failure::Refused(_)) => return Err(self.why_refused(id, failure).await),
            Err(failure) => return Err(failure.into()),
        };
        match self.settled(resource).await.map_err(BackendError::into_unknown)?.1 {
            ResourceStatus::Complete => Ok(()),
            ResourceStatus::Removed => Err(BackendError::NotFound),
            _ => Err(BackendError::Unknown { why: "the provider failed in the middle of it".into() }),
        }
    }

    /// Removes it, and waits until it is gone. What is gone already is as good.
    pub(super) async fn remove(&self, id: &str) -> Result<(), BackendError> {
        let Some(path) = path(id, "/remove") else {
            return Ok(());
        };
        let mut resource = match self.http.change::<Resource>(&path, &random_key()?, "{}").await {
            Ok(resource) => resource,
            Err(failure @ Failure::Refused(_)) => {
                return match self.why_refused(id, failure).await {
                    BackendError::NotFound => Ok(()),
                    error => Err(error),
                };
            }
            Err(failure) => return Err(failure.into()),
        };
        let end = Instant::now() + self.retry_policy.poll_patience;
        loop {
            match resource.status()? {
                ResourceStatus::Removed => return Ok(()),
                ResourceStatus::Errored => return Err(Refusal::ProviderFailed { code: None }.into()),
                _ if Instant::now() >= end => {
                    return Err(BackendError::Unknown { why: "the provider is still removing it".into() });
                }
                _ => time::sleep(self.retry_policy.poll_pause).await,
            }
            match self.look(id).await.map_err(BackendError::into_unknown)? {
                Some(now) => resource = now,
                None => return Ok(()),
            }
        }
    }

    /// A refusal about what is gone is no refusal: whatever words Stripe has for it, looking tells.
    async fn why_refused(&self, id: &str, failure: Failure) -> BackendError {
        match self.look(id).await {
            Ok(None) => BackendError::NotFound,
            Ok(Some(resource)) if resource.status == "removed" => BackendError::NotFound,
            _ => failure.into(),
        }
    }
}

pub(super) fn credentials(answer: AccessConfiguration) -> Result<Credentials, BackendError> {
    if answer.configuration.is_empty() {
        return Err(unexpected("credentials", "none"));
    }
    let pairs = answer.configuration.into_iter();
    let texts = pairs.map(|(name, revealed)| match revealed.0.filter(|secret| !secret.is_empty()) {
        Some(secret) => Ok((name, secret)),
        None => Err(BackendError::Malformed { what: "credential", got: field(&name) }),
    });
    texts.collect()
}

/// Where a resource stands at Stripe; what is no id of Stripe's stands nowhere.
fn path(id: &str, action: &str) -> Option<String> {
    is_id(id).then(|| format!("{RESOURCES}/{id}{action}"))
}

/// A new resource's id, provided that it is one.
pub fn id_of(resource: &Resource) -> Result<ResourceId, BackendError> {
    if is_id(&resource.id) { Ok(ResourceId::new(resource.id.clone())) } else { Err(unexpected("id", "")) }
}

pub const RESOURCES: &str = "/v2/provisioning/resources";
