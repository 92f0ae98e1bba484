//! The real Stripe Projects, through the Stripe CLI's `projects` plugin.
//!
//! Each call takes one lock, runs its commands one after another, and releases it. A command's own answer counts only
//! if it is a refusal; what exists is what `status` and `services list` show. See `runner` for the process and its
//! lock, `cli_error` for the meaning of Stripe's refusals, and `order` for the order of effects.

mod catalog;
mod cli_error;
mod envelope;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod interrupted_add;
mod lost_project;
mod order;
mod queue;
mod runner;
mod services;
mod spend;
mod timeouts;
mod variables;
mod verbs;
mod workspace;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use domain::{money::MicroUsd, project::ResourceId};
use files::fs::{self, FsError, Lock};
use queue::Queue;
use runner::{RunError, Runner};
use services::{ServiceList, ServiceRow, is_for};
pub use timeouts::Timeouts;
use tokio::time::sleep;
use verbs::{Stripe, VERSION_TIMEOUT, is_too_old};
use workspace::{Workspace, has_begun, plain_copies, plain_copy};

use super::{
    Backend, BackendError, BackendNotes, CapScope, Cause, CommittedCaps, Credentials, Limits, MarkedResource, Metering,
    NewCap, Observed, Order, Scope, Service, Setup, blocking,
};

/// The backend that provisions through the Stripe CLI, on the account that it is logged in to.
pub struct StripeCli {
    runner: Runner,
    notes: Arc<dyn BackendNotes>,
    limits: Limits,
    /// The working directory of `stripe`.
    folder: PathBuf,
    queue: Queue,
    timeouts: Timeouts,
}

impl StripeCli {
    /// Opens and runs nothing yet. Without a `bin`, every call reports that the program is missing.
    #[expect(clippy::needless_pass_by_value, reason = "a composition root hands its parts over")]
    pub fn new<N: BackendNotes + CommittedCaps + 'static>(
        bin: Option<PathBuf>,
        notes: Arc<N>,
        state: PathBuf,
        timeouts: Timeouts,
    ) -> Self {
        let folder = state.join("stripe-cli");
        Self {
            runner: Runner::new(bin, &folder),
            limits: Limits::new(notes.clone(), notes.clone(), state.join("stripe-cli-limits.lock")),
            notes,
            folder,
            queue: Queue::in_folder(&state),
            timeouts,
        }
    }

    /// Locks `stripe` for this call, waiting at most `timeout`.
    async fn lock(&self, timeout: Duration) -> Result<Stripe<'_>, BackendError> {
        let lock = self.acquire(move |queue| queue.wait(timeout)).await?;
        let running = Some(self.queue.running());
        Ok(Stripe { runner: &self.runner, lock, folder: &self.folder, running, timeouts: self.timeouts })
    }

    /// Locks `stripe` for a kill, as the next one after the call in flight.
    ///
    /// # Errors
    /// [`BackendError::NotFound`] if nothing was ever ordered here; then nothing is run.
    async fn lock_first(&self) -> Result<Stripe<'_>, BackendError> {
        if !self.has_begun()? {
            return Err(BackendError::NotFound);
        }
        let Timeouts { kill_timeout, lock_timeout, .. } = self.timeouts;
        let lock = self.acquire(move |queue| queue.go_first(kill_timeout, lock_timeout)).await?;
        Ok(Stripe { runner: &self.runner, lock, folder: &self.folder, running: None, timeouts: self.timeouts })
    }

    async fn acquire(
        &self,
        wait: impl FnOnce(&Queue) -> Result<Option<Lock>, FsError> + Send + 'static,
    ) -> Result<Lock, BackendError> {
        let unavailable = |why: Cause| BackendError::Unavailable { why };
        let (folder, queue) = (self.folder.clone(), self.queue.clone());
        let locked = blocking(
            move || {
                fs::create_private_folder(&folder)?;
                let lock = wait(&queue)?;
                // Removes the plain copy of a process that was killed.
                lock.map(|lock| fs::remove(&plain_copy(&folder)).map(|()| lock)).transpose().map_err(LockError::from)
            },
            || LockError::Panicked,
        );
        let lock = locked.await.map_err(|error| unavailable(error.into()))?;
        lock.ok_or_else(|| unavailable("another call to the Stripe CLI is still running".into()))
    }

    /// Locks `stripe` for a call about an existing resource.
    ///
    /// # Errors
    /// [`BackendError::NotFound`] if nothing was ever ordered here; then nothing is run.
    async fn lock_existing(&self) -> Result<Stripe<'_>, BackendError> {
        if !self.has_begun()? {
            return Err(BackendError::NotFound);
        }
        self.lock(self.timeouts.lock_timeout).await
    }

    /// Finds our project and one of its services.
    ///
    /// # Errors
    /// [`BackendError::NotFound`] if either does not exist.
    async fn find<'a>(
        &'a self,
        stripe: &'a Stripe<'a>,
        resource: &ResourceId,
    ) -> Result<(Workspace<'a>, ServiceRow), BackendError> {
        let workspace = Workspace::find(stripe, &*self.notes).await?.ok_or(BackendError::NotFound)?;
        let service = workspace.service(resource)?;
        Ok((workspace, service))
    }

    fn has_begun(&self) -> Result<bool, BackendError> {
        has_begun(&*self.notes, &self.folder)
    }

    /// Removes a service, and waits until Stripe no longer lists it.
    async fn remove(&self, resource: &ResourceId) -> Result<(), BackendError> {
        let stripe = self.lock_existing().await?;
        let (mut workspace, service) = self.find(&stripe, resource).await?;
        let result = stripe.remove(&service.name).await;
        let invocation = stripe.invocation("remove", Some(service.provider()));
        let refusal = result.err().map(|cli_error| cli_error.for_write(invocation));
        for pause in [0, 1, 1, 1] {
            sleep(self.timeouts.poll_pause * pause).await;
            workspace.refresh().await.map_err(|error| BackendError::Unknown { why: error.into() })?;
            if workspace.services()?.service_with_id(resource)?.is_none() {
                return Ok(());
            }
        }
        let still_listed = BackendError::Unknown { why: format!("stripe still lists {}", service.name).into() };
        Err(refusal.filter(BackendError::is_definite).unwrap_or(still_listed))
    }

    /// Returns the cost of each of these services, if Stripe reports it.
    ///
    /// `spend` reports a provider, so its amount is a service's own only if that is the provider's only one.
    async fn usages(&self, stripe: &Stripe<'_>, all: &ServiceList, services: &[&ServiceRow]) -> Vec<Option<MicroUsd>> {
        let mut usages = Vec::new();
        let mut answers = true;
        for service in services {
            let is_alone = all.services().filter(|other| other.is_same_provider(service)).count() == 1;
            let spend = if is_alone && answers {
                stripe.spend(&service.slug()).await.map_err(|_| answers = false).ok()
            } else {
                None
            };
            usages.push(spend.and_then(|data| spend::amount(&data)));
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
        let stripe = self.lock(self.timeouts.lock_timeout).await?;
        self.submit(&stripe, order).await
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        let stripe = self.lock_existing().await?;
        let (mut workspace, service) = self.find(&stripe, resource).await?;
        workspace.choose_environment().await?;
        workspace.credentials(&service).await
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        let stripe = self.lock_existing().await?;
        let (mut workspace, service) = self.find(&stripe, resource).await?;
        workspace.choose_environment().await?;
        let result = stripe.rotate(&service.name).await;
        result.map_err(|cli_error| cli_error.for_write(stripe.invocation("rotate", Some(service.provider()))))?;
        // The old key is revoked from here on, so no error may be definite.
        workspace.credentials(&service).await.map_err(BackendError::into_unknown)
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        match self.remove(resource).await {
            Err(BackendError::NotFound) => Ok(()),
            result => result,
        }
    }

    /// A cap is a part of the provider's limit.
    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError> {
        let stripe = self.lock_existing().await?;
        self.limit_provider(&stripe, new.service.provider()).await
    }

    /// A rotation whose new key is not asked for. Stripe has no other way to stop a service without losing it.
    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        let stripe = self.lock_first().await?;
        let (mut workspace, service) = self.find(&stripe, resource).await?;
        let _ = workspace.choose_environment().await; // another environment is no reason to leave the key alive
        let result = stripe.rotate(&service.name).await;
        let _ = fs::remove(&plain_copy(&self.folder)); // as the next call does
        result.map_err(|cli_error| cli_error.for_write(stripe.invocation("rotate", Some(service.provider()))))?;
        Ok(())
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        let stripe = self.lock_existing().await?;
        self.find(&stripe, resource).await.map(drop)
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        if !self.has_begun()? {
            return Ok(Vec::new());
        }
        let is_list = matches!(scope, Scope::Resources(_));
        let stripe = self.lock(if is_list { LIST_LOCK_TIMEOUT } else { self.timeouts.lock_timeout }).await?;
        let Some(workspace) = Workspace::find(&stripe, &*self.notes).await? else {
            return Ok(Vec::new());
        };
        let all = workspace.services()?;
        let mut in_scope = Vec::new();
        for service in all.services() {
            let no_id = || BackendError::Malformed { what: "service", got: "no id".to_owned() };
            let id = service.id.as_ref().ok_or_else(no_id)?;
            let is_in_scope = match scope {
                Scope::Everything => true,
                Scope::Order(order) => is_for(&service.name, order),
                Scope::Resources(resources) => resources.contains(id),
            };
            if is_in_scope {
                in_scope.push((service, id));
            }
        }
        if let (Scope::Order(order), true) = (scope, in_scope.is_empty()) {
            self.check_absence(order)?;
        }
        let services: Vec<&ServiceRow> = in_scope.iter().map(|(service, _)| *service).filter(|_| is_list).collect();
        let mut usages = self.usages(&stripe, &all, &services).await.into_iter();
        let order = if let Scope::Order(order) = scope { Some(order) } else { None };
        let observed = in_scope.into_iter().map(|(_, id)| Observed {
            resource: id.clone(),
            order: order.cloned(),
            suspended: false,
            usage: usages.next().flatten(),
        });
        Ok(observed.collect())
    }

    async fn version(&self) -> Result<Option<String>, BackendError> {
        let output = match self.runner.version(VERSION_TIMEOUT).await {
            Err(RunError::Missing) => return Err(Setup::CliMissing.into()),
            output => output,
        };
        let no_version = || BackendError::Unavailable { why: "the Stripe CLI prints no version".into() };
        let version = envelope::version(output).ok_or_else(no_version)?;
        if is_too_old(&version) {
            return Err(Setup::CliTooOld.into());
        }
        let numbers: Vec<String> = version.iter().map(ToString::to_string).collect();
        Ok(Some(format!("stripe {}", numbers.join("."))))
    }

    async fn marked(&self) -> Result<Vec<MarkedResource>, BackendError> {
        self.list_marked().await
    }

    async fn adopt(&self, resource: &MarkedResource, credentials: &[String]) -> Result<(), BackendError> {
        self.note_adopted(&resource.resource, credentials).await
    }

    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        // Every start calls this, and nearly always there is nothing to do. Then it takes no lock.
        if !self.has_begun()? || !self.limits.has_drift().await? {
            return Ok(());
        }
        let stripe = self.lock(self.timeouts.lock_timeout).await?;
        while let Some(change) = self.limits.next_drift().await? {
            self.set_limit(&stripe, change).await?;
        }
        Ok(())
    }
}

/// Removes the credentials in plain text that a killed process left in the state folder, unless `stripe` runs now.
///
/// Whichever backend is in use now: the file is of an earlier process.
pub fn sweep(state: &Path) {
    let folder = state.join("stripe-cli");
    let copies = plain_copies(&folder);
    if copies.is_empty() {
        return;
    }
    // A failure leaves the file to the next start, and to the next call.
    if let Ok(Some(_lock)) = Lock::on_file(&state.join("stripe-cli.lock"), Duration::ZERO) {
        for copy in copies {
            let _ = fs::remove(&copy);
        }
    }
}

/// Why `stripe` could not be locked.
#[derive(Debug, thiserror::Error)]
enum LockError {
    #[error(transparent)]
    Fs(#[from] FsError),
    #[error("locking the Stripe CLI failed unexpectedly")]
    Panicked,
}

/// The name by which the ledger knows this backend.
pub const NAME: &str = "stripe-cli";

/// How long a list waits for a running call. Its result is of no use later.
const LIST_LOCK_TIMEOUT: Duration = Duration::from_secs(2);
