//! `audit`: who called what and what came of it, or the proof that nobody changed that.

use super::{
    Job,
    arguments::Audit,
    confirm,
    render::{self, Output},
};
use crate::{
    clock::{Timestamp, moment},
    error::Error,
    name::ProjectName,
    provisioner::{AuditFilter, Principal, Provisioner},
};

pub fn show(asked: &Audit, provisioner: &Provisioner, output: Output) -> Result<(), Error> {
    if asked.verify {
        render::proof(&provisioner.audit.verify()?, output);
        return Ok(());
    }
    let now = provisioner.ports.now();
    let filter = AuditFilter {
        project: asked.project.as_deref().map(ProjectName::parse).transpose()?,
        actor: asked.actor.clone(),
        since: time(asked.since.as_deref(), now)?,
        until: time(asked.until.as_deref(), now)?,
        outcome: asked.outcome.clone(),
        limit: asked.limit,
    };
    render::audit(&provisioner.audit.entries(&filter)?, output);
    Ok(())
}

/// A human's word that a head record which does not fit is given up, after he was told what that means.
///
/// # Errors
/// What cannot be accepted; or that it was not confirmed.
pub fn accept(job: &Job, provisioner: &Provisioner, principal: &Principal, output: Output) -> Result<(), Error> {
    let broken = match provisioner.audit.verify() {
        Err(Error::AuditBroken { broken }) if broken.may_be_accepted() => broken,
        proof => {
            render::proof(&proof?, output);
            return Ok(());
        }
    };
    if !job.confirmed {
        render::before_asking(&format!(
            "{broken}.\nIf you put a backup of ledger.db in its place, what came after it is gone from the audit. If you \
             did not, somebody else did: then say no, and leave audit.head as it is."
        ));
    }
    confirm(job.confirmed, "Accept it? That you did stays in the audit.")?;
    render::proof(&provisioner.audit.accept(principal)?, output);
    Ok(())
}

fn time(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    text.map(|text| moment(text, now).ok_or(Error::InvalidTime)).transpose()
}
