//! The same for every live project at once: the end of a session, or a bad moment.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use super::{LARGEST_PAGE, Principal, Provisioner};
use crate::{error::Error, ledger::Visibility, name::ProjectName, project::Project, view::ProjectView};

/// What became of one project of many.
#[derive(Debug)]
pub struct Outcome {
    pub name: ProjectName,
    pub result: Result<ProjectView, Error>,
}

impl Provisioner {
    /// Suspends every live project.
    ///
    /// # Errors
    /// When the ledger cannot be read. What one project met is in its [`Outcome`], and stops no other.
    pub fn suspend_all(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        Ok(each(self.names()?, |name| self.suspend(name, principal)))
    }

    /// Tears every live project down.
    ///
    /// # Errors
    /// When the ledger cannot be read. What one project met is in its [`Outcome`], and stops no other.
    pub fn teardown_all(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        Ok(each(self.names()?, |name| self.teardown(name, principal)))
    }

    /// Every live project, page by page.
    pub(super) fn living(&self) -> Result<Vec<Project>, Error> {
        if !self.ledger.exists() {
            return Ok(Vec::new());
        }
        let (mut projects, mut after) = (Vec::new(), Some(0));
        while let Some(place) = after {
            let mut page = self.ledger.projects().page(Visibility::Live, place, LARGEST_PAGE)?;
            projects.append(&mut page.projects);
            after = page.next;
        }
        Ok(projects)
    }

    fn names(&self) -> Result<Vec<ProjectName>, Error> {
        Ok(self.living()?.into_iter().map(|project| project.name).collect())
    }
}

/// Several at a time, in the order of the names.
pub(super) fn each(
    names: Vec<ProjectName>,
    work: impl Fn(&ProjectName) -> Result<ProjectView, Error> + Sync,
) -> Vec<Outcome> {
    let workers = names.len().min(AT_A_TIME);
    let (waiting, done) = (Mutex::new(names.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(name) = next(&waiting) {
                    let result = work(&name);
                    push(&done, Outcome { name, result });
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by(|one, other| one.name.cmp(&other.name));
    done
}

fn next(waiting: &Mutex<impl Iterator<Item = ProjectName>>) -> Option<ProjectName> {
    waiting.lock().ok()?.next()
}

fn push(done: &Mutex<Vec<Outcome>>, outcome: Outcome) {
    done.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
}

const AT_A_TIME: usize = 8;
