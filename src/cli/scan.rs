//! The command `scan`: looks, shows, and rotates what is found and live when the human says so.

use std::{collections::BTreeSet, process::ExitCode};

use super::{Job, Output, arguments::Scan, confirm_unless_stopped, render};
use crate::{
    diagnostic::{Diagnostic as _, Exit},
    error::Error,
    name::ProjectName,
    provisioner::{Principal, Provisioner, ScanEvent, ScanReport, Search},
    settings,
};

/// Scans; the exit code tells found from clean, or how the first rotation failed that did.
///
/// # Errors
/// The scan's.
pub fn scan(
    wanted: &Scan,
    job: &Job,
    provisioner: &Provisioner,
    principal: &Principal,
    output: Output,
) -> Result<ExitCode, Error> {
    let places = if wanted.agents { settings::homes().transcripts() } else { Vec::new() };
    let search = Search { paths: wanted.paths.clone(), places };
    let mut end = None;
    let mut act_on = |found: &ScanReport| {
        if !found.findings.is_empty() {
            end.get_or_insert(Exit::Found);
        }
        if let Some(failure) = wanted.rotate.then(|| rotate(found, job, provisioner, principal)).flatten() {
            end = Some(failure);
        }
    };
    if wanted.watch {
        provisioner.leaks.watch(&search, &job.stop, |sighting| match sighting {
            ScanEvent::Begun { places } => render::watching(places),
            ScanEvent::Found(more) => {
                render::watched(more, output);
                act_on(more);
            }
        })?;
    } else {
        let report = provisioner.leaks.scan(&search, &job.stop)?;
        render::scanned(&report, output);
        act_on(&report);
    }
    Ok(end.map_or(ExitCode::SUCCESS, |end| ExitCode::from(end as u8)))
}

/// Rotates what was found live. All are tried, because all are exposed; what the first failure ends with comes back.
/// stdout has the findings already, so everything here goes to stderr.
fn rotate(found: &ScanReport, job: &Job, provisioner: &Provisioner, principal: &Principal) -> Option<Exit> {
    let names: BTreeSet<&ProjectName> = found.live().map(|leak| &leak.project).collect();
    if names.is_empty() {
        return None;
    }
    let listed = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    if let Err(error) = confirm_unless_stopped(job, &format!("Rotate {listed}? What was found stops working.")) {
        render::not_rotated(&listed, &error);
        return None; // the findings are what there is to tell
    }
    let mut failure = None;
    for name in names {
        match provisioner.projects.rotate(name, principal) {
            Ok(state) => render::rotated(&state),
            Err(error) => {
                render::not_rotated(name.as_str(), &error);
                failure.get_or_insert(error.exit());
            }
        }
    }
    failure
}
