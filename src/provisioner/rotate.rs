//! Rotate: the old key dead, the new one in the env file.

use serde_json::json;

use super::{Phase, Principal, Provisioner, reconcile::Reconciled};
use crate::{
    env_file::Replace,
    error::Error,
    ledger::{Intent, Operation, OperationId, Verdict},
    name::ProjectName,
    project::Status,
    view::ProjectView,
};

impl Provisioner {
    /// Exchanges the credential of a live project.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; [`Error::Suspended`], whose key is withheld; the env file's, before the old key is touched; [`Error::NotDelivered`] and
    /// [`Error::OutcomeUnknown`] after.
    pub fn rotate(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectView, Error> {
        let _lock = self.lock_project(name)?;
        let prepared = self.prepare_rotation(name, principal);
        let mut intent = prepared.map_err(|error| self.refused(principal, ACTION, name, error))?;
        self.phase(Phase::Intended);

        let Some(resource) = intent.project.resource.clone() else {
            return Err(self.missing(name)); // a rotation begins with a known resource
        };
        let answer = self.call_backend(&mut intent, self.backend.rotate(&resource));
        self.phase(Phase::Acted);
        let project = match answer {
            Ok(credentials) => self.deliver(intent, &resource, &credentials, Replace::OursOnly, principal)?,
            Err(error) => self.resolve(intent, error, principal)?,
        };
        Ok(self.view(&project))
    }

    fn prepare_rotation(&self, name: &ProjectName, principal: &Principal) -> Result<Intent, Error> {
        let project = self.live(name)?.ok_or_else(|| self.missing(name))?;
        if let Some(Reconciled::Open { why }) = self.reconcile_open(&project, principal)? {
            return Err(why);
        }
        if project.status == Status::Suspended {
            return Err(Error::Suspended { name: name.clone() }); // a rotation is no way around a suspension
        }
        self.can_deliver(&project)?;
        let event = self.event(principal, ACTION, Verdict::Intended, json!({}));
        let begun = self.ledger.journal().begin(name, Operation::Rotate, &OperationId::random()?, &event)?;
        begun.ok_or_else(|| self.missing(name))
    }
}

const ACTION: &str = Operation::Rotate.as_str();
