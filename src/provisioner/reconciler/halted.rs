//! Operations whose project was killed meanwhile: they end in a suspension.

use domain::{
    name::ProjectName,
    project::{Project, ProjectId},
};
use files::env_file::LOCK_TIMEOUT;
use serde_json::{Value, json};
use storage::ledger::{Intent, Operation, OperationId, Verdict};

use super::Reconciler;
use crate::{error::Error, provisioner::Principal};

impl Reconciler {
    /// Ends an operation whose project was killed meanwhile: disables the key that it leaves, and delivers none.
    pub(super) fn withhold(&self, intent: Intent) -> Error {
        let name = intent.project.name.clone();
        match self.suspend_instead(intent) {
            Ok(_) => Error::Suspended { name },
            Err(error) => error,
        }
    }

    /// Disables the key once more, and records a suspension in the place of the open operation.
    pub(super) fn suspend_instead(&self, mut intent: Intent) -> Result<Project, Error> {
        let name = intent.project.name.clone();
        if let Some(resource) = intent.project.resource.clone()
            && let Err(error) = self.ports.call_backend(&mut intent, self.ports.backend.suspend(&resource))
        {
            return Err(Error::NotSuspended { name, why: Box::new(error.into()) }); // and stays open
        }
        let instead_of = intent.operation.as_str();
        let request_ids = intent.request_ids.clone();
        let _ = intent.leave_open(); // the suspension supersedes it
        let detail = json!({ "because": "halt_requested", "instead_of": instead_of });
        let mut suspension = self.begin_suspension(&name, detail)?;
        suspension.request_ids = request_ids;
        self.remove_variables(suspension, LOCK_TIMEOUT, &Principal::recovery())
    }

    /// Disables the key of a project whose kill is not recorded, and records it. The caller holds its lock.
    pub(in crate::provisioner) fn record_kill(
        &self,
        project: &Project,
        principal: &Principal,
    ) -> Result<Project, Error> {
        let intent = self.begin_suspension(&project.name, json!({ "because": "halt_requested" }))?;
        let disabled = self.disable_key(intent, principal);
        if let Err(Error::Backend(_) | Error::CannotDisable { .. }) = &disabled {
            self.lift_halt(&project.id)?;
        }
        disabled
    }

    /// Lifts the halt of a project whose key works on, so that nothing looks suspended.
    pub(in crate::provisioner) fn lift_halt(&self, id: &ProjectId) -> Result<(), Error> {
        let halts = self.ports.ledger.halts();
        if let Some(number) = halts.number(id)? {
            halts.resume(id, number)?;
        }
        Ok(())
    }

    fn begin_suspension(&self, name: &ProjectName, detail: Value) -> Result<Intent, Error> {
        let event = self.ports.event(&Principal::recovery(), Operation::Suspend.as_str(), Verdict::Intended, detail);
        let begun = self.ports.ledger.journal().begin(name, Operation::Suspend, &OperationId::random()?, &event)?;
        begun.ok_or_else(|| self.ports.missing(name))
    }
}
