//! A scan for leaked keys, and the rotation of those that are live.

use std::collections::BTreeSet;

use domain::{
    diagnostic::{Diagnostic as _, Exit},
    name::ProjectName,
    principal::Principal,
};

use super::{Confirmation, Interaction, Scan, Update};
use crate::{
    error::Error,
    provisioner::{Provisioner, ScanEvent, ScanReport},
};

/// Scans, and rotates if asked to. Returns how the command ends if it found anything.
pub fn scan(
    services: &Provisioner,
    scan: &Scan,
    principal: &Principal,
    interaction: &dyn Interaction,
) -> Result<Option<Exit>, Error> {
    let mut end = None;
    let mut act_on = |found: &ScanReport| {
        if !found.findings.is_empty() {
            end.get_or_insert(Exit::Found);
        }
        if scan.rotate
            && let Some(failure) = rotate(services, found, principal, interaction)
        {
            end = Some(failure);
        }
    };
    if scan.watch {
        services.leaks.watch(&scan.search, &interaction.stop(), |event| match event {
            ScanEvent::Begun { places } => interaction.show(&Update::Watching { places }),
            ScanEvent::Found(more) => {
                interaction.show(&Update::NewLeaks(more));
                act_on(more);
            }
        })?;
    } else {
        let found = services.leaks.scan(&scan.search, &interaction.stop())?;
        interaction.show(&Update::Leaks(&found));
        act_on(&found);
    }
    Ok(end)
}

/// Rotates the live keys among the findings. All are tried, because all are exposed; the first failure is returned.
fn rotate(
    services: &Provisioner,
    found: &ScanReport,
    principal: &Principal,
    interaction: &dyn Interaction,
) -> Option<Exit> {
    let names: BTreeSet<&ProjectName> = found.live().map(|leak| &leak.project).collect();
    let names: Vec<ProjectName> = names.into_iter().cloned().collect();
    if names.is_empty() {
        return None;
    }
    if let Err(error) = interaction.confirm(&Confirmation::RotateLeaked(&names)) {
        interaction.show(&Update::NotRotated { names: &names, error: &error });
        return None; // the command ends as one that has found something
    }
    let mut failure = None;
    for name in &names {
        match services.projects.rotate(name, principal) {
            Ok(project) => interaction.show(&Update::Rotated(&project)),
            Err(error) => {
                interaction.show(&Update::NotRotated { names: std::slice::from_ref(name), error: &error });
                failure.get_or_insert(error.exit());
            }
        }
    }
    failure
}
