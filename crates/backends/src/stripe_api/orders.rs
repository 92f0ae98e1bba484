//! Orders: prepared, sent once, and resent byte for byte if the response was lost.
//!
//! A request is noted before it is sent. As long as Stripe remembers its idempotency key, a resent request returns the
//! first response; after that its outcome cannot be determined, and it is not sent.

use domain::{
    clock::Clock,
    name::ServiceRef,
    project::{ProjectId, ResourceId, random_hex},
};
use files::fs::Lock;
use serde_json::{Map, Value, json};

use super::{
    StripeApi,
    catalog::OrderableService,
    failure::{Failure, Rejection, before_order},
    notes::SentOrder,
    resources::{RESOURCES, ResourceStatus, resource_id},
    schema_fields,
    wire::{CreatedProject, Resource},
};
use crate::{BackendError, Cause, Consent, Order, Refusal, Service, Setup, blocking};

/// The outcome of an order.
enum Submission {
    /// It is certain that there is no resource.
    Refused(Rejection),
    Resource(Resource),
}

impl StripeApi {
    /// Creates the resource of an order, or resumes an earlier call.
    pub(super) async fn submit(&self, order: &Order) -> Result<Service, BackendError> {
        let note = note_key(&order.id);
        let submission = if let Some(sent) = self.notes.sent_order(&note).await? {
            self.resubmit(&note, sent).await?
        } else {
            let body = self.prepare(order).await?;
            self.send(&note, format!("{}-create", order.id.as_str()), body).await?
        };
        let resource = match submission {
            Submission::Resource(resource) => self.completed(&note, resource).await?,
            Submission::Refused(rejection) => return Err(self.refusal(rejection, &order.service).await),
        };
        let credentials = self.reveal_now(resource.as_str()).await.map_err(BackendError::into_unknown)?;
        Ok(Service { resource, credentials })
    }

    /// Returns the resource that an order created. An order whose response was lost is resent to determine it.
    pub(super) async fn lookup_order(&self, order: &ProjectId) -> Result<Option<ResourceId>, BackendError> {
        let note = note_key(order);
        let Some(sent) = self.notes.sent_order(&note).await? else {
            return Ok(None);
        };
        let result = match self.resubmit(&note, sent).await {
            Ok(Submission::Resource(resource)) => self.completed(&note, resource).await.map(Some),
            Ok(Submission::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        };
        match result {
            // A failed resource was removed.
            Err(BackendError::NeedsInformation { .. } | BackendError::NotFound | BackendError::Refused(_)) => Ok(None),
            Err(error) => Err(error.into_unknown()),
            resource => resource,
        }
    }

    /// Does everything that precedes the order, and returns its body.
    async fn prepare(&self, order: &Order) -> Result<String, BackendError> {
        if !order.terms_accepted {
            return Err(Consent::Terms.into());
        }
        let catalog = self.catalog_for(&order.service).await?;
        let service = catalog.find(&order.service, &order.config, order.paid)?;
        // The registry ensures that a plan is of the same provider.
        let find_plan = |plan| Ok::<_, BackendError>((plan, catalog.find(plan, &Map::new(), order.paid)?));
        let plan = order.plan.as_ref().map(find_plan).transpose()?;
        self.claim_account().await?;
        let project = self.project().await?;
        self.connect(&service.provider, &project).await?;
        let change = self.limits.change(order.service.provider()).await?;
        self.set_limit(change, &service.provider).await?;
        if let Some((plan, plan_service)) = plan {
            self.ensure_plan(order, plan, &plan_service, &project).await?;
        }
        self.body(order, &service, &order.config, &project)
    }

    fn body(
        &self,
        order: &Order,
        service: &OrderableService,
        config: &Map<String, Value>,
        project: &str,
    ) -> Result<String, BackendError> {
        let body = json!({
            "configuration": config,
            "livemode": self.http.livemode()?,
            "name": resource_name(order),
            "project": project,
            "provider": service.provider,
            "service_ref": service.service_ref,
        });
        Ok(body.to_string())
    }

    /// Returns our project at Stripe, one for each workspace. Creates it if needed.
    async fn project(&self) -> Result<String, BackendError> {
        if let Some(project) = self.notes.text("project").await? {
            return Ok(project);
        }
        let name = format!("agent-{}", random_hex::<6>()?);
        let name = self.notes.put_text_if_absent("workspace", &name).await?;
        let (key, body) = (format!("{name}-create"), json!({ "name": name }).to_string());
        let project = self.http.write::<CreatedProject>("/v2/provisioning/projects", &key, &body).await;
        let project = project.map_err(before_order)?;
        self.notes.put_text_if_absent("project", &project.id).await
    }

    /// Ensures that our project has a plan, which all of its services share.
    async fn ensure_plan(
        &self,
        order: &Order,
        plan: &ServiceRef,
        service: &OrderableService,
        project: &str,
    ) -> Result<(), BackendError> {
        let _lock = self.lock_plans().await?;
        let note = format!("plan/{plan}");
        let submission = if let Some(resource) = self.earlier_plan(&note, order.paid).await? {
            Submission::Resource(resource)
        } else {
            let body = self.body(order, service, &Map::new(), project)?;
            self.send(&note, format!("{}-plan", order.id.as_str()), body).await?
        };
        match submission {
            Submission::Resource(resource) => self.completed(&note, resource).await.map(|_| ()),
            Submission::Refused(rejection) => Err(self.refusal(rejection, plan).await),
        }
    }

    /// Returns the plan of an earlier order, if it still exists.
    async fn earlier_plan(&self, note: &str, paid: bool) -> Result<Option<Resource>, BackendError> {
        let Some(sent) = self.notes.sent_order(note).await? else {
            return Ok(None);
        };
        if !paid && sent.has_expired(now_ms()) {
            return Ok(None); // at worst there are two free ones
        }
        match self.resubmit(note, sent).await {
            Ok(Submission::Resource(resource)) if resource.status()? == ResourceStatus::Removed => Ok(None),
            Ok(Submission::Resource(resource)) => Ok(Some(resource)),
            Ok(Submission::Refused(_)) | Err(BackendError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends an order for the first time.
    async fn send(&self, note: &str, key: String, body: String) -> Result<Submission, BackendError> {
        let sent = SentOrder { body, key, at_ms: now_ms(), resource: None };
        self.notes.put_sent_order(note, &sent).await?;
        match self.post(note, sent).await {
            Err(Failure::NotSent(error)) if error.is_definite() => {
                // If this note stays, the next lookup resends the order, which is harmless.
                let _ = self.notes.clear_sent_order(note).await;
                Err(error)
            }
            Err(failure) => Err(failure.into()),
            Ok(submission) => Ok(submission),
        }
    }

    /// Determines the outcome of an order that was noted.
    async fn resubmit(&self, note: &str, sent: SentOrder) -> Result<Submission, BackendError> {
        if let Some(id) = &sent.resource {
            return match self.get_resource(id).await.map_err(BackendError::into_unknown)? {
                Some(resource) => Ok(Submission::Resource(resource)),
                None => Err(BackendError::NotFound),
            };
        }
        if sent.has_expired(now_ms()) {
            return Err(BackendError::Forgotten { name: sent.name(), place: DASHBOARD });
        }
        self.post(note, sent).await.map_err(|failure| BackendError::from(failure).into_unknown())
    }

    async fn post(&self, note: &str, mut sent: SentOrder) -> Result<Submission, Failure> {
        match self.http.write::<Resource>(RESOURCES, &sent.key, &sent.body).await {
            Ok(resource) => {
                sent.resource = Some(resource_id(&resource)?.as_str().to_owned());
                self.notes.put_sent_order(note, &sent).await.map_err(BackendError::into_unknown)?;
                Ok(Submission::Resource(resource))
            }
            Err(Failure::Refused(rejection)) => {
                self.notes.clear_sent_order(note).await.map_err(BackendError::into_unknown)?;
                Ok(Submission::Refused(rejection))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Waits until a resource is complete. Removes one that failed.
    async fn completed(&self, note: &str, resource: Resource) -> Result<ResourceId, BackendError> {
        let id = resource_id(&resource)?;
        let (resource, status) = self.wait_until_settled(resource).await.map_err(BackendError::into_unknown)?;
        let error: BackendError = match status {
            ResourceStatus::Complete => return Ok(id),
            ResourceStatus::Removed => BackendError::NotFound,
            ResourceStatus::NeedsInformation => {
                self.remove(id.as_str()).await.map_err(BackendError::into_unknown)?; // it may be billed in this state
                BackendError::NeedsInformation { fields: schema_fields(resource.needs_information_schema.as_ref()) }
            }
            ResourceStatus::Errored | ResourceStatus::Pending => {
                let _ = self.remove(id.as_str()).await; // a failed one is not billed
                Refusal::ProviderFailed { code: None }.into()
            }
        };
        self.notes.clear_sent_order(note).await.map_err(BackendError::into_unknown)?;
        Err(error)
    }

    /// Converts Stripe's refusal of an order. Its codes are not documented; these are used elsewhere in its API, and
    /// any other is passed on.
    async fn refusal(&self, rejection: Rejection, service: &ServiceRef) -> BackendError {
        let code = rejection.code.as_deref().unwrap_or_default().to_ascii_lowercase();
        match (rejection.status, code.as_str(), rejection.param.as_deref()) {
            (_, "price_confirmation_required", _) => Consent::Price.into(),
            (_, "terms_not_accepted" | "tos_acceptance_required", _) => Consent::Terms.into(),
            (_, "provider_connection_required" | "provider_not_connected" | "provider_not_linked", _) => {
                BackendError::NeedsBrowser
            }
            (_, "plan_required", _) => Refusal::PlanRequired.into(),
            (_, "count_exceeded" | "resource_limit_exceeded" | "too_many_resources", _) => Refusal::TooMany.into(),
            (_, "usage_limit_exceeded" | "usage_limit_reached", _) => {
                match self.notes.committed_with(service.provider()).await {
                    Ok(limit) => Refusal::MonthlyLimitReached { limit }.into(),
                    Err(error) => error,
                }
            }
            (402, ..) | (_, "card_declined" | "payment_method_required", _) => Refusal::CardDeclined.into(),
            (400 | 404, _, Some("project")) => Setup::OtherProject { folder: self.state.clone() }.into(),
            (404, ..) => Refusal::ServiceMissing { service: service.to_string() }.into(),
            (400 | 422, _, Some(param)) if param.starts_with(CONFIGURATION) => {
                let field = param.trim_start_matches(CONFIGURATION).trim_start_matches('.');
                Refusal::Configuration { fields: vec![field.to_owned()] }.into()
            }
            _ => rejection.into(),
        }
    }

    /// Locks the plans, so that the second of two calls finds the plan of the first.
    async fn lock_plans(&self) -> Result<Lock, BackendError> {
        let (file, timeout) = (self.state.join("stripe-api.plans.lock"), self.retry_policy.poll_timeout);
        let unavailable = |why: Cause| BackendError::Unavailable { why };
        let work = move || Lock::on_file(&file, timeout).map_err(|error| unavailable(error.into()));
        let lock = blocking(work, || unavailable("locking the plans failed unexpectedly".into())).await?;
        lock.ok_or_else(|| unavailable("another call is ordering a plan".into()))
    }
}

/// The name of a resource in the dashboard: the project's name, and a part of the order's id that makes it unique.
fn resource_name(order: &Order) -> String {
    let id = order.id.as_str().trim_start_matches("proj_");
    let name = order.name.as_str();
    format!("{}-{}", name.get(..LONGEST_NAME).unwrap_or(name), id.get(..12).unwrap_or(id))
}

fn note_key(order: &ProjectId) -> String {
    format!("order/{}", order.as_str())
}

fn now_ms() -> i64 {
    Clock::system().now().as_millisecond()
}

/// Where a person can look at resources.
const DASHBOARD: &str = "https://dashboard.stripe.com";

const CONFIGURATION: &str = "configuration";

/// The length of a project's name within the name of a resource.
const LONGEST_NAME: usize = 48;
