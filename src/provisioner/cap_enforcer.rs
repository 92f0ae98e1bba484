//! Enforces per-project caps for backends that report usage but limit spending per provider: any process that sees an
//! exhausted cap suspends the project.

use std::sync::Arc;

use backends::Scope;
use domain::project::{ResourceId, Status};
use serde_json::json;

use super::{Outcome, Ports, Principal, list::find, observer::Observer, suspension::Suspension};
use crate::{error::Error, project_state::ProjectState};

/// Suspends projects whose cap is used up, where the backend does not.
pub struct CapEnforcer {
    pub(super) ports: Arc<Ports>,
    pub(super) observer: Arc<Observer>,
    pub(super) suspension: Suspension,
}

impl CapEnforcer {
    /// Asks the backend for the usage of the live projects, and suspends those that have used up their caps.
    ///
    /// A backend that does this itself, or cannot know usage, is not asked. The failure of one project is in its
    /// [`Outcome`].
    pub fn enforce(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        if self.ports.backend.requires_cap_enforcement() && self.ports.ledger.exists() {
            self.look_at_usage()?;
        }
        Ok(self.suspend_exhausted(principal))
    }

    /// Suspends the projects that any call of this process saw with their caps used up. Each is checked once more
    /// before its key is disabled.
    pub fn suspend_exhausted(&self, principal: &Principal) -> Vec<Outcome> {
        let names = self.observer.take_exhausted();
        let why = json!({ "because": "cap_reached" });
        let outcomes = self.suspension.suspend_exhausted(names.into_iter(), &why, principal);
        outcomes.into_iter().filter(|outcome| is_news(&outcome.result)).collect()
    }

    fn look_at_usage(&self) -> Result<(), Error> {
        let mut projects = self.ports.ledger.projects().all_live()?;
        projects.retain(|project| project.status == Status::Active && self.observer.askable(project).is_some());
        let asked: Vec<ResourceId> = projects.iter().filter_map(|project| self.observer.askable(project)).collect();
        if !asked.is_empty() {
            let observed = self.ports.wait(self.ports.backend.observe(Scope::Resources(&asked)))?;
            self.observer.observe_usage(
                projects.iter().filter_map(|project| Some((project, find(&observed, project.resource.as_ref()?)?))),
            );
        }
        Ok(())
    }
}

/// Whether the suspension still took place: another process may have been first, or a new month may have begun.
fn is_news(result: &Result<ProjectState, Error>) -> bool {
    match result {
        Ok(state) => state.status() == Status::Suspended,
        Err(error) => !matches!(error, Error::ProjectNotFound { .. }),
    }
}

#[cfg(test)]
mod tests {
    use domain::approval::ApprovalError;

    use super::*;

    #[test]
    fn torn_down_meanwhile_is_not_reported_and_a_failure_is() {
        for torn_down in [true, false] {
            assert!(!is_news(&Err(Error::ProjectNotFound { torn_down })));
        }
        assert!(is_news(&Err(ApprovalError::Expired.into())));
    }
}
