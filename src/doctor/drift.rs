//! Compares the backend's resources, the ledger and the env files.

use backends::{BackendError, Observed, Scope};
use domain::{
    diagnostic::PROGRAM,
    name::ProjectName,
    project::{Project, ResourceId, Status},
    visible::visible,
};

use super::{Finding, REPAIR, Repair, named};
use crate::{error::Error, provisioner::Ports};

/// Asks the backend for its resources, and compares.
pub fn backend(ports: &Ports) -> Vec<Finding> {
    match findings(ports) {
        Ok(findings) => findings,
        Err(error) => vec![Finding::failure(BACKEND, error)],
    }
}

fn findings(ports: &Ports) -> Result<Vec<Finding>, Error> {
    let ours = ports.backend.name();
    let (live, others): (Vec<Project>, Vec<Project>) =
        ports.ledger.projects().all_live()?.into_iter().partition(|project| project.backend == ours);
    let mut findings = Vec::new();
    if let Some(other) = others.first() {
        let names: Vec<&ProjectName> = others.iter().map(|project| &project.name).collect();
        let found = format!("not checked, because they belong to another backend: {}", named(&names));
        findings.push(Finding::warning(BACKEND, found, format!("run `doctor --backend {}`", other.backend)));
    }
    // Without a resource to ask about, a question about none tells whether the backend answers.
    let mut asked: Vec<ResourceId> = live.iter().filter_map(|project| project.resource.clone()).collect();
    if asked.is_empty() {
        asked.push(ResourceId::new("fres_none".to_owned()));
    }
    match ports.observe(Scope::Resources(&asked)) {
        Err(error) => findings.push(Finding::failure(BACKEND, error)),
        Ok(observed) => {
            findings.push(Finding::ok(BACKEND, format!("{ours} answers")));
            findings.extend(gone(&live, &observed));
            findings.push(unlisted(ports, &ports.ledger.projects().all_live_everywhere()?));
            findings.extend(keys(ports, &live, &observed)?);
        }
    }
    Ok(findings)
}

/// Reports projects whose resource no longer exists.
fn gone(live: &[Project], observed: &[Observed]) -> Vec<Finding> {
    let settled = live.iter().filter(|project| matches!(project.status, Status::Active | Status::Suspended));
    let is_gone = |project: &&Project| project.resource.as_ref().is_none_or(|id| find(observed, id).is_none());
    let report = |project: &Project| {
        let name = &project.name;
        let found = format!("{name} is listed, but the backend no longer has it");
        Finding::problem(DRIFT, found, format!("run `{PROGRAM} teardown {name}` to close it"))
    };
    settled.filter(is_gone).map(report).collect()
}

/// Reports resources that no project has, and that may be billed.
fn unlisted(ports: &Ports, live: &[Project]) -> Finding {
    let everything = match ports.observe(Scope::Everything) {
        Ok(everything) => everything,
        Err(BackendError::Unknown { why }) => {
            return Finding::ok(DRIFT, format!("unlisted resources cannot be found here: {why}"));
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
        return Finding::ok(DRIFT, "every resource of the backend is listed".to_owned());
    }
    let found = format!(
        "the backend has resources that are not listed here and may be billed: {}",
        visible(&unlisted.join(", "))
    );
    let advice = "remove those that are not needed at Stripe; this program does not change them";
    Finding::problem(DRIFT, found, advice)
}

/// Checks by fingerprint that the variables of each project hold its current keys.
fn keys(ports: &Ports, live: &[Project], observed: &[Observed]) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let mut checked = 0;
    for project in live.iter().filter(|project| project.status == Status::Active) {
        let seen = project.resource.as_ref().and_then(|resource| find(observed, resource));
        if seen.is_some_and(|seen| !seen.suspended) {
            checked += 1;
            findings.extend(key(ports, project)?);
        }
    }
    if findings.is_empty() && checked > 0 {
        findings.push(Finding::ok(
            KEYS,
            format!("{checked} of {checked} active keys {}", if checked == 1 { "is current" } else { "are current" }),
        ));
    }
    Ok(findings)
}

fn key(ports: &Ports, project: &Project) -> Result<Vec<Finding>, Error> {
    // A file that cannot be read has a finding of its own.
    let Ok(Some(inspection)) = ports.env_file_at(&project.env_file).inspect() else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    let current = ports.ledger.issued_keys().current_fingerprints(project)?;
    for (delivery, current) in project.deliveries.iter().zip(&current) {
        let (variable, name) = (&delivery.env_var, &project.name);
        let held = inspection.holds(variable);
        if held.as_ref() == Some(current) {
            continue;
        }
        let (what, ours) = match held {
            None => ("is missing", true),
            Some(held) if ports.ledger.issued_keys().ours(std::slice::from_ref(&held))?.is_empty() => {
                ("holds a value that is not ours", false)
            }
            Some(_) => ("holds a revoked key or another project's", true),
        };
        let found = format!("{variable} of {name} {what}, in {}", visible(&inspection.path));
        findings.push(if ours {
            Finding::problem(KEYS, found, REPAIR).repaired_by(Repair::Deliver(name.clone()))
        } else {
            let advice = format!("if that value is not needed, remove {variable} from the file; then {REPAIR}");
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
