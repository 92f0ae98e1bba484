//! Repairs: each does what an ordinary call would do, too.

use std::path::PathBuf;

use backends::MarkedResource;
use domain::{channel::Channel, diagnostic::Diagnostic as _, name::ProjectName, visible::visible};
use files::fs;
use serde::Serialize;

use crate::{
    error::Error,
    provisioner::{Adoption, Ports, Principal, Projects},
};

/// A repair that buys, rotates and removes nothing.
#[derive(Debug)]
pub enum Repair {
    /// Add the project of a resource that is in no ledger.
    Adopt(Box<MarkedResource>),
    /// Exclude an env file from git.
    Exclude(PathBuf),
    /// Write a project's current key to its variable once more.
    Deliver(ProjectName),
    /// Remove group and other permissions of an env file.
    HideEnvFile(PathBuf),
    /// Remove group and other permissions of files in the state folder.
    HideState(Vec<PathBuf>),
    /// Reconcile the open entries of the journal.
    Recover,
    /// Remove the temporary file that a crashed process left beside an env file.
    Sweep(PathBuf),
}

/// A repair that was tried, and its error if it failed.
#[derive(Debug, PartialEq, Serialize)]
pub struct Repaired {
    pub what: String,
    pub error: Option<String>,
}

impl Repair {
    /// Makes the repair. `None`: there was nothing left to do.
    pub fn apply(
        self,
        ports: &Ports,
        projects: &Projects,
        adoption: &Adoption,
        principal: &Principal,
    ) -> Option<Repaired> {
        let (what, outcome) = match self {
            Self::Adopt(resource) => {
                let outcome = adoption.adopt(&resource, principal);
                let name = outcome.as_ref().map_or("", |state| state.project.name.as_str());
                (format!("adopted {} as {name}", resource.resource.as_str()), outcome.map(drop))
            }
            Self::Deliver(name) => {
                (format!("wrote the key of {name} to the env file"), projects.deliver_again(&name, principal))
            }
            Self::Exclude(path) => (
                format!("added {} to .git/info/exclude", visible(&path)),
                ports.delivery.preflight(&path).map(drop).map_err(Error::from),
            ),
            Self::HideEnvFile(path) => (
                format!("made {} readable by you alone", visible(&path)),
                ports.env_file_at(&path).make_private().map_err(Error::from),
            ),
            Self::HideState(paths) => (
                "made the state folder and its files private".to_owned(),
                paths.iter().try_for_each(|path| fs::make_private(path)).map_err(Error::from),
            ),
            Self::Recover => return recover(projects),
            Self::Sweep(path) => (
                format!("removed temporary files of an exited process beside {}", visible(&path)),
                ports.delivery.sweep(&path).map_err(Error::from),
            ),
        };
        Some(Repaired { what, error: outcome.err().map(|error| error.to_string()) })
    }
}

fn recover(projects: &Projects) -> Option<Repaired> {
    let recovered = match projects.recover() {
        Ok(recovered) => recovered,
        Err(error) => {
            return Some(Repaired {
                what: "reconcile unfinished operations".to_owned(),
                error: Some(error.to_string()),
            });
        }
    };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for project in recovered {
        match project.outcome {
            Ok(ended) => done.push(format!("{} ({ended})", project.name)),
            Err(error) => failed.push(format!("{}: {error}; {}", project.name, error.hint(Channel::Cli))),
        }
    }
    let error = Some(failed.join("; ")).filter(|failed| !failed.is_empty());
    let what = format!(
        "reconciled unfinished operations{}",
        if done.is_empty() { String::new() } else { format!(": {}", done.join(", ")) }
    );
    (error.is_some() || !done.is_empty()).then_some(Repaired { what, error })
}
