//! Recovery at start: finishes or closes the operations that a crashed process left open.

use std::{collections::BTreeSet, fmt, path::PathBuf, time::Duration};

use domain::{name::ProjectName, project::Project};

use super::{
    Ports, Principal,
    reconciler::{Reconciled, Reconciler},
};
use crate::error::Error;

/// The result for one project that was left open.
#[derive(Debug)]
pub struct Recovered {
    pub name: ProjectName,
    /// An error where it is still open.
    pub outcome: Result<Recovery, Error>,
}

/// How an open operation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recovery {
    Finished,
    /// The backend had never acted.
    NothingHappened,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::NothingHappened => "closed: nothing had happened",
        })
    }
}

/// Reconciles every project with an open operation or a kill that is not recorded. One that a running process works on is skipped.
pub(super) fn recover(ports: &Ports, reconciler: &Reconciler) -> Result<Vec<Recovered>, Error> {
    // Leftovers that cannot be removed do no harm, and `doctor` shows them.
    let _ = ports.delivery.sweep_places(&ports.env_file);
    if !ports.ledger.exists() {
        return Ok(Vec::new());
    }
    let _ = ports.ledger.audit().sweep();
    let env_files: BTreeSet<PathBuf> =
        ports.ledger.projects().all_live()?.into_iter().map(|project| project.env_file).collect();
    for env_file in env_files.iter().filter(|env_file| **env_file != ports.env_file) {
        let _ = ports.delivery.sweep_places(env_file);
    }
    let mut recovered = Vec::new();
    for project in ports.ledger.projects().unsettled()? {
        match recover_one(ports, reconciler, &project) {
            Ok(None) => {}
            Ok(Some(ended)) => recovered.push(Recovered { name: project.name, outcome: Ok(ended) }),
            Err(error) => recovered.push(Recovered { name: project.name, outcome: Err(error) }),
        }
    }
    // A process may have died between the end of a project and lowering its limit.
    ports.reconcile_limits(&Principal::recovery())?;
    Ok(recovered)
}

/// Records the kills that could not be recorded. Costs nothing where there is none.
pub(super) fn record_kills(ports: &Ports, reconciler: &Reconciler) -> Result<(), Error> {
    if !ports.ledger.exists() {
        return Ok(());
    }
    for project in ports.ledger.halts().unrecorded()? {
        if project.backend != ports.backend.name() {
            continue;
        }
        let Some(_lock) = ports.try_lock_project(&project.name, Duration::ZERO)? else { continue };
        match reconciler.reconcile_open(&project, &Principal::recovery())? {
            None if is_unrecorded(ports, &project)? => drop(reconciler.record_kill(&project, &Principal::recovery())?),
            None | Some(Reconciled::Done(_) | Reconciled::NothingHappened) => {}
            Some(Reconciled::Open { why }) => return Err(why),
        }
    }
    Ok(())
}

/// Whether a kill of the project is not recorded, by the ledger as it is under the project's lock.
fn is_unrecorded(ports: &Ports, project: &Project) -> Result<bool, Error> {
    let unrecorded = ports.ledger.halts().unrecorded()?;
    Ok(unrecorded.iter().any(|other| other.id == project.id))
}

fn recover_one(ports: &Ports, reconciler: &Reconciler, project: &Project) -> Result<Option<Recovery>, Error> {
    let Some(_lock) = ports.try_lock_project(&project.name, Duration::ZERO)? else {
        return Ok(None);
    };
    if project.backend != ports.backend.name() {
        return Err(Error::WrongBackend { theirs: project.backend.clone(), ours: ports.backend.name() });
    }
    let _ = ports.delivery.sweep(&project.env_file);
    match reconciler.reconcile_open(project, &Principal::recovery())? {
        None if is_unrecorded(ports, project)? => {
            reconciler.record_kill(project, &Principal::recovery())?;
            Ok(Some(Recovery::Finished))
        }
        None => Ok(None), // another process was faster
        Some(Reconciled::Done(_)) => Ok(Some(Recovery::Finished)),
        Some(Reconciled::NothingHappened) => Ok(Some(Recovery::NothingHappened)),
        Some(Reconciled::Open { why }) => Err(why),
    }
}
