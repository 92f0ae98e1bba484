//! Orders: checked, limited, added, and polled until they are complete.
//!
//! `add` is not idempotent, so it runs once for each order, after a list that would have shown its service. Its outcome
//! is then looked up by the service's name, which is unique to the order.

use domain::{money::Cents, name::ServiceRef};
use tokio::time::{Instant, sleep};

use super::{
    StripeCli, catalog,
    cli_error::CliError,
    services::{ServiceRow, name_for},
    verbs::Stripe,
    workspace::Workspace,
};
use crate::{BackendError, Cause, Consent, LimitChange, Order, Refusal, Service};

impl StripeCli {
    pub(super) async fn submit(&self, stripe: &Stripe<'_>, order: &Order) -> Result<Service, BackendError> {
        let name = name_for(order.name.as_str(), &order.id);
        let mut workspace = self.prepare(stripe, order, &name).await.map_err(not_added)?;
        if !self.is_listed(&workspace, &name).await.map_err(not_added)? {
            self.limit_provider(stripe, order.service.provider()).await.map_err(not_added)?;
            if let Some(plan) = &order.plan {
                self.ensure_plan(&mut workspace, plan, order.paid).await?;
            }
            self.add(&workspace, order, &name).await?;
        }
        let service = self.wait_until_complete(&mut workspace, &name).await?;
        let resource = service.id.clone().ok_or_else(|| unknown("a service without an id"))?;
        let credentials = workspace.credentials(&service).await.map_err(BackendError::into_unknown)?;
        Ok(Service { resource, credentials })
    }

    /// Checks and prepares everything before anything can bill.
    async fn prepare<'a>(
        &'a self,
        stripe: &'a Stripe<'a>,
        order: &Order,
        name: &str,
    ) -> Result<Workspace<'a>, BackendError> {
        if !order.terms_accepted {
            return Err(Consent::Terms.into());
        }
        let workspace = Workspace::find(stripe, &*self.notes).await?;
        let exists = match &workspace {
            Some(workspace) => workspace.services()?.service_named(name).is_some(),
            None => false,
        };
        if !exists {
            catalog::check(&stripe.catalog(order.service.provider()).await?, order)?;
        }
        let mut workspace = match workspace {
            Some(workspace) => workspace,
            None => Workspace::make(stripe, &*self.notes).await?,
        };
        workspace.choose_environment().await?;
        workspace.note_credentials(name, &order.credentials)?;
        Ok(workspace)
    }

    async fn is_listed(&self, workspace: &Workspace<'_>, name: &str) -> Result<bool, BackendError> {
        Ok(workspace.stripe.services().await?.service_named(name).is_some())
    }

    /// Sets the provider's limit to the sum of the caps of our live projects.
    pub(super) async fn limit_provider(&self, stripe: &Stripe<'_>, provider: &str) -> Result<(), BackendError> {
        let change = self.limits.change(provider).await?;
        self.set_limit(stripe, change).await
    }

    pub(super) async fn set_limit(&self, stripe: &Stripe<'_>, change: LimitChange) -> Result<(), BackendError> {
        match stripe.limit(&change.provider, change.limit).await {
            Ok(_) => self.limits.confirm(change).await,
            Err(cli_error) => Err(limit_error(cli_error, stripe, change.provider, change.limit)),
        }
    }

    /// Ensures that there is a plan, which services share. If its `add` fails, the list decides.
    async fn ensure_plan(
        &self,
        workspace: &mut Workspace<'_>,
        plan: &ServiceRef,
        paid: bool,
    ) -> Result<(), BackendError> {
        if workspace.services().map_err(not_added)?.has_plan(plan) {
            return Ok(());
        }
        let name = plan.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "-").to_ascii_lowercase();
        let stripe = workspace.stripe;
        let Err(cli_error) = stripe.add(plan, &name, &serde_json::Map::new(), paid).await else {
            return Ok(());
        };
        match add_error(cli_error, workspace, plan.provider()) {
            // The account has the plan already; the `add` of the service tells whether it can be used here.
            BackendError::Refused(Refusal::TooMany) => Ok(()),
            error if error.is_definite() => Err(error),
            error => {
                workspace.refresh().await.map_err(not_added)?;
                if workspace.services().map_err(not_added)?.has_plan(plan) { Ok(()) } else { Err(not_added(error)) }
            }
        }
    }

    /// Runs `add` once. On return the service is listed, or Stripe has confirmed it.
    async fn add(&self, workspace: &Workspace<'_>, order: &Order, name: &str) -> Result<(), BackendError> {
        let result = workspace.stripe.add(&order.service, name, &order.config, order.paid).await;
        let Err(cli_error) = result else { return Ok(()) };
        if matches!(cli_error, CliError::LeftRunning) {
            return Err(cli_error.for_write(workspace.stripe.invocation("add", None))); // the next call waits for its end
        }
        let was_interrupted = matches!(cli_error, CliError::Unclear(_));
        if was_interrupted {
            self.note_interrupted_add(&order.id)?;
        }
        let error = match add_error(cli_error, workspace, order.service.provider()) {
            BackendError::Refused(Refusal::Configuration { fields }) if fields.is_empty() => {
                Refusal::Configuration { fields: order.config.keys().cloned().collect() }.into()
            }
            error => error,
        };
        let may_exist = !error.is_definite() || matches!(error, BackendError::Refused(Refusal::ProviderFailed { .. }));
        if !may_exist {
            return Err(error);
        }
        // `add` has ended, but Stripe may still be at work: look several times before absence counts.
        let pauses: &[u32] = if error.is_definite() { &[0] } else { &[0, 1, 1, 2, 2, 4] };
        for pause in pauses {
            sleep(self.timeouts.poll_pause * *pause).await;
            match self.is_listed(workspace, name).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(lookup) => return Err(unknown(format!("{error}; the lookup failed as well: {lookup}"))),
            }
        }
        Err(if was_interrupted { error } else { not_added(error) })
    }

    /// Polls a service until it is complete. Removes one that failed.
    async fn wait_until_complete(&self, workspace: &mut Workspace<'_>, name: &str) -> Result<ServiceRow, BackendError> {
        let deadline = Instant::now() + self.timeouts.poll_timeout;
        loop {
            workspace.refresh().await.map_err(BackendError::into_unknown)?;
            let services = workspace.services().map_err(BackendError::into_unknown)?;
            let service = services.service_named(name);
            match service.map(|service| service.status.as_str()) {
                Some(COMPLETE) => return service.cloned().ok_or_else(|| unknown("the service disappeared")),
                Some(FAILED | ERROR) => return Err(self.discard(workspace, name).await),
                None | Some(PENDING) if Instant::now() >= deadline => {
                    return Err(unknown(format!("{name} is not ready yet")));
                }
                None | Some(PENDING) => sleep(self.timeouts.poll_pause).await,
                Some(_) => return Err(unknown(format!("{name} has an unknown status"))),
            }
        }
    }

    /// Removes a service that failed, and returns the reason.
    async fn discard(&self, workspace: &mut Workspace<'_>, name: &str) -> BackendError {
        let _ = workspace.stripe.remove(name).await; // the list decides
        match workspace.stripe.services().await {
            Ok(services) if services.service_named(name).is_none() => Refusal::ProviderFailed { code: None }.into(),
            _ => unknown(format!("{name} failed and may still be there")),
        }
    }
}

/// The error of a failed `add`, with the page to link the provider at, if there is one.
fn add_error(cli_error: CliError, workspace: &Workspace<'_>, provider: &str) -> BackendError {
    match cli_error.for_write(workspace.stripe.invocation("add", Some(provider))) {
        BackendError::NotLinked { provider, folder } => match workspace.link(&provider) {
            Some(url) => BackendError::NeedsLink { url },
            None => BackendError::NotLinked { provider, folder },
        },
        error => error,
    }
}

fn limit_error(cli_error: CliError, stripe: &Stripe<'_>, provider: String, limit: Cents) -> BackendError {
    let is_refused = matches!(cli_error, CliError::Refused(_));
    match cli_error.for_write(stripe.invocation("billing update", Some(&provider))) {
        BackendError::NeedsConsent(_)
        | BackendError::Refused(Refusal::Configuration { .. } | Refusal::ProviderFailed { .. } | Refusal::TooMany)
        | BackendError::Unavailable { .. }
        | BackendError::Unknown { .. }
            if is_refused =>
        {
            Refusal::LimitNotSet { provider, limit }.into()
        }
        error => not_added(error),
    }
}

/// The error before the `add`, or after it if the service is proved absent: nothing was added.
fn not_added(error: BackendError) -> BackendError {
    if error.is_definite() { error } else { BackendError::Unavailable { why: error.into() } }
}

fn unknown(why: impl Into<Cause>) -> BackendError {
    BackendError::Unknown { why: why.into() }
}

/// Statuses of a service.
const COMPLETE: &str = "complete";
const ERROR: &str = "error";
const FAILED: &str = "failed";
const PENDING: &str = "pending";
