//! Teardown: the resource gone, its key dead, its variable out of the env file, its row kept.

use serde_json::json;

use super::{Phase, Principal, Provisioner, reconcile::Reconciled};
use crate::{
    error::Error,
    ledger::{Intent, Operation, OperationId, Verdict},
    name::ProjectName,
    project::{Project, Status},
    view::ProjectView,
};

impl Provisioner {
    /// Tears a project down. Safe to repeat: one that is torn down already is shown as it is.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`] for a name that never was; [`Error::NotTornDown`] and [`Error::NotWithdrawn`] when
    /// it stopped half way, and then the same call finishes it.
    pub fn teardown(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectView, Error> {
        let _lock = self.lock_project(name)?;
        let prepared = self.prepare_teardown(name, principal);
        let project = match prepared.map_err(|error| self.refused(principal, ACTION, name, error))? {
            Prepared::Begun(intent) => {
                self.phase(Phase::Intended);
                self.remove(*intent, principal)?
            }
            Prepared::Gone(project) => *project,
        };
        Ok(self.view(&project))
    }

    fn prepare_teardown(&self, name: &ProjectName, principal: &Principal) -> Result<Prepared, Error> {
        let Some(project) = self.live(name)? else {
            return match self.ledger.projects().newest(name)? {
                Some(project) if project.status == Status::TornDown => Ok(Prepared::Gone(Box::new(project))),
                _ => Err(Error::ProjectNotFound { torn_down: false }),
            };
        };
        match self.reconcile_open(&project, principal)? {
            Some(Reconciled::Done(project)) if project.status == Status::TornDown => {
                return Ok(Prepared::Gone(project));
            }
            // What cannot be finished may still be removed, provided that we know what it is.
            Some(Reconciled::Open { why }) => {
                let current = self.ledger.projects().live(name)?.ok_or_else(|| self.missing(name))?;
                if current.status == Status::TearingDown || current.resource.is_none() {
                    return Err(why);
                }
            }
            Some(Reconciled::Done(_) | Reconciled::NothingHappened) | None => {}
        }
        let event = self.event(principal, ACTION, Verdict::Intended, json!({}));
        let begun = self.ledger.journal().begin(name, Operation::Teardown, &OperationId::random()?, &event)?;
        begun.map(|intent| Prepared::Begun(Box::new(intent))).ok_or_else(|| self.missing(name))
    }
}

enum Prepared {
    Begun(Box<Intent>),
    Gone(Box<Project>),
}

const ACTION: &str = Operation::Teardown.as_str();
