//! Settling: from an intent whose answer is at hand, in doubt or lost, to what is known to be true.
//!
//! The same code finishes an operation in the ordinary case and after a crash, so there is no second, seldom
//! travelled way to the end.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Phase, Ports, Principal};
use crate::{
    backend::{BackendError, Credentials, Scope},
    env_file::Replace,
    error::Error,
    ledger::{Intent, Operation, Verdict},
    name::EnvVar,
    project::{Project, ResourceId},
    secret::{Fingerprint, Secret},
};

/// What became of an open intent.
pub(super) enum Reconciled {
    Done(Box<Project>),
    /// The backend is certain never to have acted; the entry is closed.
    NothingHappened,
    /// It cannot be told or finished yet; the entry stays open, and `why` says so in full.
    Open {
        why: Error,
    },
}

/// Takes operations from their intent to their recorded end, in the ordinary case and after a crash.
pub(super) struct Reconciler {
    pub ports: Arc<Ports>,
}

impl Reconciler {
    /// Settles what an earlier call left open on a project, if anything. Its lock must be held.
    pub(super) fn reconcile_open(&self, project: &Project, principal: &Principal) -> Result<Option<Reconciled>, Error> {
        match self.ports.ledger.open_intent(&project.id)? {
            None => Ok(None),
            Some(intent) => self.reconcile(intent, principal).map(Some),
        }
    }

    /// What to make of a backend that did not do what was asked: an error that is certain closes the intent, any
    /// other has us look.
    pub(super) fn resolve(&self, intent: Intent, error: BackendError, principal: &Principal) -> Result<Project, Error> {
        if error.is_definite() {
            let error = Error::from(error);
            self.close_as_nothing(intent, &error, principal)?;
            return Err(error);
        }
        match self.reconcile(intent, principal)? {
            Reconciled::Done(project) => Ok(*project),
            Reconciled::NothingHappened => Err(error.into()),
            Reconciled::Open { why } => Err(why),
        }
    }

    /// Takes what the backend handed out to its end: recorded, in the env file, closed. Where it stops half way, the
    /// intent stays open and the error says what is missing.
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

        let variables = intent.project.deliveries.iter().map(|delivery| &delivery.env_var);
        let pairs: Vec<(&EnvVar, &Secret)> = variables.zip(&picked).collect();
        let recognise = |found: &[Fingerprint]| self.ports.recognise(found);
        let delivered = self.ports.delivery.deliver(&intent.project.env_file, &pairs, replace, &recognise);
        if let Err(error) = delivered {
            return Err(undelivered(intent, error));
        }
        self.ports.phase(Phase::Delivered);
        self.close_as_done(intent, principal)
    }

    /// Records the resource, and a new key version if the key is not the one that we know; what is to be delivered.
    fn record(
        &self,
        intent: &mut Intent,
        resource: &ResourceId,
        credentials: &Credentials,
    ) -> Result<Vec<Secret>, Error> {
        let names = intent.project.deliveries.iter().map(|delivery| delivery.credential.as_deref());
        let picked: Result<Vec<Secret>, _> = names.map(|name| credentials.pick(name).cloned()).collect();
        let known = self.ports.ledger.current_fingerprint(&intent.project)?;
        match picked {
            Ok(picked) if picked.first().map(Secret::fingerprint) == known => Ok(picked),
            Ok(picked) => {
                self.ports.ledger.record(intent, resource, &picked, self.ports.clock.now())?;
                Ok(picked)
            }
            Err(error) => {
                self.ports.ledger.record(intent, resource, &[], self.ports.clock.now())?; // it is billed, whatever it is called
                Err(error.into())
            }
        }
    }

    /// Removes the resource and the variables that carry our values; the rest of [`Self::deliver`]'s promise.
    pub(super) fn remove(&self, mut intent: Intent, principal: &Principal) -> Result<Project, Error> {
        if let Some(resource) = intent.project.resource.clone()
            && let Err(error) = self.ports.call_backend(&mut intent, self.ports.backend.teardown(&resource))
        {
            return Err(Error::NotTornDown { name: intent.leave_open(), why: Box::new(error.into()) });
        }
        self.ports.phase(Phase::Acted);
        self.remove_variables(intent, principal)
    }

    /// Takes the variables that carry our values out of the env file, which ends what killed the key.
    pub(super) fn remove_variables(&self, intent: Intent, principal: &Principal) -> Result<Project, Error> {
        let variables: Vec<&EnvVar> = intent.project.deliveries.iter().map(|delivery| &delivery.env_var).collect();
        let recognise = |found: &[Fingerprint]| self.ports.recognise(found);
        if let Err(why) = self.ports.delivery.withdraw(&intent.project.env_file, &variables, &recognise) {
            let operation = intent.operation;
            return Err(Error::NotWithdrawn { name: intent.leave_open(), operation, why: Box::new(why) });
        }
        self.ports.phase(Phase::Delivered);
        self.close_as_done(intent, principal)
    }

    /// Up to where something is done about what the backend says, it is a look, and may be called off.
    pub(super) fn reconcile(&self, mut intent: Intent, principal: &Principal) -> Result<Reconciled, Error> {
        if !matches!(intent.operation, Operation::Provision | Operation::Rotate) {
            self.ports.phase(Phase::Checked);
        }
        match intent.operation {
            Operation::Resume => return Ok(finished(self.reactivate(intent, principal))),
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
            Ok(credentials) => match self.deliver(intent, &resource, &credentials, Replace::OursOnly, principal) {
                Err(Error::RotationNotEffective { .. }) => Ok(Reconciled::NothingHappened), // closed as such already
                other => Ok(finished(other)),
            },
            Err(BackendError::NotFound) => self.nothing_happened(intent, principal),
            Err(error) => {
                // It exists, whatever became of its key, so that a teardown must know it.
                if intent.project.resource.is_none() {
                    self.ports.ledger.record(&mut intent, &resource, &[], self.ports.clock.now())?;
                }
                Ok(Reconciled::Open { why: unknown(intent, error) })
            }
        }
    }

    /// The resource behind an intent: the one we recorded, else the one that its order created.
    fn resource_of(&self, intent: &mut Intent) -> Result<Option<ResourceId>, BackendError> {
        if let Some(resource) = &intent.project.resource {
            return Ok(Some(resource.clone()));
        }
        let id = intent.project.id.clone();
        let observed = self.ports.call_backend(intent, self.ports.backend.observe(Scope::Order(&id)))?;
        Ok(observed.into_iter().next().map(|observed| observed.resource))
    }

    /// Kills the key and takes its variable away; where it stops half way, the intent stays open.
    pub(super) fn disable_key(&self, mut intent: Intent, principal: &Principal) -> Result<Project, Error> {
        if let Some(resource) = intent.project.resource.clone()
            && let Err(error) = self.ports.call_backend(&mut intent, self.ports.backend.suspend(&resource))
        {
            if error.is_definite() {
                let error = Error::from(error);
                self.close_as_nothing(intent, &error, principal)?;
                return Err(error);
            }
            return Err(Error::NotSuspended { name: intent.leave_open(), why: Box::new(error.into()) });
        }
        self.ports.phase(Phase::Acted);
        self.remove_variables(intent, principal)
    }

    /// Has the backend let the key work again, and delivers it.
    pub(super) fn reactivate(&self, mut intent: Intent, principal: &Principal) -> Result<Project, Error> {
        let Some(resource) = intent.project.resource.clone() else {
            return Err(self.ports.missing(&intent.leave_open())); // what is suspended has been provisioned
        };
        let answer = self.ports.call_backend(&mut intent, async {
            self.ports.backend.resume(&resource).await?;
            // From here on no error may say that nothing happened.
            self.ports.backend.reveal(&resource).await.map_err(BackendError::into_unknown)
        });
        self.ports.phase(Phase::Acted);
        match answer {
            Ok(credentials) => self.deliver(intent, &resource, &credentials, Replace::OursOnly, principal),
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

    fn nothing_happened(&self, intent: Intent, principal: &Principal) -> Result<Reconciled, Error> {
        self.close_as_nothing(intent, &BackendError::NotFound.into(), principal)?;
        Ok(Reconciled::NothingHappened)
    }

    pub(super) fn close_as_nothing(&self, intent: Intent, why: &Error, principal: &Principal) -> Result<(), Error> {
        let (action, status) = (intent.operation.as_str(), intent.when_nothing_happened());
        let detail = with_ids(json!({ "code": why.code() }), &intent);
        let event = self.ports.event(principal, action, Verdict::Failed, detail);
        self.ports.ledger.close(intent, status, &event)?;
        if status.is_live() { Ok(()) } else { self.ports.reconcile_limits(principal) }
    }

    pub(super) fn close_as_done(&self, intent: Intent, principal: &Principal) -> Result<Project, Error> {
        let (action, status) = (intent.operation.as_str(), intent.when_done());
        let detail = json!({ "key_version": intent.project.key_version, "cap_cents": intent.project.cap.cents() });
        let detail = with_ids(detail, &intent);
        let event = self.ports.event(principal, action, Verdict::Done, detail);
        let project = self.ports.ledger.close(intent, status, &event)?;
        self.ports.phase(Phase::Closed);
        if !status.is_live() {
            self.ports.reconcile_limits(principal)?;
        }
        Ok(project)
    }
}

/// The facts of an audit row, with the backend's ids of the resource and of our requests, as far as there are any.
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
