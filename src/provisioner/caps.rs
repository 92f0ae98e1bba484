//! Caps that are ours to enforce: where a backend tells what a project has used, and stops at some other limit than the
//! project's own, whichever process of ours sees that a cap is used up suspends the project.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Mutex, PoisonError},
};

use serde_json::json;

use super::{Outcome, Principal, Provisioner, batch::each, list::find, suspend::Due};
use crate::{
    backend::Scope,
    error::Error,
    money::MicroUsd,
    name::ProjectName,
    project::{Project, ResourceId, Status},
    project_state::ProjectState,
};

/// What was seen with its cap used up, and is not suspended yet. It is seen again by the next look, so losing this
/// loses nothing.
#[derive(Default)]
pub(super) struct ExhaustedCaps(Mutex<BTreeSet<ProjectName>>);

impl Provisioner {
    /// Asks the backend what the live projects have used, and suspends those that have used up their caps. Nothing is
    /// asked of a backend that does this itself, or cannot know.
    ///
    /// # Errors
    /// When the ledger cannot be read, or the backend does not answer. What one project met is in its [`Outcome`].
    pub fn enforce_caps(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        if self.backend.requires_cap_enforcement() && self.ledger.exists() {
            self.look_at_usage()?;
        }
        Ok(self.suspend_exhausted(principal))
    }

    /// Suspends what any call of this process has seen with its cap used up. Each is looked at once more, with nobody
    /// else at work on it.
    pub fn suspend_exhausted(&self, principal: &Principal) -> Vec<Outcome> {
        let names = mem::take(&mut *self.exhausted_caps.0.lock().unwrap_or_else(PoisonError::into_inner));
        let why = json!({ "because": "cap_reached" });
        let suspend = |name: &ProjectName| self.suspend_if(Due::IfExhausted, why.clone(), name, principal);
        let outcomes = each(names.into_iter().collect(), suspend).into_iter();
        outcomes.filter(|outcome| is_news(&outcome.result)).collect()
    }

    fn look_at_usage(&self) -> Result<(), Error> {
        let mut projects = self.living()?;
        projects.retain(|project| project.status == Status::Active && self.askable(project).is_some());
        let asked: Vec<ResourceId> = projects.iter().filter_map(|project| self.askable(project)).collect();
        if !asked.is_empty() {
            let observed = self.wait(self.backend.observe(Scope::Resources(&asked)))?;
            self.observe_usage(
                projects.iter().filter_map(|project| Some((project, find(&observed, project.resource.as_ref()?)?))),
            );
        }
        Ok(())
    }

    /// Remembers a project whose cap is used up, if that is ours to do something about.
    pub(super) fn note_exhausted(&self, project: &Project, usage: MicroUsd) {
        if self.backend.requires_cap_enforcement()
            && project.status == Status::Active
            && usage >= project.cap.micro_usd()
        {
            self.exhausted_caps.0.lock().unwrap_or_else(PoisonError::into_inner).insert(project.name.clone());
        }
    }
}

/// Somebody else may have been there first, or a new month begun.
fn is_news(result: &Result<ProjectState, Error>) -> bool {
    match result {
        Ok(state) => state.status() == Status::Suspended,
        Err(error) => !matches!(error, Error::ProjectNotFound { .. }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::ApprovalError;

    #[test]
    fn what_somebody_else_tore_down_meanwhile_is_no_news_and_a_failure_is() {
        for torn_down in [true, false] {
            assert!(!is_news(&Err(Error::ProjectNotFound { torn_down })));
        }
        assert!(is_news(&Err(ApprovalError::Expired.into())));
    }
}
