//! What the backend has, the ledger knows and the env file holds, held against each other.

use super::{Finding, REPAIR, Repair, named};
use crate::{
    backend::{BackendError, Observed, Scope},
    env_file::EnvFile,
    error::Error,
    name::ProjectName,
    project::{Project, ResourceId, Status},
    provisioner::Provisioner,
};

/// Asks the backend, and compares.
pub fn backend(provisioner: &Provisioner) -> Vec<Finding> {
    match findings(provisioner) {
        Ok(findings) => findings,
        Err(error) => vec![Finding::failure(BACKEND, error)],
    }
}

fn findings(provisioner: &Provisioner) -> Result<Vec<Finding>, Error> {
    let ours = provisioner.backend_name();
    let (live, others): (Vec<Project>, Vec<Project>) =
        provisioner.ledger().projects().all_live()?.into_iter().partition(|project| project.backend == ours);
    let mut findings = Vec::new();
    if let Some(other) = others.first() {
        let names: Vec<&ProjectName> = others.iter().map(|project| &project.name).collect();
        let found = format!("not looked at, because another backend holds them: {}", named(&names));
        findings.push(Finding::warning(BACKEND, found, format!("run `doctor --backend {}`", other.backend)));
    }
    // A question about what cannot exist is as good a greeting as any.
    let mut asked: Vec<ResourceId> = live.iter().filter_map(|project| project.resource.clone()).collect();
    if asked.is_empty() {
        asked.push(ResourceId::new("fres_nobody".to_owned()));
    }
    match provisioner.observe(Scope::Resources(&asked)) {
        Err(error) => findings.push(Finding::failure(BACKEND, error)),
        Ok(observed) => {
            findings.push(Finding::ok(BACKEND, format!("{ours} answers")));
            findings.extend(gone(&live, &observed));
            findings.push(unlisted(provisioner, &live));
            findings.extend(keys(provisioner, &live, &observed)?);
        }
    }
    Ok(findings)
}

/// Listed, but not there any more.
fn gone(live: &[Project], observed: &[Observed]) -> Vec<Finding> {
    let settled = live.iter().filter(|project| matches!(project.status, Status::Active | Status::Suspended));
    let is_gone = |project: &&Project| project.resource.as_ref().is_none_or(|id| find(observed, id).is_none());
    let report = |project: &Project| {
        let name = &project.name;
        let found = format!("{name} is listed, and the backend does not have it any more");
        Finding::problem(DRIFT, found, format!("run `stripe-projects-mcp teardown {name}` to close it"))
    };
    settled.filter(is_gone).map(report).collect()
}

/// There, and perhaps billed, but not listed.
fn unlisted(provisioner: &Provisioner, live: &[Project]) -> Finding {
    let everything = match provisioner.observe(Scope::Everything) {
        Ok(everything) => everything,
        Err(BackendError::Unknown { why }) => {
            return Finding::ok(DRIFT, format!("what is billed and not listed cannot be told here: {why}"));
        }
        Err(error) => return Finding::failure(DRIFT, error),
    };
    let is_listed = |observed: &&Observed| {
        live.iter().any(|project| {
            project.resource.as_ref() == Some(&observed.resource) || observed.order.as_ref() == Some(&project.id)
        })
    };
    let unlisted: Vec<&str> =
        everything.iter().filter(|observed| !is_listed(observed)).map(|each| each.resource.as_str()).collect();
    if unlisted.is_empty() {
        return Finding::ok(DRIFT, "everything that the backend has is listed".to_owned());
    }
    let found = format!("the backend has what is not listed here, and may bill it: {}", unlisted.join(", "));
    let advice = "this program leaves it alone: see at Stripe what it is, and remove it there if nobody needs it";
    Finding::problem(DRIFT, found, advice)
}

/// Whether the variable of each project holds the current key, as far as fingerprints tell.
fn keys(provisioner: &Provisioner, live: &[Project], observed: &[Observed]) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let mut checked = 0;
    for project in live.iter().filter(|project| project.status == Status::Active) {
        let seen = project.resource.as_ref().and_then(|resource| find(observed, resource));
        if seen.is_some_and(|seen| !seen.suspended) {
            checked += 1;
            findings.extend(key(provisioner, project)?);
        }
    }
    if findings.is_empty() && checked > 0 {
        findings.push(Finding::ok(KEYS, format!("active projects whose variables hold the current key: {checked}")));
    }
    Ok(findings)
}

fn key(provisioner: &Provisioner, project: &Project) -> Result<Vec<Finding>, Error> {
    // A file that cannot be looked at has a line of its own already.
    let Ok(Some(inspection)) = EnvFile::new(project.env_file.clone()).inspect() else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    let current = provisioner.ledger().issued_keys().current_fingerprints(project)?;
    for (delivery, current) in project.deliveries.iter().zip(&current) {
        let (variable, name) = (&delivery.env_var, &project.name);
        let held = inspection.holds(variable);
        if held.as_ref() == Some(current) {
            continue;
        }
        let (what, ours) = match held {
            None => ("is missing", true),
            Some(held) if provisioner.ledger().issued_keys().ours(std::slice::from_ref(&held))?.is_empty() => {
                ("holds a value that is not ours", false)
            }
            Some(_) => ("holds a key that is dead or another project's", true),
        };
        let found = format!("{variable} of {name} {what}, in {}", inspection.path.display());
        findings.push(if ours {
            Finding::problem(KEYS, found, REPAIR).repaired_by(Repair::Deliver(name.clone()))
        } else {
            let advice = format!("if nobody needs that value, remove {variable} from the file; then {REPAIR}");
            Finding::problem(KEYS, found, advice)
        });
    }
    Ok(findings)
}

fn find<'a>(observed: &'a [Observed], resource: &ResourceId) -> Option<&'a Observed> {
    observed.iter().find(|observed| observed.resource == *resource)
}

const BACKEND: &str = "backend";
const DRIFT: &str = "drift";
const KEYS: &str = "keys";
