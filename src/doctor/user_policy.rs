//! Checks the policies outside the workspace: whether they can be read, and whether only their owner can change them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use domain::visible::visible;
use files::fs::{self, FsError, WriteAccess, shell_word};

use super::Finding;
use crate::{error::Error, provisioner::Ports};

/// Checks every policy file that counts. One that an agent or another user can edit restricts neither.
pub fn policy(ports: &Ports) -> Vec<Finding> {
    let files = &ports.policy_files;
    if !files.has_home() {
        return vec![Finding::failure(POLICY, Error::NoHome)];
    }
    let counting = files.counting();
    let mut findings: Vec<_> = counting.iter().flat_map(|path| weaknesses(path, &ports.workspace)).collect();
    match files.read() {
        Err(error) if findings.is_empty() || !error.is_about_protection() => {
            findings.push(Finding::failure(POLICY, Error::UserPolicy(error)));
        }
        Err(_) => {}
        Ok(_) if counting.is_empty() => {
            let places: Vec<_> = files.places().map(|place| visible(place).to_string()).collect();
            let found = format!("none at {}: the built-in limits apply", places.join(" or "));
            findings.push(Finding::ok(POLICY, found));
        }
        Ok(_) => {
            let is_protected = |path: &&PathBuf| weaknesses(path, &ports.workspace).is_empty();
            findings.extend(counting.iter().filter(is_protected).map(|path| {
                Finding::ok(POLICY, format!("{} limits the registry, and only you can change it", visible(path)))
            }));
        }
    }
    findings
}

fn weaknesses(path: &Path, workspace: &Path) -> Vec<Finding> {
    if !path.exists() {
        return Vec::new(); // reading it says so
    }
    weak_places(path, workspace).unwrap_or_else(|error| vec![Finding::failure(POLICY, error)])
}

/// Finds folders on the way to the file that others can write, and so replace the file. Links are checked at both ends.
fn weak_places(path: &Path, workspace: &Path) -> Result<Vec<Finding>, FsError> {
    let (here, real) = (fs::in_real_folder(path), fs::real_path(path)?);
    let mut findings = Vec::new();
    if let Some(inside) = [&here, &real].into_iter().find(|path| path.starts_with(workspace)) {
        let found = format!("{} is inside the workspace, where an agent can edit it", visible(inside));
        findings.push(Finding::problem(POLICY, found, "move it out of the folders that agents work in"));
    }
    let places: BTreeSet<&Path> = here.ancestors().chain(real.ancestors()).collect();
    for place in places {
        let shown = visible(place);
        findings.extend(match fs::write_access(place)? {
            WriteAccess::Ours => None,
            WriteAccess::Open => {
                let found = format!("other users may write {shown} and so change the limits");
                Some(Finding::problem(POLICY, found, format!("run `chmod go-w {}`", shell_word(place))))
            }
            WriteAccess::Foreign => {
                let found = format!("{shown} belongs to another user, who can lift the limits");
                Some(Finding::problem(POLICY, found, "let it belong to you or to root"))
            }
        });
    }
    Ok(findings)
}

const POLICY: &str = "policy";
