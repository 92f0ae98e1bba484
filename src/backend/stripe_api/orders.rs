//! Orders: what is prepared, sent once, and sent again word for word when the answer was lost.
//!
//! A request is noted before it leaves. As long as Stripe remembers it, sending it again under its idempotency key
//! gives the first answer; after that nobody can say any more what became of it, and it is not sent.

use serde_json::{Map, Value, json};
use tokio::task;

use super::{
    StripeApi,
    catalog::Found,
    failure::{Failure, Rejection, before_the_order},
    notes::Sent,
    random_key,
    resources::{RESOURCES, ResourceStatus, id_of},
    schema_fields,
    wire::{Project, Resource},
};
use crate::{
    backend::{BackendError, Cause, Consent, Order, Refusal, Service, Setup},
    clock::Clock,
    fs::Lock,
    name::ServiceRef,
    project::{ProjectId, ResourceId},
};

/// What came of sending an order.
enum Submission {
    /// It is certain that there is none.
    Not(Rejection),
    Resource(Resource),
}

impl StripeApi {
    /// Creates what is ordered, or goes on with it where an earlier call left off.
    pub(super) async fn submit(&self, order: &Order) -> Result<Service, BackendError> {
        let note = note_of(&order.id);
        let placed = if let Some(sent) = self.notes.sent(&note).await? {
            self.resubmit(&note, sent).await?
        } else {
            let body = self.prepare(order).await?;
            self.send(&note, format!("{}-create", order.id.as_str()), body).await?
        };
        let resource = match placed {
            Submission::Resource(resource) => self.outcome(&note, resource).await?,
            Submission::Not(rejection) => return Err(self.refusal(rejection, &order.service).await),
        };
        let credentials = self.reveal_now(resource.as_str()).await.map_err(BackendError::into_unknown)?;
        Ok(Service { resource, credentials })
    }

    /// The resource that an order created, if it did. An order whose answer was lost is sent again to find out.
    pub(super) async fn lookup_order(&self, order: &ProjectId) -> Result<Option<ResourceId>, BackendError> {
        let note = note_of(order);
        let Some(sent) = self.notes.sent(&note).await? else {
            return Ok(None);
        };
        let outcome = match self.resubmit(&note, sent).await {
            Ok(Submission::Resource(resource)) => self.outcome(&note, resource).await.map(Some),
            Ok(Submission::Not(_)) => Ok(None),
            Err(error) => Err(error),
        };
        match outcome {
            // What failed for good was cleaned away.
            Err(BackendError::NeedsInformation { .. } | BackendError::NotFound | BackendError::Refused(_)) => Ok(None),
            Err(error) => Err(error.into_unknown()),
            resource => resource,
        }
    }

    /// Everything that comes before the order itself, ending in its body.
    async fn prepare(&self, order: &Order) -> Result<String, BackendError> {
        if !order.terms_accepted {
            return Err(Consent::Terms.into());
        }
        let offered = self.catalog_for(&order.service).await?;
        let found = offered.find(&order.service, &order.config, order.paid)?;
        // A plan is one of the same provider, which the registry sees to.
        let plan =
            order.plan.as_ref().map(|plan| Ok::<_, BackendError>((plan, offered.find(plan, &Map::new(), order.paid)?)));
        let plan = plan.transpose()?;
        self.claim_account().await?;
        let project = self.project().await?;
        self.connect(&found.provider, &project).await?;
        let change = self.limits.change(order.service.provider()).await?;
        self.set_limit(change, &found.provider).await?;
        if let Some((plan, found)) = plan {
            self.have_plan(order, plan, &found, &project).await?;
        }
        self.body(order, &found, &order.config, &project)
    }

    fn body(
        &self,
        order: &Order,
        found: &Found,
        config: &Map<String, Value>,
        project: &str,
    ) -> Result<String, BackendError> {
        let body = json!({
            "configuration": config,
            "livemode": self.http.livemode()?,
            "name": name_at_stripe(order),
            "project": project,
            "provider": found.provider,
            "service_ref": found.service_ref,
        });
        Ok(body.to_string())
    }

    /// Our project at Stripe, one for each workspace.
    async fn project(&self) -> Result<String, BackendError> {
        if let Some(project) = self.notes.text("project").await? {
            return Ok(project);
        }
        let name = format!("agent-{}", random_key()?.split_at(12).0);
        let name = self.notes.note_first("workspace", &name).await?;
        let (key, body) = (format!("{name}-create"), json!({ "name": name }).to_string());
        let project = self.http.change::<Project>("/v2/provisioning/projects", &key, &body).await;
        let project = project.map_err(before_the_order)?;
        self.notes.note_first("project", &project.id).await
    }

    /// Sees to it that our project has a plan, of which there is one for all services.
    async fn have_plan(
        &self,
        order: &Order,
        plan: &ServiceRef,
        found: &Found,
        project: &str,
    ) -> Result<(), BackendError> {
        let _lock = self.lock_plans().await?;
        let note = format!("plan/{plan}");
        let placed = if let Some(resource) = self.earlier_plan(&note, order.paid).await? {
            Submission::Resource(resource)
        } else {
            let body = self.body(order, found, &Map::new(), project)?;
            self.send(&note, format!("{}-plan", order.id.as_str()), body).await?
        };
        match placed {
            Submission::Resource(resource) => self.outcome(&note, resource).await.map(|_| ()),
            Submission::Not(rejection) => Err(self.refusal(rejection, plan).await),
        }
    }

    /// The plan that an earlier order asked for, unless there is none any more.
    async fn earlier_plan(&self, note: &str, paid: bool) -> Result<Option<Resource>, BackendError> {
        let Some(sent) = self.notes.sent(note).await? else {
            return Ok(None);
        };
        if !paid && sent.is_beyond_recall(now_ms()) {
            return Ok(None); // at worst there are two that cost nothing
        }
        match self.resubmit(note, sent).await {
            Ok(Submission::Resource(resource)) if resource.status()? == ResourceStatus::Removed => Ok(None),
            Ok(Submission::Resource(resource)) => Ok(Some(resource)),
            Ok(Submission::Not(_)) | Err(BackendError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends an order for the first time.
    async fn send(&self, note: &str, key: String, body: String) -> Result<Submission, BackendError> {
        let sent = Sent { body, key, at_ms: now_ms(), resource: None };
        self.notes.note_sent(note, &sent).await?;
        match self.post(note, sent).await {
            Err(Failure::NotSent(error)) if error.is_definite() => {
                // Should this note stay, the order is sent once more by whoever asks, and nothing is lost.
                let _ = self.notes.forget_sent(note).await;
                Err(error)
            }
            Err(failure) => Err(failure.into()),
            Ok(placed) => Ok(placed),
        }
    }

    /// What became of an order that was noted.
    async fn resubmit(&self, note: &str, sent: Sent) -> Result<Submission, BackendError> {
        if let Some(id) = &sent.resource {
            return match self.look(id).await.map_err(BackendError::into_unknown)? {
                Some(resource) => Ok(Submission::Resource(resource)),
                None => Err(BackendError::NotFound),
            };
        }
        if sent.is_beyond_recall(now_ms()) {
            return Err(BackendError::Forgotten { name: sent.name(), place: DASHBOARD });
        }
        self.post(note, sent).await.map_err(|failure| BackendError::from(failure).into_unknown())
    }

    async fn post(&self, note: &str, mut sent: Sent) -> Result<Submission, Failure> {
        match self.http.change::<Resource>(RESOURCES, &sent.key, &sent.body).await {
            Ok(resource) => {
                sent.resource = Some(id_of(&resource)?.as_str().to_owned());
                self.notes.note_sent(note, &sent).await.map_err(BackendError::into_unknown)?;
                Ok(Submission::Resource(resource))
            }
            Err(Failure::Refused(rejection)) => {
                self.notes.forget_sent(note).await.map_err(BackendError::into_unknown)?;
                Ok(Submission::Not(rejection))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Waits for a resource to be complete. One that never will be is removed.
    async fn outcome(&self, note: &str, resource: Resource) -> Result<ResourceId, BackendError> {
        let id = id_of(&resource)?;
        let (resource, status) = self.settled(resource).await.map_err(BackendError::into_unknown)?;
        let error: BackendError = match status {
            ResourceStatus::Complete => return Ok(id),
            ResourceStatus::Removed => BackendError::NotFound,
            ResourceStatus::NeedsInformation => {
                self.remove(id.as_str()).await.map_err(BackendError::into_unknown)?; // it may be billed as it is
                BackendError::NeedsInformation { fields: schema_fields(resource.needs_information_schema.as_ref()) }
            }
            ResourceStatus::Errored | ResourceStatus::Pending => {
                let _ = self.remove(id.as_str()).await; // what never came to be is not billed
                Refusal::ProviderFailed { code: None }.into()
            }
        };
        self.notes.forget_sent(note).await.map_err(BackendError::into_unknown)?;
        Err(error)
    }

    /// Stripe's no to an order, in our words. Its codes are not documented; these are the ones it is known to use
    /// elsewhere, and any other is passed on.
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

    /// Of two calls that want the same plan, the second finds the first one's.
    async fn lock_plans(&self) -> Result<Lock, BackendError> {
        let (file, timeout) = (self.state.join("stripe-api.plans.lock"), self.retry_policy.poll_patience);
        let unavailable = |why: Cause| BackendError::Unavailable { why };
        let lock = task::spawn_blocking(move || Lock::on_file(&file, timeout)).await;
        let lock = lock
            .map_err(|_| unavailable("the lock stopped half way".into()))?
            .map_err(|error| unavailable(error.into()))?;
        lock.ok_or_else(|| unavailable("another call is ordering a plan".into()))
    }
}

/// So that a person finds it: the project's name, and enough of the order's id to tell two of one name apart.
fn name_at_stripe(order: &Order) -> String {
    let id = order.id.as_str().trim_start_matches("proj_");
    let name = order.name.as_str();
    format!("{}-{}", name.get(..LONGEST_NAME).unwrap_or(name), id.get(..12).unwrap_or(id))
}

fn note_of(order: &ProjectId) -> String {
    format!("order/{}", order.as_str())
}

fn now_ms() -> i64 {
    Clock::system().now().as_millisecond()
}

/// Where a person sees what there is.
const DASHBOARD: &str = "https://dashboard.stripe.com";

const CONFIGURATION: &str = "configuration";

/// Of a project's name within the name at Stripe.
const LONGEST_NAME: usize = 48;
