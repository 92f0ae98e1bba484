//! The verbs of the plugin.

mod account;
mod add;
mod environment;
mod project;
mod resources;

use std::{fs, path::Path};

use crate::{
    arguments::Call,
    faults::Faults,
    folder,
    response::{Failure, Outcome},
    store::AccountStore,
};

/// One call, with the account and the faults that apply to it.
pub struct Context<'a> {
    pub store: &'a mut AccountStore,
    pub call: &'a Call,
    pub faults: &'a Faults,
}

pub fn perform(context: &mut Context<'_>) -> Outcome {
    match context.call.verb.as_str() {
        "add" => add::add(context),
        "add --preflight" => add::preflight(context),
        "billing" | "billing show" => Ok(account::show_billing(context)),
        "billing update" => account::update_billing(context),
        "catalog" => Ok(project::catalog(context)),
        "env" => environment::show(context),
        "env --pull" => environment::pull(context),
        "env create" => environment::create(context),
        "env list" => environment::list(context),
        "env use" => environment::activate(context),
        "init" => project::init(context),
        "init --preflight" => project::preflight(context),
        "link" => account::link(context),
        "list" => Ok(project::list(context)),
        "pull" => project::pull(context),
        "remove" => resources::remove(context),
        "rotate" => resources::rotate(context),
        "search" => Ok(project::search(context)),
        "services list" => project::services(context),
        "spend" => account::spend(context),
        "status" => project::status(context),
        other => Err(Failure::new("INVALID_ARGUMENT", format!("unknown command: {other}"))),
    }
}

impl Context<'_> {
    /// Requires `--yes` in JSON mode, for verbs that change something.
    fn confirmed(&self) -> Result<(), Failure> {
        if self.call.has("json") && !self.call.has("yes") {
            return Err(Failure::new("JSON_REQUIRES_CONFIRMATION", "Pass --yes to confirm in JSON mode."));
        }
        Ok(())
    }

    /// Returns the project of this folder.
    fn project_id(&mut self) -> Result<String, Failure> {
        folder::project_id(self.store)
    }

    fn tos_accepted(&self, party: &str) -> bool {
        let accepted = self.store.account["tos"].as_array().unwrap().iter().any(|accepted| accepted == party);
        accepted || self.call.has("accept-tos")
    }

    fn accept_tos(&mut self, party: &str) {
        let accepted = self.store.account["tos"].as_array_mut().unwrap();
        if !accepted.iter().any(|other| other == party) {
            accepted.push(party.into());
        }
    }

    /// Updates the files of the folder.
    fn write_folder(&mut self, id: &str) {
        let merchant = self.store.account["merchant"].clone();
        let project = self.store.project(id).unwrap();
        folder::write(project, &merchant);
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new("INVALID_ARGUMENT", message)
}

/// Returns whether a path names a file inside this folder.
fn is_inside_folder(file: &str) -> bool {
    let path = Path::new(file);
    !file.is_empty()
        && path.is_relative()
        && !file.contains("..")
        && !fs::metadata(path).is_ok_and(|file| file.is_dir())
}
