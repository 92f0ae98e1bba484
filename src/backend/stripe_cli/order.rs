//! One order, from the terms to the credentials: what is looked at, limited, bought, and waited for, in which order.
//!
//! `add` is not idempotent, so it is said once in the life of an order, after a list that would have shown its service.
//! Whatever becomes of that one `add` is then looked up by the service's name, which is the order's alone.

use tokio::time::{Instant, sleep};

use super::{
    StripeCli, catalog,
    cli_error::CliError,
    services::{Row, name_for},
    verbs::Stripe,
    workspace::Workspace,
};
use crate::{
    backend::{BackendError, Cause, Change, Consent, Order, Refusal, Service},
    money::Cents,
    name::ServiceRef,
};

impl StripeCli {
    pub(super) async fn submit(&self, stripe: &Stripe<'_>, order: &Order) -> Result<Service, BackendError> {
        let name = name_for(order.name.as_str(), &order.id);
        let mut workspace = self.prepare(stripe, order, &name).await.map_err(before)?;
        if !self.is_listed(&workspace, &name).await.map_err(before)? {
            self.limit(stripe, order.service.provider()).await.map_err(before)?;
            if let Some(plan) = &order.plan {
                self.have_plan(&mut workspace, plan, order.paid).await?;
            }
            self.add(&workspace, order, &name).await?;
        }
        let row = self.complete(&mut workspace, &name).await?;
        let resource = row.id.clone().ok_or_else(|| after("a service without an id"))?;
        let credentials = workspace.credentials(&row).await.map_err(doubted)?;
        Ok(Service { resource, credentials })
    }

    /// All that can be found out and made ready before anything can bill.
    async fn prepare<'a>(
        &'a self,
        stripe: &'a Stripe<'a>,
        order: &Order,
        name: &str,
    ) -> Result<Workspace<'a>, BackendError> {
        if !order.terms_accepted {
            return Err(Consent::Terms.into());
        }
        let found = Workspace::find(stripe, &self.ledger).await?;
        let is_there = match &found {
            Some(workspace) => workspace.rows()?.service_named(name).is_some(),
            None => false,
        };
        if !is_there {
            catalog::check(&stripe.catalog(order.service.provider()).await?, order)?;
        }
        let mut workspace = match found {
            Some(workspace) => workspace,
            None => Workspace::make(stripe, &self.ledger).await?,
        };
        workspace.choose_environment().await?;
        workspace.note_credentials(name, &order.credentials)?;
        Ok(workspace)
    }

    async fn is_listed(&self, workspace: &Workspace<'_>, name: &str) -> Result<bool, BackendError> {
        Ok(workspace.stripe.services().await?.service_named(name).is_some())
    }

    /// Has the provider's limit be what our live projects with it add up to.
    async fn limit(&self, stripe: &Stripe<'_>, provider: &str) -> Result<(), BackendError> {
        let change = self.limits.change(provider).await?;
        self.tell_limit(stripe, change).await
    }

    pub(super) async fn tell_limit(&self, stripe: &Stripe<'_>, change: Change) -> Result<(), BackendError> {
        match stripe.limit(&change.provider, change.limit).await {
            Ok(_) => self.limits.made(change).await,
            Err(cli_error) => Err(not_limited(cli_error, stripe, change.provider, change.limit)),
        }
    }

    /// A plan that is there is shared; one that is not is added, and looked for when it is unclear whether it was.
    async fn have_plan(
        &self,
        workspace: &mut Workspace<'_>,
        plan: &ServiceRef,
        paid: bool,
    ) -> Result<(), BackendError> {
        if workspace.rows().map_err(before)?.has_plan(plan) {
            return Ok(());
        }
        let name = plan.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "-").to_ascii_lowercase();
        let stripe = workspace.stripe;
        let Err(cli_error) = stripe.add(plan, &name, &serde_json::Map::new(), paid).await else {
            return Ok(());
        };
        match said_of_add(cli_error, workspace, plan.provider()) {
            // The account has it from elsewhere; whether it serves here is for the service's own `add` to say.
            BackendError::Refused(Refusal::TooMany) => Ok(()),
            error if error.is_definite() => Err(error),
            error => {
                workspace.look().await.map_err(before)?;
                if workspace.rows().map_err(before)?.has_plan(plan) { Ok(()) } else { Err(before(error)) }
            }
        }
    }

    /// Says it once. On return the service is listed, or is said to be.
    async fn add(&self, workspace: &Workspace<'_>, order: &Order, name: &str) -> Result<(), BackendError> {
        let told = workspace.stripe.add(&order.service, name, &order.config, order.paid).await;
        let Err(cli_error) = told else { return Ok(()) };
        if matches!(cli_error, CliError::LeftRunning) {
            return Err(cli_error.for_write(workspace.stripe.asked("add", None))); // whoever comes next waits for its end
        }
        let is_cut_off = matches!(cli_error, CliError::Unclear(_));
        if is_cut_off {
            self.note_cut_off(&order.id)?;
        }
        let error = match said_of_add(cli_error, workspace, order.service.provider()) {
            BackendError::Refused(Refusal::Configuration { fields }) if fields.is_empty() => {
                Refusal::Configuration { fields: order.config.keys().cloned().collect() }.into()
            }
            error => error,
        };
        let may_have = !error.is_definite() || matches!(error, BackendError::Refused(Refusal::ProviderFailed { .. }));
        if !may_have {
            return Err(error);
        }
        // It has ended, but Stripe may still be at it: an absence that is to prove something is looked at for a while.
        let pauses: &[u32] = if error.is_definite() { &[0] } else { &[0, 1, 1, 2, 2, 4] };
        for pause in pauses {
            sleep(self.timeouts.poll_pause * *pause).await;
            match self.is_listed(workspace, name).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(unclear) => return Err(after(format!("{error}; and looking for it: {unclear}"))),
            }
        }
        Err(if is_cut_off { error } else { before(error) })
    }

    /// Waits until the service is there to be used; one that failed is taken away again.
    async fn complete(&self, workspace: &mut Workspace<'_>, name: &str) -> Result<Row, BackendError> {
        let deadline = Instant::now() + self.timeouts.poll_patience;
        loop {
            workspace.look().await.map_err(doubted)?;
            let rows = workspace.rows().map_err(doubted)?;
            let row = rows.service_named(name);
            match row.map(|row| row.status.as_str()) {
                Some(COMPLETE) => return row.cloned().ok_or_else(|| after("nothing")),
                Some(FAILED | ERROR) => return Err(self.discard(workspace, name).await),
                None | Some(PENDING) if Instant::now() >= deadline => {
                    return Err(after(format!("{name} is not ready yet")));
                }
                None | Some(PENDING) => sleep(self.timeouts.poll_pause).await,
                Some(_) => return Err(after(format!("{name} is neither ready nor on its way"))),
            }
        }
    }

    /// Takes away what failed to come to be; why there is none.
    async fn discard(&self, workspace: &mut Workspace<'_>, name: &str) -> BackendError {
        let _ = workspace.stripe.remove(name).await; // the list says what came of it
        match workspace.stripe.services().await {
            Ok(rows) if rows.service_named(name).is_none() => Refusal::ProviderFailed { code: None }.into(),
            _ => after(format!("{name} failed and may still be there")),
        }
    }
}

/// What an `add` that did not work says, with the address to link the provider at, if there is one.
fn said_of_add(cli_error: CliError, workspace: &Workspace<'_>, provider: &str) -> BackendError {
    match cli_error.for_write(workspace.stripe.asked("add", Some(provider))) {
        BackendError::NotLinked { provider, folder } => match workspace.link(&provider) {
            Some(url) => BackendError::NeedsLink { url },
            None => BackendError::NotLinked { provider, folder },
        },
        error => error,
    }
}

fn not_limited(cli_error: CliError, stripe: &Stripe<'_>, provider: String, limit: Cents) -> BackendError {
    let said_no = matches!(cli_error, CliError::No(_));
    match cli_error.for_write(stripe.asked("billing update", Some(&provider))) {
        BackendError::NeedsConsent(_)
        | BackendError::Refused(Refusal::Configuration { .. } | Refusal::ProviderFailed { .. } | Refusal::TooMany)
        | BackendError::Unavailable { .. }
        | BackendError::Unknown { .. }
            if said_no =>
        {
            Refusal::LimitNotSet { provider, limit }.into()
        }
        error => before(error),
    }
}

/// Of whatever is in doubt before the one `add`, and of what proved to be absent after it: the service is not there.
fn before(error: BackendError) -> BackendError {
    if error.is_definite() { error } else { BackendError::Unavailable { why: error.into() } }
}

/// Once the service may be there, no error says that it is not.
fn doubted(error: BackendError) -> BackendError {
    if error.is_definite() { after(error) } else { error }
}

fn after(why: impl Into<Cause>) -> BackendError {
    BackendError::Unknown { why: why.into() }
}

/// The words of `status` for how far a service is.
const COMPLETE: &str = "complete";
const ERROR: &str = "error";
const FAILED: &str = "failed";
const PENDING: &str = "pending";
