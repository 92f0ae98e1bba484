//! What a command leaves in the audit, whatever came of it.

use std::{process::ExitCode, time::Instant};

use serde_json::json;

use super::arguments::{Audit, Command, OneOrAll, Providers, Usage};
use super::render;
use crate::{
    diagnostic::{Diagnostic as _, PROGRAM},
    error::Error,
    provisioner::{Access, AuditFacts, Called, OK, Principal, Provisioner},
};

/// A command that is being carried out.
pub struct PendingCall {
    begun: Instant,
    action: &'static str,
    access: Access,
    arguments: AuditFacts,
}

impl PendingCall {
    pub fn of(command: &Command) -> Self {
        let said = AuditFacts::default();
        let (action, access, arguments) = match command {
            Command::Audit(Audit { accept: true, .. }) => ("audit --accept", Access::Read, said),
            Command::Audit(_) => ("audit", Access::Read, said),
            Command::List { all } => ("list", Access::Read, said.fact("all", Some(json!(all)))),
            Command::Providers { command: None } => ("providers", Access::Read, said),
            Command::Providers { command: Some(Providers::Check) } => ("providers check", Access::Read, said),
            Command::Approvals => ("approvals", Access::Read, said),
            Command::Approve { id } => ("approve", Access::Read, said.approval(id)),
            Command::Completions { .. } => ("completions", Access::Read, said),
            Command::Deny { id } => ("deny", Access::Read, said.approval(id)),
            Command::Doctor { repair: false } => ("doctor", Access::Read, said),
            Command::Doctor { repair: true } => ("doctor --repair", Access::Read, said),
            Command::Extend { name, time } => {
                ("extend", Access::Write, said.project(Some(name)).lifetime("time", Some(time)))
            }
            Command::Abandon { name } => ("abandon", Access::Write, said.project(Some(name))),
            Command::Keep { name } => ("keep", Access::Write, said.project(Some(name))),
            Command::Man { .. } => ("man", Access::Read, said),
            Command::Provision { name, provider, cap, expires_in, replace } => {
                let said = said.project(Some(name)).provider(Some(provider)).cap(Some(cap));
                let said = match expires_in {
                    Some(time) => said.lifetime("expires_in", Some(time)),
                    None => said,
                };
                ("provision", Access::Write, said.fact("replace", Some(json!(replace))))
            }
            Command::Reap { .. } => ("reap", Access::Read, said),
            Command::Resume { name } => ("resume", Access::Write, said.project(Some(name))),
            Command::Rotate { name } => ("rotate", Access::Write, said.project(Some(name))),
            Command::Serve(_) => ("serve", Access::Read, said),
            Command::Simulator { .. } => ("simulator", Access::Read, said),
            Command::Scan(wanted) => {
                let access = if wanted.rotate { Access::Write } else { Access::Read };
                ("scan", access, said.fact("rotate", Some(json!(wanted.rotate))))
            }
            Command::Setup { .. } => ("setup", Access::Read, said),
            Command::Suspend(which) => ("suspend", Access::Write, one_or_all(said, which)),
            Command::Teardown(which) => ("teardown", Access::Write, one_or_all(said, which)),
            Command::Usage { command: Usage::Record { name, amount } } => {
                ("usage record", Access::Write, said.project(Some(name)).usage(amount))
            }
        };
        Self { begun: Instant::now(), action, access, arguments }
    }

    /// A command line of which nothing could be read.
    pub fn unreadable() -> Self {
        let (action, arguments) = ("unreadable command", AuditFacts::default());
        Self { begun: Instant::now(), action, access: Access::Read, arguments }
    }

    /// Writes it down, after the person has the answer. That this fails takes nothing of the answer back.
    pub fn answered(self, provisioner: &Provisioner, principal: &Principal, outcome: &Result<ExitCode, Error>) {
        self.ended(provisioner, principal, outcome.as_ref().map_or_else(Error::code, |_| OK));
    }

    pub fn ended(self, provisioner: &Provisioner, principal: &Principal, outcome: &str) {
        let Self { begun, action, access, arguments } = self;
        let (principal, outcome, took) = (principal.clone(), outcome.to_owned(), begun.elapsed());
        if let Err(error) =
            provisioner.audit.note_calls(&[Called { principal, action, access, arguments, outcome, took }])
        {
            return render::warn(&format!("this call is missing from the audit: {error}"));
        }
        if access == Access::Read {
            return; // sealed together with the next effect: a list should cost no flush of the disk
        }
        match provisioner.audit.seal() {
            Ok(None) => {}
            Ok(Some(broken)) => render::warn(&format!("{broken}: run `{PROGRAM} audit --verify`")),
            Err(error) => render::warn(&format!("the audit is not sealed up to this call: {error}")),
        }
    }
}

fn one_or_all(said: AuditFacts, which: &OneOrAll) -> AuditFacts {
    if which.all { said.fact("all", Some(json!(true))) } else { said.project(which.name.as_deref()) }
}
