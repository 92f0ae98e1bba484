//! Suspend and resume: disables a key, and enables it again.
//!
//! A suspension disables the key at the backend, withholds the new one, and removes the variable from the env file. The
//! resource stays, and so does any cost that does not depend on the key.

use std::sync::Arc;

use backends::{BackendError, Metering, Refusal, Scope};
use domain::{
    name::ProjectName,
    project::{Project, Status},
};
use files::env_file::Replace;
use serde_json::{Value, json};
use storage::ledger::{Intent, Operation, OperationId, Verdict};

use super::{
    Phase, Ports, Principal,
    observer::Observer,
    reconciler::{Reconciled, Reconciler},
};
use crate::{
    error::Error,
    project_state::{Observation, ProjectState},
};

/// Suspends projects, and resumes them.
#[derive(Clone)]
pub(super) struct Suspension {
    pub ports: Arc<Ports>,
    pub reconciler: Arc<Reconciler>,
    pub observer: Arc<Observer>,
}

impl Suspension {
    /// As [`super::Projects::suspend`].
    pub(super) fn suspend(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        self.suspend_if(Due::Always, json!({}), name, principal)
    }

    /// Suspends the project if that is still `due` once its lock is acquired. `why` goes into the audit.
    pub(super) fn suspend_if(
        &self,
        due: Due,
        why: Value,
        name: &ProjectName,
        principal: &Principal,
    ) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        match self.prepare_suspension(due, why, name, principal) {
            Ok(Prepared::Begun(intent, observation)) => {
                self.ports.phase(Phase::Intended);
                let project = self.reconciler.disable_key(*intent, principal)?;
                Ok(self.after(project, observation))
            }
            Ok(Prepared::AsItIs(project, observation)) => Ok(self.after(*project, observation)),
            Err(error) => Err(self.ports.refused(principal, Operation::Suspend.as_str(), name, error)),
        }
    }

    /// As [`super::Projects::resume`].
    pub(super) fn resume(
        &self,
        name: &ProjectName,
        replace: Replace,
        principal: &Principal,
    ) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        match self.prepare_resumption(name, replace, principal) {
            Ok(Prepared::Begun(intent, observation)) => {
                self.ports.phase(Phase::Intended);
                let project = self.reconciler.reactivate(*intent, replace, principal)?;
                Ok(self.after(project, observation))
            }
            Ok(Prepared::AsItIs(project, observation)) => Ok(self.after(*project, observation)),
            Err(error) => Err(self.ports.refused(principal, Operation::Resume.as_str(), name, error)),
        }
    }

    fn prepare_suspension(
        &self,
        due: Due,
        why: Value,
        name: &ProjectName,
        principal: &Principal,
    ) -> Result<Prepared, Error> {
        let project = self.settled(name, Replace::OursOnly, principal)?;
        if project.status == Status::Suspended {
            return Ok(Prepared::AsItIs(Box::new(project), Observation::Unknown));
        }
        let observation = match due {
            Due::Always => Observation::Unknown,
            Due::IfExhausted => match self.metered(&project) {
                observation if is_used_up(&project, observation) => observation,
                observation => return Ok(Prepared::AsItIs(Box::new(project), observation)),
            },
        };
        self.begin(name, Operation::Suspend, why, observation, principal)
    }

    fn prepare_resumption(
        &self,
        name: &ProjectName,
        replace: Replace,
        principal: &Principal,
    ) -> Result<Prepared, Error> {
        let project = self.settled(name, replace, principal)?;
        if project.status != Status::Suspended {
            return Ok(Prepared::AsItIs(Box::new(project), Observation::Unknown)); // it was never suspended
        }
        let observation = self.metered(&project);
        if is_used_up(&project, observation) {
            return Err(BackendError::from(Refusal::CapReached).into());
        }
        self.ports.can_deliver(&project, replace)?;
        self.begin(name, Operation::Resume, json!({}), observation, principal)
    }

    /// Returns the live project of that name after reconciling it.
    fn settled(&self, name: &ProjectName, replace: Replace, principal: &Principal) -> Result<Project, Error> {
        let project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?;
        match self.reconciler.reconcile_open_replacing(&project, replace, principal)? {
            Some(Reconciled::Open { why }) => Err(why),
            Some(_) => self.ports.live(name)?.ok_or_else(|| self.ports.missing(name)),
            None => Ok(project),
        }
    }

    fn begin(
        &self,
        name: &ProjectName,
        operation: Operation,
        detail: Value,
        observation: Observation,
        principal: &Principal,
    ) -> Result<Prepared, Error> {
        let event = self.ports.event(principal, operation.as_str(), Verdict::Intended, detail);
        let begun = self.ports.ledger.journal().begin(name, operation, &OperationId::random()?, &event)?;
        begun.map(|intent| Prepared::Begun(Box::new(intent), observation)).ok_or_else(|| self.ports.missing(name))
    }

    /// Asks the backend for the usage of a project, unless it cannot know.
    fn metered(&self, project: &Project) -> Observation {
        match self.ports.backend.metering() {
            Metering::None => Observation::Unknown,
            Metering::Local | Metering::Remote => {
                let asked: Vec<_> = project.resource.iter().cloned().collect();
                let observed = self.ports.wait(self.ports.backend.observe(Scope::Resources(&asked)));
                observed.map_or(Observation::Unknown, |observed| observed.first().into())
            }
        }
    }

    /// Returns the state after the operation, with the usage that was reported before it.
    fn after(&self, project: Project, before: Observation) -> ProjectState {
        match (self.ports.backend.metering(), before) {
            (Metering::Remote, Observation::Present { usage, .. }) => {
                self.observer.state_of(project, Observation::Present { suspended: false, usage })
            }
            _ => self.observer.at_hand(project),
        }
    }
}

/// When a suspension is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Always,
    /// Only while the backend reports that the cap is used up.
    IfExhausted,
}

/// A checked operation, with what the backend reported during the check.
enum Prepared {
    /// There is nothing to do.
    AsItIs(Box<Project>, Observation),
    Begun(Box<Intent>, Observation),
}

fn is_used_up(project: &Project, observation: Observation) -> bool {
    let Observation::Present { usage: Some(usage), .. } = observation else { return false };
    usage >= project.cap.micro_usd()
}
