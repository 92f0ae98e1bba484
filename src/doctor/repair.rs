//! Repairs: each is something that an ordinary call does too, done now.

use std::path::PathBuf;

use serde::Serialize;

use crate::{
    env_file::EnvFile,
    error::Error,
    fs,
    name::ProjectName,
    provisioner::{Principal, Provisioner},
};

/// Something that can be put right without buying, rotating or removing anything.
#[derive(Debug)]
pub enum Repair {
    /// Keep git from taking an env file.
    Exclude(PathBuf),
    /// Write a project's current key to its variable once more.
    Deliver(ProjectName),
    /// Let the state folder be ignored by git.
    Guard,
    /// Take others' rights to an env file away.
    HideEnvFile(PathBuf),
    /// Take others' rights to files of ours away.
    HideState(Vec<PathBuf>),
    /// Settle what is open in the journal.
    Recover,
    /// Remove what a dead process left beside an env file.
    Sweep(PathBuf),
}

/// Something that was tried: what, and why it did not work, if it did not.
#[derive(Debug, PartialEq, Serialize)]
pub struct Repaired {
    pub what: String,
    pub error: Option<String>,
}

impl Repair {
    /// Does it. `None`: there was nothing left to do.
    pub fn carry_out(self, provisioner: &Provisioner, principal: &Principal) -> Option<Repaired> {
        let (what, outcome) = match self {
            Self::Deliver(name) => {
                (format!("wrote the key of {name} to the env file"), provisioner.deliver_again(&name, principal))
            }
            Self::Exclude(path) => (
                format!("added {} to .git/info/exclude", path.display()),
                EnvFile::new(path).preflight().map(drop).map_err(Error::from),
            ),
            Self::Guard => ("let git ignore the state folder".to_owned(), provisioner.guard_state()),
            Self::HideEnvFile(path) => (
                format!("made {} readable by you alone", path.display()),
                EnvFile::new(path).make_private().map_err(Error::from),
            ),
            Self::HideState(paths) => (
                "made the state folder and its files yours alone".to_owned(),
                paths.iter().try_for_each(|path| fs::make_private(path)).map_err(Error::from),
            ),
            Self::Recover => return recover(provisioner),
            Self::Sweep(path) => (
                format!("removed what a dead process left beside {}", path.display()),
                EnvFile::new(path).sweep().map_err(Error::from),
            ),
        };
        Some(Repaired { what, error: outcome.err().map(|error| error.to_string()) })
    }
}

fn recover(provisioner: &Provisioner) -> Option<Repaired> {
    let recovered = match provisioner.recover() {
        Ok(recovered) => recovered,
        Err(error) => return Some(Repaired { what: "settle the journal".to_owned(), error: Some(error.to_string()) }),
    };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for project in recovered {
        match project.outcome {
            Ok(ended) => done.push(format!("{} ({ended})", project.name)),
            Err(error) => failed.push(format!("{}: {error}; {}", project.name, error.hint())),
        }
    }
    let error = Some(failed.join("; ")).filter(|failed| !failed.is_empty());
    let what = format!(
        "settled what was open{}",
        if done.is_empty() { String::new() } else { format!(": {}", done.join(", ")) }
    );
    (error.is_some() || !done.is_empty()).then_some(Repaired { what, error })
}
