//! The real Stripe Projects, through the Stripe CLI's `projects` plugin.
//!
//! Each call takes one lock, says its verbs one after another, and lets go. What a verb says of itself is believed only
//! where it says no; what there is, is what `status` and `services list` show. See `runner` for the process and its
//! lock, `cli_error` for what each refusal of Stripe's means, and `order` for the order of effects.

mod catalog;
mod cli_error;
mod cut_off;
mod envelope;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod order;
mod runner;
mod services;
mod spend;
mod variables;
mod verbs;
mod workspace;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use runner::{RunError, Runner};
use services::{Row, Rows, is_for};
use tokio::{task, time::sleep};
use verbs::{Stripe, VERSION_TIMEOUT, is_too_old};
use workspace::{Workspace, is_begun, plain_copy};

use super::{Backend, BackendError, CapScope, Credentials, Limits, Metering, Observed, Order, Scope, Service, Setup};
use crate::{
    fs::{self, FsError, Lock},
    ledger::Ledger,
    money::MicroUsd,
    project::ResourceId,
};

/// The backend that buys with the human's own Stripe account.
pub struct StripeCli {
    runner: Runner,
    ledger: Arc<Ledger>,
    limits: Limits,
    /// Where `stripe` is run.
    folder: PathBuf,
    lock: PathBuf,
    timeouts: Timeouts,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// One run of `stripe`.
    pub verb: Duration,
    /// Between two looks at something that is on its way.
    pub poll_pause: Duration,
    /// Until something is no longer waited for.
    pub poll_patience: Duration,
    /// For another call to finish.
    pub lock_patience: Duration,
    /// How long Stripe may still be at work on an `add` that was cut off.
    pub cut_off_memory: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            verb: seconds(90),
            poll_pause: seconds(1),
            poll_patience: seconds(90),
            lock_patience: seconds(100),
            cut_off_memory: seconds(15 * 60),
        }
    }
}

impl StripeCli {
    /// Opens and runs nothing yet. Without a `bin`, `stripe` is looked for on `PATH`.
    #[expect(clippy::needless_pass_by_value, reason = "a composition root hands its parts over")]
    pub fn new(bin: Option<PathBuf>, ledger: Arc<Ledger>, state: PathBuf, timeouts: Timeouts) -> Self {
        let folder = state.join("stripe-cli");
        Self {
            runner: Runner::new(bin, &folder),
            limits: Limits::new(Arc::clone(&ledger), NAME, state.join("stripe-cli-limits.lock")),
            ledger,
            folder,
            lock: state.join("stripe-cli.lock"),
            timeouts,
        }
    }

    /// `stripe`, once nobody else of this workspace uses it.
    async fn stripe(&self, timeout: Duration) -> Result<Stripe<'_>, BackendError> {
        let (folder, lock) = (self.folder.clone(), self.lock.clone());
        let locked = task::spawn_blocking(move || {
            fs::create_private_folder(&folder)?;
            let lock = Lock::on_file(&lock, timeout)?;
            // What a dead process left in the plain, if it did.
            lock.map(|lock| fs::remove(&plain_copy(&folder)).map(|()| lock)).transpose()
        });
        let unavailable = |why: String| BackendError::Unavailable { why };
        let locked = locked.await.unwrap_or_else(|_| Ok(None)).map_err(|error: FsError| unavailable(error.to_string()));
        let lock = locked?.ok_or_else(|| unavailable("another call to the Stripe CLI is still running".to_owned()))?;
        Ok(Stripe { runner: &self.runner, lock, folder: &self.folder, timeouts: self.timeouts })
    }

    fn is_begun(&self) -> Result<bool, BackendError> {
        is_begun(&self.ledger, &self.folder)
    }

    /// What each of these has cost, where Stripe says so. `spend` speaks of a provider, so it is some service's own
    /// only where that is the provider's only one.
    async fn usages(&self, stripe: &Stripe<'_>, rows: &Rows, asked: &[&Row]) -> Vec<Option<MicroUsd>> {
        let mut usages = Vec::new();
        let mut answers = true;
        for row in asked {
            let is_alone = rows.services().filter(|other| other.is_same_provider(row)).count() == 1;
            let told = if is_alone && answers {
                stripe.spend(&row.slug()).await.map_err(|_| answers = false).ok()
            } else {
                None
            };
            usages.push(told.and_then(|data| spend::amount(&data)));
        }
        usages
    }
}

#[async_trait]
impl Backend for StripeCli {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cap_scope(&self) -> CapScope {
        CapScope::ProviderAndMonth
    }

    fn requires_cap_enforcement(&self) -> bool {
        true
    }

    fn metering(&self) -> Metering {
        Metering::Remote
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        let stripe = self.stripe(self.timeouts.lock_patience).await?;
        self.submit(&stripe, order).await
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        if !self.is_begun()? {
            return Err(BackendError::NotFound);
        }
        let stripe = self.stripe(self.timeouts.lock_patience).await?;
        let mut workspace = Workspace::find(&stripe, &self.ledger).await?.ok_or(BackendError::NotFound)?;
        let row = workspace.service(resource)?;
        workspace.choose_environment().await?;
        workspace.credentials(&row).await
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        if !self.is_begun()? {
            return Err(BackendError::NotFound);
        }
        let stripe = self.stripe(self.timeouts.lock_patience).await?;
        let mut workspace = Workspace::find(&stripe, &self.ledger).await?.ok_or(BackendError::NotFound)?;
        let row = workspace.service(resource)?;
        workspace.choose_environment().await?;
        let told = stripe.rotate(&row.name).await;
        told.map_err(|cli_error| cli_error.for_write(stripe.asked("rotate", Some(row.provider()))))?;
        // The old key is dead from here on, so no error may say that nothing happened.
        workspace.credentials(&row).await.map_err(BackendError::into_unknown)
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        if !self.is_begun()? {
            return Ok(());
        }
        let stripe = self.stripe(self.timeouts.lock_patience).await?;
        let Some(mut workspace) = Workspace::find(&stripe, &self.ledger).await? else {
            return Ok(());
        };
        let row = match workspace.service(resource) {
            Err(BackendError::NotFound) => return Ok(()),
            found => found?,
        };
        let told = stripe.remove(&row.name).await;
        let refused = told.err().map(|cli_error| cli_error.for_write(stripe.asked("remove", Some(row.provider()))));
        for pause in [0, 1, 1, 1] {
            sleep(self.timeouts.poll_pause * pause).await;
            workspace.look().await.map_err(|error| BackendError::Unknown { why: error.to_string() })?;
            if workspace.rows()?.service_with_id(resource)?.is_none() {
                return Ok(());
            }
        }
        let survives = BackendError::Unknown { why: format!("stripe still lists {}", row.name) };
        Err(refused.filter(BackendError::is_definite).unwrap_or(survives))
    }

    /// A key that nobody has works for nobody; there is no other way to stop a service without losing it.
    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.rotate(resource).await.map(drop)
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        if !self.is_begun()? {
            return Err(BackendError::NotFound);
        }
        let stripe = self.stripe(self.timeouts.lock_patience).await?;
        let workspace = Workspace::find(&stripe, &self.ledger).await?.ok_or(BackendError::NotFound)?;
        workspace.service(resource).map(drop)
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        if !self.is_begun()? {
            return Ok(Vec::new());
        }
        let is_list = matches!(scope, Scope::Resources(_));
        let stripe = self.stripe(if is_list { LIST_PATIENCE } else { self.timeouts.lock_patience }).await?;
        let Some(workspace) = Workspace::find(&stripe, &self.ledger).await? else {
            return Ok(Vec::new());
        };
        let rows = workspace.rows()?;
        let mut seen = Vec::new();
        for row in rows.services() {
            let id =
                row.id.as_ref().ok_or_else(|| BackendError::Malformed { what: "service", got: "no id".to_owned() })?;
            let is_asked = match scope {
                Scope::Everything => true,
                Scope::Order(order) => is_for(&row.name, order),
                Scope::Resources(resources) => resources.contains(id),
            };
            if is_asked {
                seen.push((row, id));
            }
        }
        if let (Scope::Order(order), true) = (scope, seen.is_empty()) {
            self.proved_absent(order)?;
        }
        let asked: Vec<&Row> = seen.iter().map(|(row, _)| *row).filter(|_| is_list).collect();
        let mut usages = self.usages(&stripe, &rows, &asked).await.into_iter();
        let order = if let Scope::Order(order) = scope { Some(order) } else { None };
        let observed = seen.into_iter().map(|(_, id)| Observed {
            resource: id.clone(),
            order: order.cloned(),
            suspended: false,
            usage: usages.next().flatten(),
        });
        Ok(observed.collect())
    }

    async fn version(&self) -> Result<Option<String>, BackendError> {
        match self.runner.version(VERSION_TIMEOUT).await {
            Err(RunError::Missing) => Err(Setup::CliMissing.into()),
            told => {
                let silent = || BackendError::Unavailable { why: "the Stripe CLI does not say its version".to_owned() };
                let version = envelope::version(told).ok_or_else(silent)?;
                if is_too_old(&version) {
                    return Err(Setup::CliTooOld.into());
                }
                let numbers: Vec<String> = version.iter().map(ToString::to_string).collect();
                Ok(Some(format!("stripe {}", numbers.join("."))))
            }
        }
    }

    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        // Every start asks, and nearly always there is nothing to do and nobody to wait for.
        if !self.is_begun()? || !self.limits.has_drift().await? {
            return Ok(());
        }
        let stripe = self.stripe(self.timeouts.lock_patience).await?;
        while let Some(change) = self.limits.next_drift().await? {
            self.tell_limit(&stripe, change).await?;
        }
        Ok(())
    }
}

const NAME: &str = "stripe-cli";

/// How long a list waits for a call that is at work: it is no use to anybody later.
const LIST_PATIENCE: Duration = Duration::from_secs(2);
