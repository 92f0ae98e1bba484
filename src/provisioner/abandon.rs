//! Forget: a human gives up a purchase of which nobody can tell any more what became of it.

use serde_json::json;

use super::{Phase, Principal, Provisioner, reconcile::Reconciled};
use crate::{
    backend::BackendError,
    error::Error,
    ledger::{Operation, Verdict},
    name::ProjectName,
    project::{Project, Status},
    view::{AbandonView, Resolution},
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
    ) -> Result<AbandonView, Error> {
        let _lock = self.lock_project(name)?;
        let closed = self.close_or_settle(name, principal, agree);
        let (came_of_it, project, order) = closed.map_err(|error| self.refused(principal, ACTION, name, error))?;
        let mut project = self.view(&project);
        if let Some(UnresolvedOrder { resource, place, .. }) = order {
            project.next = format!(
                "If {resource} exists at {place}, it is billed and nothing here lists it: remove it there. The name \
                 and the variable are free."
            );
        }
        Ok(AbandonView { came_of_it, project })
    }

    fn close_or_settle(
        &self,
        name: &ProjectName,
        principal: &Principal,
        agree: impl FnOnce(&UnresolvedOrder) -> Result<(), Error>,
    ) -> Result<(Resolution, Project, Option<UnresolvedOrder>), Error> {
        let project = self.live(name)?.ok_or_else(|| self.missing(name))?;
        let open = self.ledger.journal().open_intent(&project.id)?;
        let Some(intent) = open.filter(|open| open.operation == Operation::Provision && project.resource.is_none())
        else {
            return Err(Error::NothingToAbandon { name: name.clone() });
        };
        let why = match self.reconcile(intent, principal)? {
            Reconciled::Done(project) => return Ok((Resolution::Found, *project, None)),
            Reconciled::NothingHappened => {
                let closed = self.ledger.projects().newest(name)?.ok_or_else(|| self.missing(name))?;
                return Ok((Resolution::NeverWas, closed, None));
            }
            Reconciled::Open { why } => why,
        };
        let order = order(name, &why).ok_or(why)?;
        agree(&order)?;
        let intent = self.ledger.journal().open_intent(&project.id)?.ok_or_else(|| self.missing(name))?;
        let detail = json!({
            "given_up_by": "a human",
            "cap_cents": project.cap.cents(),
            "may_exist_as": order.resource,
        });
        let event = self.event(principal, ACTION, Verdict::Failed, detail);
        let project = self.ledger.journal().close(intent, Status::Failed, &event)?;
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
