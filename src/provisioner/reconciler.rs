//! Reconciles intents with the backend: whether the answer is known, uncertain or lost.
//!
//! The same code finishes an operation in the ordinary case and after a crash, so no rarely used path exists.

mod halted;

use std::{sync::Arc, time::Duration};

use backends::{BackendError, Credentials, Refusal, Scope};
use domain::{
    diagnostic::Diagnostic as _,
    name::EnvVar,
    project::{Project, ResourceId},
    secret::{Fingerprint, Secret},
};
use files::env_file::{EnvFileError, LOCK_TIMEOUT, Replace};
use serde_json::{Value, json};
use storage::ledger::{Intent, Operation, Verdict};

use super::{Phase, Ports, Principal, cap_changes::new_cap};
use crate::error::Error;

/// The result of reconciling an open intent.
pub(super) enum Reconciled {
    Done(Box<Project>),
    /// The backend certainly never acted; the entry is closed.
    NothingHappened,
    /// It cannot be determined or finished yet; the entry stays open, and `why` explains it.
    Open {
        why: Error,
    },
}

/// Takes operations from their intent to their recorded end, in the ordinary case and after a crash.
pub(super) struct Reconciler {
    pub ports: Arc<Ports>,
}

impl Reconciler {
    /// Reconciles the entry that an earlier call left open on a project, if any. The caller holds its lock.
    pub(super) fn reconcile_open(&self, project: &Project, principal: &Principal) -> Result<Option<Reconciled>, Error> {
        self.reconcile_open_replacing(project, Replace::OursOnly, principal)
    }

    /// As [`Self::reconcile_open`]; a delivery may overwrite what `replace` permits.
    pub(super) fn reconcile_open_replacing(
        &self,
        project: &Project,
        replace: Replace,
        principal: &Principal,
    ) -> Result<Option<Reconciled>, Error> {
        match self.ports.ledger.journal().open_intent(&project.id)? {
            None => Ok(None),
            Some(intent) => self.reconcile(intent, replace, principal).map(Some),
        }
    }

    /// Handles a failure of the backend: a definite one closes the intent, any other is looked up.
    pub(super) fn resolve(&self, intent: Intent, error: BackendError, principal: &Principal) -> Result<Project, Error> {
        if error.is_definite() {
            let error = Error::from(error);
            self.close_as_nothing(intent, &error, principal)?;
            return Err(error);
        }
        match self.reconcile(intent, Replace::OursOnly, principal)? {
            Reconciled::Done(project) => Ok(*project),
            Reconciled::NothingHappened => Err(error.into()),
            Reconciled::Open { why } => Err(why),
        }
    }

    /// Records the credentials, writes them to the env file, and closes the entry. Where a step fails, the intent stays
    /// open and the error names the step.
    pub(super) fn deliver(
        &self,
        mut intent: Intent,
        resource: &ResourceId,
        credentials: &Credentials,
        replace: Replace,
        principal: &Principal,
    ) -> Result<Project, Error> {
        let picked = match self.record(&mut intent, resource, credentials) {
            Ok(picked) => picked,
            Err(error) => return Err(undelivered(intent, error)),
        };
        if intent.operation == Operation::Rotate && intent.project.key_version == intent.was_version {
            let error = Error::RotationNotEffective { name: intent.project.name.clone() };
            self.close_as_nothing(intent, &error, principal)?;
            return Err(error);
        }
        self.ports.phase(Phase::Recorded);
        let halts = self.ports.ledger.halts();
        match halts.is_requested(&intent.project.id) {
            Ok(false) => {}
            Ok(true) => return Err(self.withhold(intent)),
            Err(error) => return Err(undelivered(intent, error.into())),
        }

        let variables = intent.project.deliveries.iter().map(|delivery| &delivery.env_var);
        let pairs: Vec<(&EnvVar, &Secret)> = variables.zip(&picked).collect();
        let recognise = |found: &[Fingerprint]| self.ports.recognise(found);
        let delivered = self.ports.delivery.deliver(&intent.project.env_file, &pairs, replace, &recognise);
        if let Err(error) = delivered {
            return Err(undelivered(intent, error));
        }
        self.ports.phase(Phase::Delivered);
        if matches!(halts.is_requested(&intent.project.id), Ok(true)) {
            return Err(self.withhold(intent)); // and takes the key out again
        }
        self.close_as_done(intent, principal)
    }

    /// Records the resource, and a new key version if the key is new. Returns the secrets to deliver.
    fn record(
        &self,
        intent: &mut Intent,
        resource: &ResourceId,
        credentials: &Credentials,
    ) -> Result<Vec<Secret>, Error> {
        let names = intent.project.deliveries.iter().map(|delivery| delivery.credential.as_deref());
        let picked: Result<Vec<Secret>, _> = names.map(|name| credentials.pick(name).cloned()).collect();
        let known = self.ports.ledger.issued_keys().current_fingerprint(&intent.project)?;
        match picked {
            Ok(picked) if picked.first().map(Secret::fingerprint) == known => Ok(picked),
            Ok(picked) => {
                self.ports.ledger.journal().record(intent, resource, &picked, self.ports.clock.now())?;
                Ok(picked)
            }
            Err(error) => {
                self.ports.ledger.journal().record(intent, resource, &[], self.ports.clock.now())?; // it is billed even if its credentials cannot be used
                Err(error.into())
            }
        }
    }

    /// Removes the resource, then the variables that hold our values. Fails as [`Self::deliver`] does.
    pub(super) fn remove(&self, mut intent: Intent, principal: &Principal) -> Result<Project, Error> {
        if let Some(resource) = intent.project.resource.clone() {
            intent.usage = self.ports.reported_usage(&resource); // the last chance to learn it
            if let Err(error) = self.ports.call_backend(&mut intent, self.ports.backend.teardown(&resource)) {
                return Err(Error::NotTornDown { name: intent.leave_open(), why: Box::new(error.into()) });
            }
        }
        self.ports.phase(Phase::Acted);
        self.remove_variables(intent, LOCK_TIMEOUT, principal)
    }

    /// Removes the variables that hold our values from the env file, and closes the entry. Waits at most `within` for
    /// another writer.
    pub(super) fn remove_variables(
        &self,
        intent: Intent,
        within: Duration,
        principal: &Principal,
    ) -> Result<Project, Error> {
        let variables: Vec<&EnvVar> = intent.project.deliveries.iter().map(|delivery| &delivery.env_var).collect();
        let recognise = |found: &[Fingerprint]| self.ports.recognise(found);
        if let Err(why) = self.ports.delivery.withdraw(&intent.project.env_file, &variables, &recognise, within) {
            let operation = intent.operation;
            return Err(Error::NotWithdrawn { name: intent.leave_open(), operation, why: Box::new(why) });
        }
        self.ports.phase(Phase::Delivered);
        self.close_as_done(intent, principal)
    }

    /// Finishes or closes an open intent. It may be cancelled until it acts on the backend's answer.
    pub(super) fn reconcile(
        &self,
        mut intent: Intent,
        replace: Replace,
        principal: &Principal,
    ) -> Result<Reconciled, Error> {
        if !matches!(intent.operation, Operation::Provision | Operation::Rotate) {
            self.ports.phase(Phase::Checked);
        }
        let may_enable = !matches!(intent.operation, Operation::Cap | Operation::Suspend | Operation::Teardown);
        if may_enable
            && intent.project.resource.is_some()
            && self.ports.ledger.halts().is_requested(&intent.project.id)?
        {
            return Ok(finished(self.suspend_instead(intent)));
        }
        match intent.operation {
            Operation::Cap => return Ok(finished(self.apply_cap(intent, principal))),
            Operation::Resume => {
                return Ok(match self.exposure(&intent) {
                    Some(why) => Reconciled::Open { why: undelivered(intent, why.into()) },
                    None => finished(self.reactivate(intent, replace, principal)),
                });
            }
            Operation::Suspend => return Ok(finished(self.disable_key(intent, principal))),
            Operation::Teardown => return Ok(finished(self.remove(intent, principal))),
            Operation::Provision | Operation::Rotate => {}
        }
        let resource = match self.resource_of(&mut intent) {
            Ok(Some(resource)) => resource,
            Ok(None) => return self.nothing_happened(intent, principal),
            Err(error) => return Ok(Reconciled::Open { why: unknown(intent, error) }),
        };
        let revealed = self.ports.call_backend(&mut intent, self.ports.backend.reveal(&resource));
        self.ports.phase(Phase::Checked);
        match revealed {
            Ok(credentials) => {
                if let Some(why) = self.exposure(&intent) {
                    self.record(&mut intent, &resource, &credentials)?;
                    return Ok(Reconciled::Open { why: undelivered(intent, why.into()) });
                }
                match self.deliver(intent, &resource, &credentials, replace, principal) {
                    Err(Error::RotationNotEffective { .. }) => Ok(Reconciled::NothingHappened), // already closed
                    Err(Error::Suspended { name }) => {
                        let withheld = self.ports.live(&name)?.ok_or_else(|| self.ports.missing(&name))?;
                        Ok(Reconciled::Done(Box::new(withheld))) // so is this one
                    }
                    other => Ok(finished(other)),
                }
            }
            Err(BackendError::NotFound) => self.nothing_happened(intent, principal),
            Err(error) => {
                // The resource exists, so a teardown must know it.
                if intent.project.resource.is_none() {
                    self.ports.ledger.journal().record(&mut intent, &resource, &[], self.ports.clock.now())?;
                }
                Ok(Reconciled::Open { why: unknown(intent, error) })
            }
        }
    }

    /// Returns why version control would take a key. The env file may have changed since the operation began.
    fn exposure(&self, intent: &Intent) -> Option<EnvFileError> {
        let preflight = self.ports.delivery.preflight(&intent.project.env_file);
        preflight.err().filter(|why| matches!(why, EnvFileError::Exposed { .. } | EnvFileError::Tracked { .. }))
    }

    /// Returns the resource of an intent: the recorded one, else the one that its order created.
    fn resource_of(&self, intent: &mut Intent) -> Result<Option<ResourceId>, BackendError> {
        if let Some(resource) = &intent.project.resource {
            return Ok(Some(resource.clone()));
        }
        let id = intent.project.id.clone();
        let observed = self.ports.call_backend(intent, self.ports.backend.observe(Scope::Order(&id)))?;
        Ok(observed.into_iter().next().map(|observed| observed.resource))
    }

    /// Disables the key and removes its variables. Where a step fails, the intent stays open.
    pub(super) fn disable_key(&self, mut intent: Intent, principal: &Principal) -> Result<Project, Error> {
        if let Some(resource) = intent.project.resource.clone()
            && let Err(error) = self.ports.call_backend(&mut intent, self.ports.backend.suspend(&resource))
        {
            return Err(self.not_disabled(intent, error, principal));
        }
        self.ports.phase(Phase::Acted);
        self.remove_variables(intent, LOCK_TIMEOUT, principal)
    }

    /// Records that a key was not disabled, or may not have been, and returns the error for it.
    pub(super) fn not_disabled(&self, intent: Intent, error: BackendError, principal: &Principal) -> Error {
        if !error.is_definite() {
            return Error::NotSuspended { name: intent.leave_open(), why: Box::new(error.into()) };
        }
        let error = match error {
            BackendError::Refused(Refusal::CannotDisable) => Error::CannotDisable { name: intent.project.name.clone() },
            error => error.into(),
        };
        match self.close_as_nothing(intent, &error, principal) {
            Ok(()) => error,
            Err(unlogged) => unlogged,
        }
    }

    /// Enables the key at the backend, and delivers it.
    pub(super) fn reactivate(
        &self,
        mut intent: Intent,
        replace: Replace,
        principal: &Principal,
    ) -> Result<Project, Error> {
        let Some(resource) = intent.project.resource.clone() else {
            return Err(self.ports.missing(&intent.leave_open())); // a suspended project has a resource
        };
        if self.ports.ledger.halts().is_requested(&intent.project.id)? {
            return Err(self.withhold(intent));
        }
        let answer = self.ports.call_backend(&mut intent, async {
            self.ports.backend.resume(&resource).await?;
            // From here on something may have happened, whatever the error.
            self.ports.backend.reveal(&resource).await.map_err(BackendError::into_unknown)
        });
        self.ports.phase(Phase::Acted);
        match answer {
            Ok(credentials) => self.deliver(intent, &resource, &credentials, replace, principal),
            Err(error) if error.is_definite() => {
                let error = Error::from(error);
                self.close_as_nothing(intent, &error, principal)?;
                Err(error)
            }
            Err(error) => {
                let operation = intent.operation;
                Err(Error::OutcomeUnknown { name: intent.leave_open(), operation, why: Box::new(error.into()) })
            }
        }
    }

    /// Has the backend enforce the project's new cap, and closes the entry. A refusal leaves the earlier cap.
    pub(super) fn apply_cap(&self, mut intent: Intent, principal: &Principal) -> Result<Project, Error> {
        let Some(mut new) = new_cap(&intent) else {
            return Err(self.ports.missing(&intent.leave_open())); // an active project has a resource
        };
        new.enables &= !self.ports.ledger.halts().is_requested(&intent.project.id)?;
        let answer = self.ports.call_backend(&mut intent, self.ports.backend.set_cap(&new));
        self.ports.phase(Phase::Acted);
        match answer {
            Ok(()) => {
                intent.usage = self.ports.reported_usage(&new.resource);
                self.close_as_done(intent, principal)
            }
            Err(error) if error.is_definite() => {
                let error = Error::from(error);
                self.close_as_nothing(intent, &error, principal)?;
                Err(error)
            }
            Err(error) => Err(unknown(intent, error)),
        }
    }

    fn nothing_happened(&self, intent: Intent, principal: &Principal) -> Result<Reconciled, Error> {
        self.close_as_nothing(intent, &BackendError::NotFound.into(), principal)?;
        Ok(Reconciled::NothingHappened)
    }

    pub(super) fn close_as_nothing(&self, intent: Intent, why: &Error, principal: &Principal) -> Result<(), Error> {
        let (action, status) = (intent.operation.as_str(), intent.when_nothing_happened());
        let detail = with_ids(json!({ "code": why.code() }), &intent);
        let event = self.ports.event(principal, action, Verdict::Failed, detail);
        self.ports.ledger.journal().close(intent, status, &event)?;
        if status.is_live() { Ok(()) } else { self.ports.reconcile_limits(principal) }
    }

    pub(super) fn close_as_done(&self, intent: Intent, principal: &Principal) -> Result<Project, Error> {
        let (action, status) = (intent.operation.as_str(), intent.when_done());
        let detail = json!({ "key_version": intent.project.key_version, "cap_cents": intent.project.cap.cents() });
        let detail = with_ids(detail, &intent);
        let event = self.ports.event(principal, action, Verdict::Done, detail);
        let project = self.ports.ledger.journal().close(intent, status, &event)?;
        self.ports.phase(Phase::Closed);
        if !status.is_live() {
            self.ports.reconcile_limits(principal)?;
        }
        Ok(project)
    }
}

/// Adds the backend's ids of the resource and of our requests to the facts of an audit row.
fn with_ids(mut detail: Value, intent: &Intent) -> Value {
    if let Some(facts) = detail.as_object_mut() {
        if let Some(resource) = &intent.project.resource {
            facts.insert("resource".to_owned(), json!(resource.as_str()));
        }
        if !intent.request_ids.is_empty() {
            facts.insert("request_ids".to_owned(), json!(intent.request_ids));
        }
    }
    detail
}

fn finished(outcome: Result<Project, Error>) -> Reconciled {
    match outcome {
        Ok(project) => Reconciled::Done(Box::new(project)),
        Err(why) => Reconciled::Open { why },
    }
}

fn undelivered(intent: Intent, why: Error) -> Error {
    let operation = intent.operation;
    Error::NotDelivered { name: intent.leave_open(), operation, why: Box::new(why) }
}

fn unknown(intent: Intent, why: BackendError) -> Error {
    let operation = intent.operation;
    Error::OutcomeUnknown { name: intent.leave_open(), operation, why: Box::new(why.into()) }
}
