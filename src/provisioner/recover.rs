//! Recovery at start: finish or close what a dead process left.

use std::time::Duration;

use super::{Principal, Provisioner, reconcile::Reconciled};
use crate::{env_file::EnvFile, error::Error, name::ProjectName, policy::Asker, project::Project};

/// What became of one project that was left open.
#[derive(Debug)]
pub struct Recovered {
    pub name: ProjectName,
    /// `Ok` with a word for the log; an error where it is still open.
    pub outcome: Result<&'static str, Error>,
}

impl Provisioner {
    /// Settles every project that a dead process left open. One that a living process is at work on is left to it.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn recover(&self) -> Result<Vec<Recovered>, Error> {
        if !self.ledger.exists() {
            return Ok(Vec::new());
        }
        // What cannot be swept away is in nobody's way, and `doctor` shows it.
        let _ = self.ledger.audit().sweep();
        let _ = self.env_file.sweep();
        let mut recovered = Vec::new();
        for project in self.ledger.projects().unsettled()? {
            match self.recover_one(&project) {
                Ok(None) => {}
                Ok(Some(word)) => recovered.push(Recovered { name: project.name, outcome: Ok(word) }),
                Err(error) => recovered.push(Recovered { name: project.name, outcome: Err(error) }),
            }
        }
        // A process that died between the end of a project and the limit that it leaves too high.
        self.reconcile_limits(&principal())?;
        Ok(recovered)
    }

    fn recover_one(&self, project: &Project) -> Result<Option<&'static str>, Error> {
        let Some(_lock) = self.lock(&project.name, Duration::ZERO)? else {
            return Ok(None);
        };
        if project.backend != self.backend.name() {
            return Err(Error::WrongBackend { theirs: project.backend.clone(), ours: self.backend.name() });
        }
        EnvFile::new(project.env_file.clone()).sweep()?;
        match self.reconcile_open(project, &principal())? {
            None => Ok(None), // somebody was faster
            Some(Reconciled::Done(_)) => Ok(Some("finished")),
            Some(Reconciled::NothingHappened) => Ok(Some("closed: nothing had happened")),
            Some(Reconciled::Open { why }) => Err(why),
        }
    }
}

fn principal() -> Principal {
    Principal { door: "recovery", actor: String::new(), asker: Asker::Human }
}
