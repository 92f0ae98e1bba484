//! Settling: from an intent whose answer is at hand, in doubt or lost, to what is known to be true.
//!
//! The same code finishes an operation in the ordinary case and after a crash, so there is no second, seldom
//! travelled way to the end.

use serde_json::{Value, json};

use super::{Phase, Principal, Provisioner};
use crate::{
    backend::{BackendError, Credentials, Scope},
    env_file::{EnvFile, Replace},
    error::Error,
    ledger::{Intent, Operation, Verdict},
    name::EnvVar,
    project::{Project, ResourceId},
    secret::Secret,
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

impl Provisioner {
    /// Settles what an earlier call left open on a project, if anything. Its lock must be held.
    pub(super) fn reconcile_open(&self, project: &Project, principal: &Principal) -> Result<Option<Reconciled>, Error> {
        match self.ledger.journal().open_intent(&project.id)? {
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
        self.phase(Phase::Recorded);

        let variables = intent.project.deliveries.iter().map(|delivery| &delivery.env_var);
        let pairs: Vec<(&EnvVar, &Secret)> = variables.zip(&picked).collect();
        let env_file = EnvFile::new(intent.project.env_file.clone());
        if let Err(error) = env_file.deliver(&pairs, replace, |found| self.recognise(found)) {
            return Err(undelivered(intent, error));
        }
        self.phase(Phase::Delivered);
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
        let known = self.ledger.issued_keys().current_fingerprint(&intent.project)?;
        match picked {
            Ok(picked) if picked.first().map(Secret::fingerprint) == known => Ok(picked),
            Ok(picked) => {
                self.ledger.journal().record(intent, resource, &picked, self.clock.now())?;
                Ok(picked)
            }
            Err(error) => {
                self.ledger.journal().record(intent, resource, &[], self.clock.now())?; // it is billed, whatever it is called
                Err(error.into())
            }
        }
    }

    /// Removes the resource and the variables that carry our values; the rest of [`Self::deliver`]'s promise.
    pub(super) fn remove(&self, mut intent: Intent, principal: &Principal) -> Result<Project, Error> {
        if let Some(resource) = intent.project.resource.clone()
            && let Err(error) = self.call_backend(&mut intent, self.backend.teardown(&resource))
        {
            return Err(Error::NotTornDown { name: intent.leave_open(), why: Box::new(error.into()) });
        }
        self.phase(Phase::Acted);
        self.remove_variables(intent, principal)
    }

    /// Takes the variables that carry our values out of the env file, which ends what killed the key.
    pub(super) fn remove_variables(&self, intent: Intent, principal: &Principal) -> Result<Project, Error> {
        let variables: Vec<&EnvVar> = intent.project.deliveries.iter().map(|delivery| &delivery.env_var).collect();
        let env_file = EnvFile::new(intent.project.env_file.clone());
        if let Err(why) = env_file.withdraw(&variables, |found| self.recognise(found)) {
            let operation = intent.operation;
            return Err(Error::NotWithdrawn { name: intent.leave_open(), operation, why: Box::new(why) });
        }
        self.phase(Phase::Delivered);
        self.close_as_done(intent, principal)
    }

    /// Up to where something is done about what the backend says, it is a look, and may be called off.
    pub(super) fn reconcile(&self, mut intent: Intent, principal: &Principal) -> Result<Reconciled, Error> {
        if !matches!(intent.operation, Operation::Provision | Operation::Rotate) {
            self.phase(Phase::Checked);
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
        let revealed = self.call_backend(&mut intent, self.backend.reveal(&resource));
        self.phase(Phase::Checked);
        match revealed {
            Ok(credentials) => match self.deliver(intent, &resource, &credentials, Replace::OursOnly, principal) {
                Err(Error::RotationNotEffective { .. }) => Ok(Reconciled::NothingHappened), // closed as such already
                other => Ok(finished(other)),
            },
            Err(BackendError::NotFound) => self.nothing_happened(intent, principal),
            Err(error) => {
                // It exists, whatever became of its key, so that a teardown must know it.
                if intent.project.resource.is_none() {
                    self.ledger.journal().record(&mut intent, &resource, &[], self.clock.now())?;
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
        let observed = self.call_backend(intent, self.backend.observe(Scope::Order(&id)))?;
        Ok(observed.into_iter().next().map(|observed| observed.resource))
    }

    fn nothing_happened(&self, intent: Intent, principal: &Principal) -> Result<Reconciled, Error> {
        self.close_as_nothing(intent, &BackendError::NotFound.into(), principal)?;
        Ok(Reconciled::NothingHappened)
    }

    pub(super) fn close_as_nothing(&self, intent: Intent, why: &Error, principal: &Principal) -> Result<(), Error> {
        let (action, status) = (intent.operation.as_str(), intent.when_nothing_happened());
        let detail = with_ids(json!({ "code": why.code() }), &intent);
        let event = self.event(principal, action, Verdict::Failed, detail);
        self.ledger.journal().close(intent, status, &event)?;
        if status.is_live() { Ok(()) } else { self.reconcile_limits(principal) }
    }

    pub(super) fn close_as_done(&self, intent: Intent, principal: &Principal) -> Result<Project, Error> {
        let (action, status) = (intent.operation.as_str(), intent.when_done());
        let detail = json!({ "key_version": intent.project.key_version, "cap_cents": intent.project.cap.cents() });
        let detail = with_ids(detail, &intent);
        let event = self.event(principal, action, Verdict::Done, detail);
        let project = self.ledger.journal().close(intent, status, &event)?;
        self.phase(Phase::Closed);
        if !status.is_live() {
            self.reconcile_limits(principal)?;
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
