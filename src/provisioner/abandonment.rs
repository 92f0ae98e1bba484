//! Abandonment of purchases whose outcome can no longer be determined.

use std::sync::Arc;

use backends::BackendError;
use domain::{
    name::ProjectName,
    project::{Project, Status},
};
use files::env_file::Replace;
use serde_json::json;
use storage::ledger::{Operation, Verdict};

use super::{
    Phase, Ports, Principal,
    observer::Observer,
    reconciler::{Reconciled, Reconciler},
};
use crate::{
    error::Error,
    project_state::{Note, ProjectState},
};

/// A purchase whose outcome can no longer be determined, and where a person can look.
#[derive(Clone, Debug)]
pub struct UnresolvedOrder {
    pub project: ProjectName,
    /// The backend's name of the resource, if it exists.
    pub resource: String,
    /// Where a person sees all resources.
    pub place: &'static str,
}

/// The result of abandoning a purchase.
#[derive(Clone, Debug)]
pub struct Abandoned {
    pub resolution: Resolution,
    pub state: ProjectState,
}

/// The final state of a purchase whose answer was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// The backend could still tell: it exists, and the purchase was finished.
    Found,
    /// It could not be determined, and a person gave it up.
    GivenUp,
    /// The backend could still tell: nothing was ever created.
    NeverWas,
}

impl Resolution {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::GivenUp => "given_up",
            Self::NeverWas => "never_was",
        }
    }
}

/// Abandons purchases whose outcome can no longer be determined.
pub(super) struct Abandonment {
    pub ports: Arc<Ports>,
    pub reconciler: Arc<Reconciler>,
    pub observer: Arc<Observer>,
}

impl Abandonment {
    /// As [`super::Projects::abandon`]. After abandoning, the project is failed, and its name and variable are free.
    pub(super) fn abandon(
        &self,
        name: &ProjectName,
        principal: &Principal,
        agree: impl FnOnce(&UnresolvedOrder) -> Result<(), Error>,
    ) -> Result<Abandoned, Error> {
        let _lock = self.ports.lock_project(name)?;
        let closed = self.close_or_settle(name, principal, agree);
        let (resolution, project, order) =
            closed.map_err(|error| self.ports.refused(principal, ACTION, name, error))?;
        let state = self.observer.at_hand(project);
        let state = match order {
            Some(UnresolvedOrder { resource, place, .. }) => state.with_note(Note::MayExist { resource, place }),
            None => state,
        };
        Ok(Abandoned { resolution, state })
    }

    fn close_or_settle(
        &self,
        name: &ProjectName,
        principal: &Principal,
        agree: impl FnOnce(&UnresolvedOrder) -> Result<(), Error>,
    ) -> Result<(Resolution, Project, Option<UnresolvedOrder>), Error> {
        let project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?;
        let open = self.ports.ledger.journal().open_intent(&project.id)?;
        let Some(intent) = open.filter(|open| open.operation == Operation::Provision && project.resource.is_none())
        else {
            return Err(Error::NothingToAbandon { name: name.clone() });
        };
        let why = match self.reconciler.reconcile(intent, Replace::OursOnly, principal)? {
            Reconciled::Done(project) => return Ok((Resolution::Found, *project, None)),
            Reconciled::NothingHappened => {
                let closed = self.ports.ledger.projects().newest(name)?.ok_or_else(|| self.ports.missing(name))?;
                return Ok((Resolution::NeverWas, closed, None));
            }
            Reconciled::Open { why } => why,
        };
        let order = order(name, &why).ok_or(why)?;
        agree(&order)?;
        let mut intent =
            self.ports.ledger.journal().open_intent(&project.id)?.ok_or_else(|| self.ports.missing(name))?;
        intent.may_exist = true;
        let detail = json!({
            "given_up_by": "a human",
            "cap_cents": project.cap.cents(),
            "may_exist_as": order.resource,
        });
        let event = self.ports.event(principal, ACTION, Verdict::Failed, detail);
        let project = self.ports.ledger.journal().close(intent, Status::Failed, &event)?;
        self.ports.phase(Phase::Closed);
        self.ports.reconcile_limits(principal)?;
        Ok((Resolution::GivenUp, project, Some(order)))
    }
}

/// `None` where the backend may still tell.
fn order(project: &ProjectName, why: &Error) -> Option<UnresolvedOrder> {
    let Error::OutcomeUnknown { why: cause, .. } = why else { return None };
    match &**cause {
        Error::Backend(BackendError::Forgotten { name, place }) => {
            Some(UnresolvedOrder { project: project.clone(), resource: name.clone(), place })
        }
        _ => None,
    }
}

const ACTION: &str = "abandon";
