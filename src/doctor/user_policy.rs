//! Checks the policies outside the workspace: whether they can be read, and whether only their owner can change them.

use std::{collections::BTreeSet, path::Path};

use files::fs::{self, FsError, WriteAccess};

use super::Finding;
use crate::{error::Error, provisioner::Ports};

/// Checks every policy file that counts. One that an agent or another user can edit restricts neither.
pub fn policy(ports: &Ports) -> Vec<Finding> {
    let files = &ports.policy_files;
    if !files.has_home() {
        return vec![Finding::failure(POLICY, Error::NoHome)];
    }
    if let Err(error) = files.read() {
        return vec![Finding::failure(POLICY, Error::UserPolicy(error))];
    }
    let counting = files.counting();
    if counting.is_empty() {
        let places: Vec<_> = files.places().map(|place| place.display().to_string()).collect();
        let found = format!("none at {}: the built-in limits apply", places.join(" or "));
        return vec![Finding::ok(POLICY, found)];
    }
    counting.iter().flat_map(|path| file(path, &ports.workspace)).collect()
}

fn file(path: &Path, workspace: &Path) -> Vec<Finding> {
    let mut findings = match weak_places(path, workspace) {
        Err(error) => vec![Finding::failure(POLICY, error)],
        Ok(findings) => findings,
    };
    if findings.is_empty() {
        findings
            .push(Finding::ok(POLICY, format!("{} limits the registry, and only you can change it", path.display())));
    }
    findings
}

/// Finds folders on the way to the file that others can write, and so replace the file. Links are checked at both ends.
fn weak_places(path: &Path, workspace: &Path) -> Result<Vec<Finding>, FsError> {
    let (here, real) = (fs::in_real_folder(path), fs::real_path(path)?);
    let mut findings = Vec::new();
    if let Some(inside) = [&here, &real].into_iter().find(|path| path.starts_with(workspace)) {
        let found = format!("{} is inside the workspace, where an agent can edit it", inside.display());
        findings.push(Finding::problem(POLICY, found, "move it out of the folders that agents work in"));
    }
    let places: BTreeSet<&Path> = here.ancestors().chain(real.ancestors()).collect();
    for place in places {
        let shown = place.display();
        findings.extend(match fs::write_access(place)? {
            WriteAccess::Ours => None,
            WriteAccess::Open => {
                let found = format!("other users may write {shown} and so change the limits");
                Some(Finding::problem(POLICY, found, format!("run `chmod go-w {shown}`")))
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
