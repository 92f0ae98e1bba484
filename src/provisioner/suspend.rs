//! Suspend and resume: the kill switch, and its way back.
//!
//! A suspension kills the key at the backend, withholds the new one, and takes the variable out of the env file. The
//! resource stays, and what it may cost apart from the key's use stays with it.

use serde_json::{Value, json};

use super::{Phase, Principal, Provisioner, reconcile::Reconciled};
use crate::{
    backend::{BackendError, Refusal, Scope},
    env_file::{EnvFile, EnvFileError, Replace},
    error::Error,
    ledger::{Intent, Operation, OperationId, Verdict},
    name::ProjectName,
    project::{Project, Status},
    view::ProjectView,
};

impl Provisioner {
    /// Kills the key of a live project until it is resumed. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; [`Error::NotSuspended`] and [`Error::NotWithdrawn`] when it stopped half way, and
    /// then the same call finishes it.
    pub fn suspend(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectView, Error> {
        self.suspend_if(|_| true, json!({}), name, principal)
    }

    /// Suspends a project of which that is true once nobody else is at work on it. `why` goes into the audit.
    pub(super) fn suspend_if(
        &self,
        is_due: impl FnOnce(&Project) -> bool,
        why: Value,
        name: &ProjectName,
        principal: &Principal,
    ) -> Result<ProjectView, Error> {
        let _lock = self.lock_project(name)?;
        let project = match self.prepare_suspension(is_due, why, name, principal) {
            Ok(Prepared::Begun(intent)) => {
                self.phase(Phase::Intended);
                self.disable_key(*intent, principal)?
            }
            Ok(Prepared::AsItIs(project)) => *project,
            Err(error) => return Err(self.refused(principal, Operation::Suspend.as_str(), name, error)),
        };
        Ok(self.view(&project))
    }

    /// Delivers the current key of a suspended project again, provided that there is something left to spend.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; the env file's, before anything is done; the backend's refusal when the cap is used
    /// up; [`Error::NotDelivered`] and [`Error::OutcomeUnknown`] after.
    pub fn resume(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectView, Error> {
        let _lock = self.lock_project(name)?;
        let project = match self.prepare_resumption(name, principal) {
            Ok(Prepared::Begun(intent)) => {
                self.phase(Phase::Intended);
                self.reactivate(*intent, principal)?
            }
            Ok(Prepared::AsItIs(project)) => *project,
            Err(error) => return Err(self.refused(principal, Operation::Resume.as_str(), name, error)),
        };
        Ok(self.view(&project))
    }

    fn prepare_suspension(
        &self,
        is_due: impl FnOnce(&Project) -> bool,
        why: Value,
        name: &ProjectName,
        principal: &Principal,
    ) -> Result<Prepared, Error> {
        let project = self.settled(name, principal)?;
        if project.status == Status::Suspended || !is_due(&project) {
            return Ok(Prepared::AsItIs(Box::new(project)));
        }
        self.begin(name, Operation::Suspend, why, principal)
    }

    fn prepare_resumption(&self, name: &ProjectName, principal: &Principal) -> Result<Prepared, Error> {
        let project = self.settled(name, principal)?;
        if project.status != Status::Suspended {
            return Ok(Prepared::AsItIs(Box::new(project))); // it never was; its view says how it stands
        }
        if self.is_used_up(&project) {
            return Err(BackendError::from(Refusal::CapReached).into());
        }
        self.can_deliver(&project)?;
        self.begin(name, Operation::Resume, json!({}), principal)
    }

    /// Kills the key and takes its variable away; where it stops half way, the intent stays open.
    pub(super) fn disable_key(&self, mut intent: Intent, principal: &Principal) -> Result<Project, Error> {
        if let Some(resource) = intent.project.resource.clone()
            && let Err(error) = self.call_backend(&mut intent, self.backend.suspend(&resource))
        {
            if error.is_definite() {
                let error = Error::from(error);
                self.close_as_nothing(intent, &error, principal)?;
                return Err(error);
            }
            return Err(Error::NotSuspended { name: intent.leave_open(), why: Box::new(error.into()) });
        }
        self.phase(Phase::Acted);
        self.remove_variables(intent, principal)
    }

    /// Has the backend let the key work again, and delivers it.
    pub(super) fn reactivate(&self, mut intent: Intent, principal: &Principal) -> Result<Project, Error> {
        let Some(resource) = intent.project.resource.clone() else {
            return Err(self.missing(&intent.leave_open())); // what is suspended has been provisioned
        };
        let answer = self.call_backend(&mut intent, async {
            self.backend.resume(&resource).await?;
            // From here on no error may say that nothing happened.
            self.backend.reveal(&resource).await.map_err(BackendError::into_unknown)
        });
        self.phase(Phase::Acted);
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

    /// The live project of that name, with nothing left open.
    fn settled(&self, name: &ProjectName, principal: &Principal) -> Result<Project, Error> {
        let project = self.live(name)?.ok_or_else(|| self.missing(name))?;
        match self.reconcile_open(&project, principal)? {
            Some(Reconciled::Open { why }) => Err(why),
            Some(_) => self.live(name)?.ok_or_else(|| self.missing(name)),
            None => Ok(project),
        }
    }

    fn begin(
        &self,
        name: &ProjectName,
        operation: Operation,
        detail: Value,
        principal: &Principal,
    ) -> Result<Prepared, Error> {
        let event = self.event(principal, operation.as_str(), Verdict::Intended, detail);
        let begun = self.ledger.journal().begin(name, operation, &OperationId::random()?, &event)?;
        begun.map(|intent| Prepared::Begun(Box::new(intent))).ok_or_else(|| self.missing(name))
    }

    /// Proves that every variable can take a key, and that none has become somebody else's.
    pub(super) fn can_deliver(&self, project: &Project) -> Result<(), Error> {
        let preflight = EnvFile::new(project.env_file.clone()).preflight()?;
        for delivery in &project.deliveries {
            preflight.dry_run(&delivery.env_var)?;
            if let Some(value) = preflight.holds(&delivery.env_var)
                && self.recognise(&[value])?.is_empty()
            {
                let (variable, path) = (delivery.env_var.clone(), project.env_file.clone());
                return Err(EnvFileError::Taken { variable, path }.into());
            }
        }
        Ok(())
    }

    /// Whether the backend says that the cap is used up. One that cannot say leaves it to its own limits.
    pub(super) fn is_used_up(&self, project: &Project) -> bool {
        let asked: Vec<_> = project.resource.iter().cloned().collect();
        let seen = self.wait(self.backend.observe(Scope::Resources(&asked)));
        let usage = seen.ok().and_then(|seen| seen.first().and_then(|observed| observed.usage));
        usage.is_some_and(|usage| usage >= project.cap.micro_usd())
    }
}

enum Prepared {
    /// There is nothing to do.
    AsItIs(Box<Project>),
    Begun(Box<Intent>),
}
