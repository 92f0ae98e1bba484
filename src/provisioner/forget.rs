//! Forget: a human gives up a purchase of which nobody can tell any more what became of it.

use serde_json::json;

use super::{Caller, Provisioner, Step, settle::Settled};
use crate::{
    backend::BackendError,
    error::Error,
    ledger::{Operation, Verdict},
    name::ProjectName,
    project::{Project, Status},
    view::{ForgetView, LastWord},
};

/// What nobody can tell any more, and where a person can look.
#[derive(Clone, Debug)]
pub struct Untold {
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
    /// [`Error::ProjectNotFound`]; [`Error::NothingToForget`] of what is no open purchase;
    /// [`Error::OutcomeUnknown`] where the backend may still tell, later; and whatever `agree` refuses with.
    pub fn forget(
        &self,
        name: &ProjectName,
        caller: &Caller,
        agree: impl FnOnce(&Untold) -> Result<(), Error>,
    ) -> Result<ForgetView, Error> {
        let _lock = self.lock_patiently(name)?;
        let closed = self.close_or_settle(name, caller, agree);
        let (came_of_it, project, untold) = closed.map_err(|error| self.refused(caller, ACTION, name, error))?;
        let mut project = self.view(&project);
        if let Some(Untold { resource, place, .. }) = untold {
            project.next = format!(
                "If {resource} exists at {place}, it is billed and nothing here lists it: remove it there. The name \
                 and the variable are free."
            );
        }
        Ok(ForgetView { came_of_it, project })
    }

    fn close_or_settle(
        &self,
        name: &ProjectName,
        caller: &Caller,
        agree: impl FnOnce(&Untold) -> Result<(), Error>,
    ) -> Result<(LastWord, Project, Option<Untold>), Error> {
        let project = self.live(name)?.ok_or_else(|| self.missing(name))?;
        let open = self.ledger.open_intent(&project.id)?;
        let Some(intent) = open.filter(|open| open.operation == Operation::Provision && project.resource.is_none())
        else {
            return Err(Error::NothingToForget { name: name.clone() });
        };
        let why = match self.settle(intent, caller)? {
            Settled::Done(project) => return Ok((LastWord::Found, *project, None)),
            Settled::NothingHappened => {
                let closed = self.ledger.newest(name)?.ok_or_else(|| self.missing(name))?;
                return Ok((LastWord::NeverWas, closed, None));
            }
            Settled::Open { why } => why,
        };
        let untold = untold(name, &why).ok_or(why)?;
        agree(&untold)?;
        let intent = self.ledger.open_intent(&project.id)?.ok_or_else(|| self.missing(name))?;
        let detail = json!({
            "given_up_by": "a human",
            "cap_cents": project.cap.cents(),
            "may_exist_as": untold.resource,
        });
        let event = self.event(caller, ACTION, Verdict::Failed, detail);
        let project = self.ledger.close(intent, Status::Failed, &event)?;
        self.step(Step::Closed);
        self.settle_limits(caller)?;
        Ok((LastWord::GivenUp, project, Some(untold)))
    }
}

/// `None` where the backend may still tell.
fn untold(project: &ProjectName, why: &Error) -> Option<Untold> {
    let Error::OutcomeUnknown { why: cause, .. } = why else { return None };
    match &**cause {
        Error::Backend(BackendError::Forgotten { name, place }) => {
            Some(Untold { project: project.clone(), resource: name.clone(), place })
        }
        _ => None,
    }
}

const ACTION: &str = "forget";
