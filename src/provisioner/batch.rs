//! One operation on many projects, several at a time.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use domain::name::ProjectName;

use crate::{error::Error, project_state::ProjectState};

/// The result for one project of many.
#[derive(Debug)]
pub struct Outcome {
    pub name: ProjectName,
    pub result: Result<ProjectState, Error>,
}

/// Runs `work` on several projects at a time, and returns the outcomes in the order of the names.
pub(super) fn each(
    names: Vec<ProjectName>,
    work: impl Fn(&ProjectName) -> Result<ProjectState, Error> + Sync,
) -> Vec<Outcome> {
    each_item(names.into_iter().map(|name| (name.clone(), name)).collect(), |name| work(&name))
}

/// As [`each`], on items that belong to projects.
pub(super) fn each_item<T: Send>(
    items: Vec<(ProjectName, T)>,
    work: impl Fn(T) -> Result<ProjectState, Error> + Sync,
) -> Vec<Outcome> {
    let workers = items.len().min(CONCURRENCY);
    let (waiting, done) = (Mutex::new(items.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((name, item)) = next(&waiting) {
                    let result = work(item);
                    push(&done, Outcome { name, result });
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by(|one, other| one.name.cmp(&other.name));
    done
}

fn next<T>(waiting: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    waiting.lock().ok()?.next()
}

fn push(done: &Mutex<Vec<Outcome>>, outcome: Outcome) {
    done.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
}

const CONCURRENCY: usize = 8;
