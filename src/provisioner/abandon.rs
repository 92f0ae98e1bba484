//! Forget: a human gives up a purchase of which nobody can tell any more what became of it.

use serde_json::json;

use super::{Phase, Principal, Provisioner, reconcile::Reconciled};
use crate::{
    backend::BackendError,
    error::Error,
    ledger::{Operation, Verdict},
    name::ProjectName,
    project::{Project, Status},
    project_state::{Note, ProjectState},
};

/// What nobody can tell any more, and where a person can look.
#[derive(Clone, Debug)]
pub struct UnresolvedOrder {
    pub project: ProjectName,
    /// What the resource is called at the backend, if it exists.
    pub resource: String,
    /// Where a person sees what there is.
    pub place: &'static str,
}

/// The result of abandoning a purchase.
#[derive(Clone, Debug)]
pub struct Abandoned {
    pub resolution: Resolution,
    pub state: ProjectState,
}

/// What is known in the end of a purchase whose answer was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// The backend could still tell: it exists, and has been finished.
    Found,
    /// It could not be determined, and a person gave it up.
    GivenUp,
    /// The backend could still tell: there was never anything.
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

impl Provisioner {
    /// Asks the backend once more. If it can tell what became of the purchase, that is settled as ever; if it can never
    /// tell, and `agree` does, the project is closed as failed, and its name and its variable are free.
    ///
    /// Nobody else works on the project while `agree` is being asked, so what it agrees to is what is done.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; [`Error::NothingToAbandon`] of what is no open purchase;
    /// [`Error::OutcomeUnknown`] where the backend may still tell, later; and whatever `agree` refuses with.
    pub fn abandon(
        &self,
        name: &ProjectName,
        principal: &Principal,
        agree: impl FnOnce(&UnresolvedOrder) -> Result<(), Error>,
    ) -> Result<Abandoned, Error> {
        let _lock = self.lock_project(name)?;
        let closed = self.close_or_settle(name, principal, agree);
        let (resolution, project, order) = closed.map_err(|error| self.refused(principal, ACTION, name, error))?;
        let state = self.at_hand(project);
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
        let project = self.live(name)?.ok_or_else(|| self.missing(name))?;
        let open = self.ledger.open_intent(&project.id)?;
        let Some(intent) = open.filter(|open| open.operation == Operation::Provision && project.resource.is_none())
        else {
            return Err(Error::NothingToAbandon { name: name.clone() });
        };
        let why = match self.reconcile(intent, principal)? {
            Reconciled::Done(project) => return Ok((Resolution::Found, *project, None)),
            Reconciled::NothingHappened => {
                let closed = self.ledger.newest(name)?.ok_or_else(|| self.missing(name))?;
                return Ok((Resolution::NeverWas, closed, None));
            }
            Reconciled::Open { why } => why,
        };
        let order = order(name, &why).ok_or(why)?;
        agree(&order)?;
        let intent = self.ledger.open_intent(&project.id)?.ok_or_else(|| self.missing(name))?;
        let detail = json!({
            "given_up_by": "a human",
            "cap_cents": project.cap.cents(),
            "may_exist_as": order.resource,
        });
        let event = self.event(principal, ACTION, Verdict::Failed, detail);
        let project = self.ledger.close(intent, Status::Failed, &event)?;
        self.phase(Phase::Closed);
        self.reconcile_limits(principal)?;
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
