//! What a command leaves in the audit, whatever came of it.

use std::time::Instant;

use serde_json::json;

use super::arguments::{Command, Providers, Usage};
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
            Command::Audit(_) => ("audit", Weight::Look, said),
            Command::List { all } => ("list", Weight::Look, said.fact("all", Some(json!(all)))),
            Command::Providers { command: None } => ("providers", Weight::Look, said),
            Command::Providers { command: Some(Providers::Check) } => ("providers check", Weight::Look, said),
            Command::Provision { name, provider, cap, replace } => {
                let said = said.project(Some(name)).provider(Some(provider)).cap(Some(cap));
                ("provision", Weight::Effect, said.fact("replace", Some(json!(replace))))
            }
            Command::Rotate { name } => ("rotate", Weight::Effect, said.project(Some(name))),
            Command::Serve => ("serve", Weight::Look, said),
            Command::Simulator { .. } => ("simulator", Weight::Look, said),
            Command::Teardown { name } => ("teardown", Weight::Effect, said.project(Some(name))),
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
    pub fn answered(self, provisioner: &Provisioner, caller: &Caller, outcome: &Result<(), Error>) {
        self.ended(provisioner, caller, outcome.as_ref().map_or_else(Error::code, |()| OK));
    }

    pub fn ended(self, provisioner: &Provisioner, caller: &Caller, outcome: &str) {
        let Self { begun, action, weight, arguments } = self;
        let (caller, outcome, took) = (caller.clone(), outcome.to_owned(), begun.elapsed());
        let noted = provisioner.note_calls(&[Called { caller, action, weight, arguments, outcome, took }]);
        // Mere looks are sealed together with the next effect: a list should cost no flush of the disk.
        let sealed = if weight == Weight::Effect { provisioner.seal_audit() } else { Ok(()) };
        if let Err(error) = noted.and(sealed) {
            render::warn(&format!("this call is missing from the audit: {error}"));
        }
    }
}
