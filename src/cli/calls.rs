//! What a command leaves in the audit, whatever came of it.

use std::{process::ExitCode, time::Instant};

use serde_json::json;

use super::arguments::{Audit, Command, OneOrAll, Providers, Usage};
use super::render;
use crate::{
    error::Error,
    provisioner::{Called, Caller, OK, Provisioner, Sanitised, Weight},
};

/// A command that is being carried out.
pub struct Entry {
    begun: Instant,
    action: &'static str,
    weight: Weight,
    arguments: Sanitised,
}

impl Entry {
    pub fn of(command: &Command) -> Self {
        let said = Sanitised::default();
        let (action, weight, arguments) = match command {
            Command::Audit(Audit { accept: true, .. }) => ("audit --accept", Weight::Look, said),
            Command::Audit(_) => ("audit", Weight::Look, said),
            Command::List { all } => ("list", Weight::Look, said.fact("all", Some(json!(all)))),
            Command::Providers { command: None } => ("providers", Weight::Look, said),
            Command::Providers { command: Some(Providers::Check) } => ("providers check", Weight::Look, said),
            Command::Approvals => ("approvals", Weight::Look, said),
            Command::Approve { id } => ("approve", Weight::Look, said.approval(id)),
            Command::Completions { .. } => ("completions", Weight::Look, said),
            Command::Deny { id } => ("deny", Weight::Look, said.approval(id)),
            Command::Doctor { repair: false } => ("doctor", Weight::Look, said),
            Command::Doctor { repair: true } => ("doctor --repair", Weight::Look, said),
            Command::Extend { name, time } => {
                ("extend", Weight::Effect, said.project(Some(name)).lease("time", Some(time)))
            }
            Command::Forget { name } => ("forget", Weight::Effect, said.project(Some(name))),
            Command::Keep { name } => ("keep", Weight::Effect, said.project(Some(name))),
            Command::Man { .. } => ("man", Weight::Look, said),
            Command::Provision { name, provider, cap, expires_in, replace } => {
                let said = said.project(Some(name)).provider(Some(provider)).cap(Some(cap));
                let said = match expires_in {
                    Some(time) => said.lease("expires_in", Some(time)),
                    None => said,
                };
                ("provision", Weight::Effect, said.fact("replace", Some(json!(replace))))
            }
            Command::Reap { .. } => ("reap", Weight::Look, said),
            Command::Resume { name } => ("resume", Weight::Effect, said.project(Some(name))),
            Command::Rotate { name } => ("rotate", Weight::Effect, said.project(Some(name))),
            Command::Serve(_) => ("serve", Weight::Look, said),
            Command::Simulator { .. } => ("simulator", Weight::Look, said),
            Command::Scan(wanted) => {
                let weight = if wanted.rotate { Weight::Effect } else { Weight::Look };
                ("scan", weight, said.fact("rotate", Some(json!(wanted.rotate))))
            }
            Command::Setup { .. } => ("setup", Weight::Look, said),
            Command::Suspend(which) => ("suspend", Weight::Effect, one_or_all(said, which)),
            Command::Teardown(which) => ("teardown", Weight::Effect, one_or_all(said, which)),
            Command::Usage { command: Usage::Record { name, amount } } => {
                ("usage record", Weight::Effect, said.project(Some(name)).usage(amount))
            }
        };
        Self { begun: Instant::now(), action, weight, arguments }
    }

    /// A command line of which nothing could be read.
    pub fn unreadable() -> Self {
        let (action, arguments) = ("unreadable command", Sanitised::default());
        Self { begun: Instant::now(), action, weight: Weight::Look, arguments }
    }

    /// Writes it down, after the person has the answer. That this fails takes nothing of the answer back.
    pub fn answered(self, provisioner: &Provisioner, caller: &Caller, outcome: &Result<ExitCode, Error>) {
        self.ended(provisioner, caller, outcome.as_ref().map_or_else(Error::code, |_| OK));
    }

    pub fn ended(self, provisioner: &Provisioner, caller: &Caller, outcome: &str) {
        let Self { begun, action, weight, arguments } = self;
        let (caller, outcome, took) = (caller.clone(), outcome.to_owned(), begun.elapsed());
        if let Err(error) = provisioner.note_calls(&[Called { caller, action, weight, arguments, outcome, took }]) {
            return render::warn(&format!("this call is missing from the audit: {error}"));
        }
        if weight == Weight::Look {
            return; // sealed together with the next effect: a list should cost no flush of the disk
        }
        match provisioner.seal_audit() {
            Ok(None) => {}
            Ok(Some(broken)) => render::warn(&format!("{broken}: run `stripe-projects-mcp audit --verify`")),
            Err(error) => render::warn(&format!("the audit is not sealed up to this call: {error}")),
        }
    }
}

fn one_or_all(said: Sanitised, which: &OneOrAll) -> Sanitised {
    if which.all { said.fact("all", Some(json!(true))) } else { said.project(which.name.as_deref()) }
}
