//! Rotate: replaces a key, and writes the new one to the env file.

use std::sync::Arc;

use domain::{
    clock::Timestamp,
    diagnostic::Diagnostic as _,
    name::ProjectName,
    principal::Role,
    project::{Project, Status},
};
use files::env_file::{EnvFileError, Replace};
use serde_json::json;
use storage::ledger::{Intent, Operation, OperationId, Verdict};

use super::{
    Phase, Ports, Principal,
    observer::Observer,
    reconciler::{Reconciled, Reconciler},
};
use crate::{error::Error, project_state::ProjectState};

/// Replaces credentials.
pub(super) struct Rotation {
    pub ports: Arc<Ports>,
    pub reconciler: Arc<Reconciler>,
    pub observer: Arc<Observer>,
}

impl Rotation {
    /// As [`super::Projects::rotate`].
    pub(super) fn rotate(
        &self,
        name: &ProjectName,
        replace: Replace,
        principal: &Principal,
    ) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        let prepared = self.prepare_rotation(name, replace, principal);
        if let Err(Error::EnvFile(why @ (EnvFileError::Exposed { .. } | EnvFileError::Tracked { .. }))) = prepared {
            return Err(self.withhold(name, why, principal));
        }
        let mut intent = prepared.map_err(|error| self.ports.refused(principal, ACTION, name, error))?;
        self.ports.phase(Phase::Intended);

        let Some(resource) = intent.project.resource.clone() else {
            return Err(self.ports.missing(name)); // a rotation begins with a known resource
        };
        if let Err(halted) = self.ports.check_not_halted(&intent.project) {
            self.reconciler.close_as_nothing(intent, &halted, principal)?;
            return Err(halted);
        }
        let answer = self.ports.call_backend(&mut intent, self.ports.backend.rotate(&resource));
        self.ports.phase(Phase::Acted);
        let project = match answer {
            Ok(credentials) => self.reconciler.deliver(intent, &resource, &credentials, replace, principal)?,
            Err(error) => self.reconciler.resolve(intent, error, principal)?,
        };
        Ok(self.observer.at_hand(project))
    }

    /// Revokes the key although no new one may be written: a rotation often answers a leak.
    ///
    /// Version control would take the new key, so it is withheld as by a suspension. Returns the error that reports it.
    fn withhold(&self, name: &ProjectName, why: EnvFileError, principal: &Principal) -> Error {
        let detail = json!({ "instead_of": ACTION, "code": why.code() });
        let event = self.ports.event(principal, Operation::Suspend.as_str(), Verdict::Intended, detail);
        let begun = OperationId::random().map_err(Error::from).and_then(|id| {
            let begun = self.ports.ledger.journal().begin(name, Operation::Suspend, &id, &event)?;
            begun.ok_or_else(|| self.ports.missing(name))
        });
        let suspended = begun.and_then(|intent| {
            self.ports.phase(Phase::Intended);
            self.reconciler.disable_key(intent, principal)
        });
        match suspended {
            Ok(_) => Error::KeyWithheld { name: name.clone(), why: Box::new(why.into()) },
            Err(error) => error,
        }
    }

    fn prepare_rotation(&self, name: &ProjectName, replace: Replace, principal: &Principal) -> Result<Intent, Error> {
        let project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?;
        let project = match self.reconciler.reconcile_open_replacing(&project, replace, principal)? {
            Some(Reconciled::Open { why }) => return Err(why),
            Some(_) => self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?,
            None => project,
        };
        self.ports.check_not_halted(&project)?;
        self.check_rate(&project, principal)?;
        if project.status == Status::Suspended {
            return Err(Error::Suspended { name: name.clone() }); // a rotation must not bypass a suspension
        }
        self.ports.can_deliver(&project, replace)?;
        let event = self.ports.event(principal, ACTION, Verdict::Intended, json!({}));
        let begun = self.ports.ledger.journal().begin(name, Operation::Rotate, &OperationId::random()?, &event)?;
        begun.ok_or_else(|| self.ports.missing(name))
    }

    /// Checks that an agent has not used up the rotations of the last hour. People rotate as often as they want.
    fn check_rate(&self, project: &Project, principal: &Principal) -> Result<(), Error> {
        if principal.role != Role::Agent {
            return Ok(());
        }
        let now = self.ports.clock.now().as_millisecond();
        let since = Timestamp::from_millisecond(now.saturating_sub(HOUR)).unwrap_or(Timestamp::MIN);
        let rotations = self.ports.ledger.audit().rotations_since(&project.id, principal.channel.as_str(), since)?;
        let limit = u64::from(self.ports.limits().max_rotations_per_hour);
        if rotations < limit {
            return Ok(());
        }
        Err(Error::RotationLimit { name: project.name.clone(), limit })
    }
}

const ACTION: &str = Operation::Rotate.as_str();

/// In milliseconds.
const HOUR: i64 = 60 * 60 * 1000;
