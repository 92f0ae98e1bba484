//! `audit`: who called what and what came of it, or the proof that nobody changed that.

use super::{
    arguments::Audit,
    render::{self, Output},
};
use crate::{
    clock::{Timestamp, moment},
    error::Error,
    name::ProjectName,
    provisioner::{AuditFilter, Provisioner},
};

pub fn show(asked: &Audit, provisioner: &Provisioner, output: Output) -> Result<(), Error> {
    if asked.verify {
        render::proof(&provisioner.verify_audit()?, output);
        return Ok(());
    }
    let now = provisioner.now();
    let filter = AuditFilter {
        project: asked.project.as_deref().map(ProjectName::parse).transpose()?,
        actor: asked.actor.clone(),
        since: time(asked.since.as_deref(), now)?,
        until: time(asked.until.as_deref(), now)?,
        outcome: asked.outcome.clone(),
        limit: asked.limit,
    };
    render::audit(&provisioner.audit(&filter)?, output);
    Ok(())
}

fn time(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    text.map(|text| moment(text, now).ok_or(Error::InvalidTime)).transpose()
}
