//! Teardown: removes the resource and the variable, and keeps the project's row.

use std::{sync::Arc, time::Duration};

use domain::{
    name::ProjectName,
    principal::Role,
    project::{Project, Status},
};
use serde_json::json;
use storage::ledger::{Intent, Operation, OperationId, Verdict};

use super::{
    Phase, Ports, Principal,
    kill_switch::KillSwitch,
    locks::ProjectLock,
    observer::Observer,
    reconciler::{Reconciled, Reconciler},
};
use crate::{
    error::Error,
    project_state::{Note, Observation, ProjectState},
};

/// Removes projects.
pub(super) struct Teardown {
    pub ports: Arc<Ports>,
    pub reconciler: Arc<Reconciler>,
    pub observer: Arc<Observer>,
    pub kill_switch: Arc<KillSwitch>,
}

impl Teardown {
    /// As [`super::Projects::teardown`].
    pub(super) fn teardown(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        let _lock = self.lock(name, principal)?;
        let prepared = self.prepare_teardown(name, principal);
        let project = match prepared.map_err(|error| self.ports.refused(principal, ACTION, name, error))? {
            Prepared::Begun(intent) => {
                self.ports.phase(Phase::Intended);
                self.reconciler.remove(*intent, principal)?
            }
            Prepared::Gone(project) => {
                let _ = self.ports.delivery.sweep(&project.env_file); // an earlier call may have left a file behind
                *project
            }
        };
        let kept = self.ports.ledger.budget().of_project(&project.id, self.ports.clock.now())?;
        let state = self.observer.state_of(project, Observation::Unknown);
        Ok(match kept.filter(|kept| !kept.committed.is_zero()) {
            Some(kept) => {
                let (amount, month) = (kept.committed, self.ports.ledger.budget().month(self.ports.clock.now())?);
                state.with_note(Note::StaysCommitted { amount, used: kept.used, month })
            }
            None => state,
        })
    }

    /// Disables the keys of those projects that other calls hold, before any of them is waited for.
    pub(super) fn kill_held(&self, names: &[ProjectName]) -> Result<(), Error> {
        let mut targets = self.ports.ledger.halts().targets(None)?;
        targets.retain(|target| names.contains(&target.name) && self.ports.is_busy(&target.name).unwrap_or(true));
        let _ = self.kill_switch.kill_targets(targets); // each teardown reports its own project
        Ok(())
    }

    /// Locks the project. Where another call holds it, that call is halted and the key disabled before the wait: neither
    /// an agent that calls again and again nor a process that is stuck keeps the key alive.
    fn lock(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectLock, Error> {
        if let Some(lock) = self.ports.try_lock_project(name, Duration::ZERO)? {
            self.ports.phase(Phase::Locked);
            return Ok(lock);
        }
        if principal.role == Role::Agent {
            return self.ports.lock_project(name);
        }
        let (_, took) = self.kill_switch.kill(Some(name))?;
        let within = LOCK_TIMEOUT.saturating_sub(took);
        let Some(lock) = self.ports.try_lock_project(name, within)? else {
            return Err(Error::NotTornDown { name: name.clone(), why: Box::new(Error::ProjectBusy) });
        };
        self.ports.phase(Phase::Locked);
        Ok(lock)
    }

    fn prepare_teardown(&self, name: &ProjectName, principal: &Principal) -> Result<Prepared, Error> {
        let Some(project) = self.ports.live(name)? else {
            return match self.ports.ledger.projects().newest(name)? {
                Some(project) if project.status == Status::TornDown => Ok(Prepared::Gone(Box::new(project))),
                _ => Err(Error::ProjectNotFound { torn_down: false }),
            };
        };
        match self.reconciler.reconcile_open(&project, principal)? {
            Some(Reconciled::Done(project)) if project.status == Status::TornDown => {
                return Ok(Prepared::Gone(project));
            }
            // An operation that cannot be finished may still be torn down if its resource is known.
            Some(Reconciled::Open { why }) => {
                let current = self.ports.ledger.projects().live(name)?.ok_or_else(|| self.ports.missing(name))?;
                if current.status == Status::TearingDown || current.resource.is_none() {
                    return Err(why);
                }
            }
            Some(Reconciled::Done(_) | Reconciled::NothingHappened) | None => {}
        }
        let event = self.ports.event(principal, ACTION, Verdict::Intended, json!({}));
        let begun = self.ports.ledger.journal().begin(name, Operation::Teardown, &OperationId::random()?, &event)?;
        begun.map(|intent| Prepared::Begun(Box::new(intent))).ok_or_else(|| self.ports.missing(name))
    }
}

enum Prepared {
    Begun(Box<Intent>),
    Gone(Box<Project>),
}

const ACTION: &str = Operation::Teardown.as_str();

/// How long it waits for a call that is halted.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
