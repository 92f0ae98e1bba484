//! The one place through which every call goes: time limit, audit row, change notification.

use std::{
    borrow::Cow,
    fmt,
    future::{self, Future},
    panic,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use domain::{clock::Timestamp, diagnostic::Diagnostic as _, name::ProjectName, principal::Principal};
use tokio::task::{self, JoinError};
use tokio_util::sync::CancellationToken;

use super::{
    Action, Command, Interaction, Output, Rejected,
    call_log::{CallLog, WarningSink},
    perform,
};
use crate::{
    error::Error,
    provisioner::{AuditFacts, Called, OK, Provisioner},
};

/// The services, and what every call of every transport shares.
pub struct App {
    services: Arc<Provisioner>,
    calls: CallLog,
    listeners: Mutex<Vec<ChangeListener>>,
}

/// Receives the name of each project that a call has changed.
pub type ChangeListener = Arc<dyn Fn(&ProjectName) + Send + Sync>;

/// A call, as its audit row shows it.
#[derive(Clone, Debug)]
pub struct Call {
    principal: Principal,
    action: Action,
    facts: AuditFacts,
    subject: Option<ProjectName>,
}

/// The limits of one call.
pub struct Limits<T> {
    /// Cancelled once the channel is about to close: rows are then left to the last flush.
    pub closing: CancellationToken,
    /// The reply when time is up. The work goes on without an audience, and its effects are in the journal.
    pub expired: Pin<Box<dyn Future<Output = T> + Send>>,
}

/// What a transport answers with.
pub trait Reply: Send + 'static {
    /// Returns the outcome for the audit: [`OK`], or the code of a failure.
    fn outcome(&self) -> Cow<'static, str>;

    /// Returns the reply of a call whose work panicked or was cancelled.
    fn aborted(error: JoinError) -> Self;
}

impl App {
    /// Nothing is opened: that happens on first use.
    pub fn new(services: Arc<Provisioner>, warn: WarningSink) -> Self {
        Self { calls: CallLog::new(Arc::clone(&services), warn), services, listeners: Mutex::default() }
    }

    pub fn services(&self) -> &Arc<Provisioner> {
        &self.services
    }

    /// Has `listener` called for each project that a call changed.
    pub fn on_change(&self, listener: ChangeListener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Executes a command, or records that it could not be parsed.
    ///
    /// # Errors
    /// The command's, or the reason why it was rejected.
    pub async fn execute(
        self: &Arc<Self>,
        command: Result<Command, Rejected>,
        principal: &Principal,
        interaction: Arc<dyn Interaction>,
        limits: Limits<Result<Output, Error>>,
    ) -> Result<Output, Error> {
        let call = Call::new(&command, principal);
        let (app, principal) = (Arc::clone(self), principal.clone());
        let work = async move {
            match command {
                Ok(command) => app.perform(command, principal, interaction).await,
                Err(rejected) => Err(*rejected.error),
            }
        };
        self.conduct(call, limits, work).await
    }

    /// Performs a command within a call that is conducted already, as one of several attempts.
    ///
    /// # Errors
    /// The command's.
    pub async fn perform(
        &self,
        command: Command,
        principal: Principal,
        interaction: Arc<dyn Interaction>,
    ) -> Result<Output, Error> {
        self.blocking(move |services| perform::perform(services, &command, &principal, &*interaction)).await
    }

    /// Conducts a call whose work the transport brings along.
    ///
    /// The work runs in a task of its own: an effect that has begun is finished even if the answer is not awaited.
    pub async fn conduct<T: Reply>(
        self: &Arc<Self>,
        call: Call,
        limits: Limits<T>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let begun = Instant::now();
        let (app, subject) = (Arc::clone(self), call.subject.clone());
        let since = self.services.ports.now();
        let work = tokio::spawn(async move {
            let reply = work.await;
            if let Some(name) = subject {
                app.publish(name, since);
            }
            reply
        });
        let reply = tokio::select! {
            done = work => done.unwrap_or_else(T::aborted),
            expired = limits.expired => expired,
        };
        let outcome = reply.outcome().into_owned();
        // The call has waited for the ledger already, so its answer does not wait for it again.
        let is_deferred = limits.closing.is_cancelled() || outcome == LEDGER_UNAVAILABLE || outcome == NOT_RECORDED;
        self.calls.add(call.answered(outcome, begun), is_deferred).await;
        reply
    }

    /// Records a call that has its answer already.
    pub async fn record(&self, call: Call, outcome: &str) {
        self.calls.add(call.answered(outcome.to_owned(), Instant::now()), false).await;
    }

    /// Runs work on a thread that may block. A panic in it continues in the caller.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Provisioner) -> T + Send + 'static) -> T {
        let services = Arc::clone(&self.services);
        match task::spawn_blocking(move || work(&services)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                Err(_) => future::pending().await, // the runtime shuts down
            },
        }
    }

    /// Returns once there are audit rows to write.
    pub async fn audit_waiting(&self) {
        self.calls.changed().await;
    }

    /// Writes all audit rows, also of calls that are still being counted, and seals the audit.
    pub async fn close_audit(&self) {
        self.calls.close().await;
    }

    /// Writes the audit rows that wait, and seals the audit if `seal`.
    pub async fn flush_audit(&self, seal: bool) {
        self.calls.flush(seal).await;
    }

    /// Notifies the listeners if the project did change. A call that failed may have changed it, too.
    fn publish(self: Arc<Self>, name: ProjectName, since: Timestamp) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !listeners.is_empty() {
            task::spawn_blocking(move || {
                if self.services.projects.changed_since(&name, since) {
                    for listener in &listeners {
                        listener(&name);
                    }
                }
            });
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("services", &self.services).finish_non_exhaustive()
    }
}

impl Call {
    pub fn new<E>(command: &Result<Command, Rejected<E>>, principal: &Principal) -> Self {
        let principal = principal.clone();
        match command {
            Ok(command) => {
                let subject = command.subject().cloned();
                Self { principal, action: command.action(), facts: command.facts(), subject }
            }
            Err(Rejected { action, facts, .. }) => {
                Self { principal, action: *action, facts: facts.clone(), subject: None }
            }
        }
    }
}

impl Call {
    fn answered(self, outcome: String, begun: Instant) -> Called {
        let Self { principal, action, facts: arguments, .. } = self;
        let (access, took) = (action.access(), begun.elapsed());
        Called { action: action.as_str(principal.channel), principal, access, arguments, outcome, took, count: 1 }
    }
}

impl<T> Limits<T> {
    /// A call that may take as long as it needs.
    pub fn none() -> Self
    where
        T: Send + 'static,
    {
        Self { closing: CancellationToken::new(), expired: Box::pin(future::pending()) }
    }
}

impl Reply for Result<Output, Error> {
    fn outcome(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.as_ref().map_or_else(Error::code, |_| OK))
    }

    fn aborted(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(payload) => panic::resume_unwind(payload),
            Err(_) => Err(Error::StoppedWaiting),
        }
    }
}

/// The code of a ledger that another process holds, or that cannot be written.
const LEDGER_UNAVAILABLE: &str = "ledger_unavailable";

/// The code of a kill that met such a ledger.
const NOT_RECORDED: &str = "suspension_not_recorded";
