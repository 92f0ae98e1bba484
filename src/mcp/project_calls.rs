//! Bounds the calls that change one project: one runs and one waits, so that no agent keeps a project locked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::name::ProjectName;

use crate::app::Command;

/// The calls at work on each project.
#[derive(Clone, Debug, Default)]
pub struct ProjectCalls(Arc<Mutex<HashMap<ProjectName, usize>>>);

/// A call that was admitted; it counts until this is dropped.
#[derive(Debug)]
pub struct ProjectCall {
    calls: ProjectCalls,
    /// `None` for a call that changes no project.
    name: Option<ProjectName>,
}

impl ProjectCalls {
    /// Admits a call; `None` while its project has one that runs and one that waits.
    pub fn admit(&self, command: &Command) -> Option<ProjectCall> {
        let name = command.subject().cloned();
        if let Some(name) = &name {
            let mut calls = self.calls();
            let count = calls.entry(name.clone()).or_default();
            if *count >= MOST {
                return None;
            }
            *count += 1;
        }
        Some(ProjectCall { calls: self.clone(), name })
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<ProjectName, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ProjectCall {
    fn drop(&mut self) {
        let Some(name) = &self.name else { return };
        let mut calls = self.calls.calls();
        if let Some(count) = calls.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                calls.remove(name);
            }
        }
    }
}

/// One that runs, and one that waits for it.
const MOST: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn rotate(name: &str) -> Command {
        Command::Rotate { name: ProjectName::parse(name).unwrap(), replace: false }
    }

    #[test]
    fn third_call_of_a_project_is_refused_until_one_ends() {
        let calls = ProjectCalls::default();
        let first = calls.admit(&rotate("web")).unwrap();
        let _second = calls.admit(&rotate("web")).unwrap();
        assert!(calls.admit(&rotate("web")).is_none());
        assert!(calls.admit(&rotate("other")).is_some() && calls.admit(&Command::Approvals).is_some());
        drop(first);
        assert!(calls.admit(&rotate("web")).is_some());
        assert_eq!(calls.calls().len(), 1, "a project without calls leaves nothing");
    }
}
