//! Rotate: replaces a key, and writes the new one to the env file.

use std::sync::Arc;

use domain::{
    clock::Timestamp,
    name::ProjectName,
    principal::Role,
    project::{Project, Status},
};
use files::env_file::Replace;
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
    pub(super) fn rotate(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        let prepared = self.prepare_rotation(name, principal);
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
            Ok(credentials) => {
                self.reconciler.deliver(intent, &resource, &credentials, Replace::OursOnly, principal)?
            }
            Err(error) => self.reconciler.resolve(intent, error, principal)?,
        };
        Ok(self.observer.at_hand(project))
    }

    fn prepare_rotation(&self, name: &ProjectName, principal: &Principal) -> Result<Intent, Error> {
        let mut project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?;
        match self.reconciler.reconcile_open(&project, principal)? {
            Some(Reconciled::Open { why }) => return Err(why),
            Some(_) => project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?,
            None => {}
        }
        self.ports.check_not_halted(&project)?;
        self.check_rate(&project, principal)?;
        if project.status == Status::Suspended {
            return Err(Error::Suspended { name: name.clone() }); // a rotation must not bypass a suspension
        }
        self.ports.can_deliver(&project)?;
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
