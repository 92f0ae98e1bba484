//! The verbs of the plugin.

mod account;
mod add;
mod environment;
mod project;
mod resources;

use std::{fs, path::Path};

use crate::{
    account::World,
    answer::{Failure, Outcome},
    arguments::Call,
    folder,
    weather::Weather,
};

/// One call in its world and weather.
pub struct Scene<'a> {
    pub world: &'a mut World,
    pub call: &'a Call,
    pub weather: &'a Weather,
}

pub fn perform(scene: &mut Scene<'_>) -> Outcome {
    match scene.call.verb.as_str() {
        "add" => add::add(scene),
        "add --preflight" => add::preflight(scene),
        "billing" | "billing show" => Ok(account::show_billing(scene)),
        "billing update" => account::update_billing(scene),
        "catalog" => Ok(project::catalog(scene)),
        "env" => environment::show(scene),
        "env --pull" => environment::pull(scene),
        "env create" => environment::create(scene),
        "env list" => environment::list(scene),
        "env use" => environment::activate(scene),
        "init" => project::init(scene),
        "init --preflight" => project::preflight(scene),
        "link" => account::link(scene),
        "list" => Ok(project::list(scene)),
        "pull" => project::pull(scene),
        "remove" => resources::remove(scene),
        "rotate" => resources::rotate(scene),
        "search" => Ok(project::search(scene)),
        "services list" => project::services(scene),
        "spend" => account::spend(scene),
        "status" => project::status(scene),
        other => Err(Failure::new("INVALID_ARGUMENT", format!("unknown command: {other}"))),
    }
}

impl Scene<'_> {
    /// What changes something wants `--yes` when nobody can be asked.
    fn confirmed(&self) -> Result<(), Failure> {
        if self.call.has("json") && !self.call.has("yes") {
            return Err(Failure::new("JSON_REQUIRES_CONFIRMATION", "Pass --yes to confirm in JSON mode."));
        }
        Ok(())
    }

    /// The project of this folder.
    fn project_id(&mut self) -> Result<String, Failure> {
        folder::project_id(self.world)
    }

    fn tos_accepted(&self, by: &str) -> bool {
        let accepted = self.world.account["tos"].as_array().unwrap().iter().any(|party| party == by);
        accepted || self.call.has("accept-tos")
    }

    fn accept_tos(&mut self, of: &str) {
        let accepted = self.world.account["tos"].as_array_mut().unwrap();
        if !accepted.iter().any(|party| party == of) {
            accepted.push(of.into());
        }
    }

    /// Brings the files of the folder up to date.
    fn write_folder(&mut self, id: &str) {
        let merchant = self.world.account["merchant"].clone();
        let project = self.world.project(id).unwrap();
        folder::write(project, &merchant);
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new("INVALID_ARGUMENT", message)
}

/// A name for a file of this folder, and not of another.
fn is_beside_us(file: &str) -> bool {
    let path = Path::new(file);
    !file.is_empty()
        && path.is_relative()
        && !file.contains("..")
        && !fs::metadata(path).is_ok_and(|file| file.is_dir())
}
