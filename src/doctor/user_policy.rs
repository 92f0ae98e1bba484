//! Checks the user's policy: whether it can be read, and whether only its owner can change it.

use std::{collections::BTreeSet, path::Path};

use domain::visible::visible;
use files::fs::{self, FsError, WriteAccess, shell_word};

use super::Finding;
use crate::{error::Error, provisioner::Ports};

/// Checks the policy file. One that an agent or another user can edit restricts neither.
pub fn policy(ports: &Ports) -> Vec<Finding> {
    let file = &ports.user_policy_file;
    let Some(path) = file.path() else {
        return vec![Finding::ok(POLICY, "none outside the workspace: the registry alone decides".to_owned())];
    };
    match file.read() {
        Err(error) => return vec![Finding::failure(POLICY, Error::UserPolicy(error))],
        Ok(None) => {
            let found = format!("none at {}: the registry alone decides", visible(path));
            return vec![Finding::ok(POLICY, found)];
        }
        Ok(Some(_)) => {}
    }
    let mut findings = match weak_places(path, &ports.workspace) {
        Err(error) => vec![Finding::failure(POLICY, error)],
        Ok(findings) => findings,
    };
    if findings.is_empty() {
        findings
            .push(Finding::ok(POLICY, format!("{} limits the registry, and only you can change it", visible(path))));
    }
    findings
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
