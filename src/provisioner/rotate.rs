//! Rotate: the old key dead, the new one in the env file.

use serde_json::json;

use super::{Caller, Provisioner, Step, settle::Settled};
use crate::{
    env_file::Replace,
    error::Error,
    ledger::{Intent, Operation, Verdict},
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
    pub fn rotate(&self, name: &ProjectName, caller: &Caller) -> Result<ProjectView, Error> {
        let _lock = self.lock_patiently(name)?;
        let prepared = self.prepare_rotation(name, caller);
        let mut intent = prepared.map_err(|error| self.refused(caller, ACTION, name, error))?;
        self.step(Step::Intended);

        let Some(resource) = intent.project.resource.clone() else {
            return Err(self.missing(name)); // a rotation begins with a known resource
        };
        let answer = self.act(&mut intent, self.backend.rotate(&resource));
        self.step(Step::Acted);
        let project = match answer {
            Ok(credentials) => self.deliver(intent, &resource, &credentials, Replace::OursOnly, caller)?,
            Err(error) => self.resolve(intent, error, caller)?,
        };
        Ok(self.view(&project))
    }

    fn prepare_rotation(&self, name: &ProjectName, caller: &Caller) -> Result<Intent, Error> {
        let project = self.live(name)?.ok_or_else(|| self.missing(name))?;
        if let Some(Settled::Open { why }) = self.settle_open(&project, caller)? {
            return Err(why);
        }
        if project.status == Status::Suspended {
            return Err(Error::Suspended { name: name.clone() }); // a rotation is no way around a suspension
        }
        self.can_deliver(&project)?;
        let event = self.event(caller, ACTION, Verdict::Intended, json!({}));
        let begun = self.ledger.begin(name, Operation::Rotate, &event)?;
        begun.ok_or_else(|| self.missing(name))
    }
}

const ACTION: &str = Operation::Rotate.as_str();
