//! `setup`: shows the change, asks for confirmation, and applies it.

use std::{path::Path, process::ExitCode};

use domain::visible::visible;
use files::host_config::{self, Action, Backup, Desired, Dropped, Host, Plan, SetupError};
use serde::Serialize;
use serde_json::Value;

use super::{Output, confirm::confirm, render, show_error};
use crate::{error::Error, settings::Start, view::visible_json};

/// The arguments of `setup`.
pub struct SetUp {
    pub(super) host: String,
    pub(super) print: bool,
    pub(super) remove: bool,
    pub(super) confirmed: bool,
}

/// The result, for scripts.
#[derive(Serialize)]
struct SetupView {
    host: &'static str,
    file: String,
    /// The file that was changed, where `file` leads to it by a link.
    real_path: Option<String>,
    /// `create`, `add`, `update`, `remove`, `delete` or `nothing`
    action: &'static str,
    changed: bool,
    /// The copy of the old file.
    backup: Option<String>,
    /// The fields that the entry had and that are dropped, such as `env.LD_PRELOAD`.
    dropped: Vec<String>,
}

#[derive(Serialize)]
struct PrintView {
    host: &'static str,
    file: String,
    merges: String,
}

impl SetUp {
    /// Runs `setup` and returns the exit code.
    pub fn run(&self, start: &Start, output: Output) -> ExitCode {
        match self.attempt(start, output) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => show_error(&error, output),
        }
    }

    fn attempt(&self, start: &Start, output: Output) -> Result<(), Error> {
        let host = Host::parse(&self.host).ok_or(SetupError::UnknownHost)?;
        let entry = host_config::entry(host, &start.places, &start.program, &start.flags)?;
        if self.print {
            let file = as_data(&host.file(&start.places).ok_or(SetupError::NoHome { host })?);
            let merges = host_config::document(host, &entry);
            let text = merges.clone();
            render::result(&PrintView { host: host.as_str(), file, merges }, &text, output);
            return Ok(());
        }
        let desired = if self.remove { Desired::Absent } else { Desired::Present(entry) };
        let plan = Plan::new(host, &start.places, &desired)?;
        if plan.action != Action::Nothing {
            render::before_asking(&change(&plan));
            plan.dropped.iter().filter_map(warning).for_each(|warning| render::warn(&warning));
            confirm(self.confirmed, question(&plan))?;
        }
        let backup = plan.apply()?;
        let text = outcome(&plan, self.remove, backup.as_ref());
        let view = SetupView {
            host: host.as_str(),
            file: as_data(&plan.file),
            real_path: plan.real_path().as_deref().map(as_data),
            action: plan.action.as_str(),
            changed: plan.action != Action::Nothing,
            backup: backup.map(|backup| as_data(&backup.path)),
            dropped: plan.dropped.iter().map(|field| field.name.clone()).collect(),
        };
        render::result(&view, &text, output);
        Ok(())
    }
}

/// Shows the lines of our entry only: other lines of the file may hold keys.
fn change(plan: &Plan) -> String {
    let place = plan.line.map(|line| format!(":{line}")).unwrap_or_default();
    let mut lines = vec![format!("{}{place}, {}", visible(&plan.file), plan.place())];
    lines.extend(plan.real_path().map(|real| format!("  which is {}", visible(&real))));
    let field = |sign: char, (name, value): &(String, Value)| format!("{sign} {name}: {}", words(value));
    for old in &plan.before {
        let stays = plan.after.contains(old);
        lines.push(field(if stays { ' ' } else { '-' }, old));
    }
    let added = plan.after.iter().filter(|new| !plan.before.contains(new));
    lines.extend(added.map(|new| field('+', new)));
    lines.join("\n")
}

/// Names a dropped field that would have changed this program, with its effect.
fn warning(field: &Dropped) -> Option<String> {
    let effect = field.effect?;
    Some(format!("the entry sets {}, which {effect}; it is dropped", field.name))
}

fn as_data(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn words(value: &Value) -> String {
    visible_json(match value {
        Value::Array(words) => format!("[{}]", words.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        word => word.to_string(),
    })
}

fn question(plan: &Plan) -> &'static str {
    match plan.action {
        Action::Add | Action::Nothing => "Add this entry to the file?",
        Action::Create => "Create the file with this entry?",
        Action::Delete => "Remove the file? It has no other content.",
        Action::Remove => "Remove this entry from the file?",
        Action::Update => "The entry exists with other values. Change it?",
    }
}

fn outcome(plan: &Plan, removing: bool, backup: Option<&Backup>) -> String {
    let (host, file) = (plan.host.as_str(), visible(&plan.file));
    let text = match plan.action {
        Action::Add | Action::Create | Action::Update => {
            format!("{host} will start this program: {file}\nRestart {host}, or reload its MCP servers.")
        }
        Action::Delete => format!("Removed {file}: it had no other content."),
        Action::Nothing if removing => format!("Nothing to remove: {file} has no entry of this program."),
        Action::Nothing => format!("Unchanged, the entry exists already: {file}"),
        Action::Remove => format!("Removed from {file}. Restart {host}, or reload its MCP servers."),
    };
    let kept = backup.map(|backup| {
        let exposed = if backup.exposed { EXPOSED } else { "" };
        format!("\nCopy of the old file: {}{exposed}", visible(&backup.path))
    });
    text + &kept.unwrap_or_default()
}

const EXPOSED: &str = "\nThat copy is not git-ignored; delete it when you are done.";
