//! `setup`: what would be changed is shown and asked about; then it is done.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

use super::{Output, confirm::confirm, render, show_error};
use crate::{
    error::Error,
    settings::Start,
    setup::{self, Action, Backup, Host, Proposal, SetupError, Wish},
};

/// What was asked for.
pub struct SetUp {
    pub(super) host: String,
    pub(super) print: bool,
    pub(super) remove: bool,
    pub(super) confirmed: bool,
}

/// What came of it, for scripts.
#[derive(Serialize)]
struct SetupView {
    host: &'static str,
    file: String,
    /// `create`, `add`, `update`, `remove`, `delete` or `nothing`
    action: &'static str,
    changed: bool,
    /// Where the file as it was is kept.
    backup: Option<String>,
}

#[derive(Serialize)]
struct PrintView {
    host: &'static str,
    file: String,
    merges: String,
}

impl SetUp {
    /// Does it, and says with which code to exit.
    pub fn run(&self, start: &Start, output: Output) -> ExitCode {
        match self.attempt(start, output) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => show_error(&error, output),
        }
    }

    fn attempt(&self, start: &Start, output: Output) -> Result<(), Error> {
        let host = Host::parse(&self.host).ok_or(SetupError::UnknownHost)?;
        let entry = setup::entry(host, &start.places, &start.program, &start.flags)?;
        if self.print {
            let file = host.file(&start.places).ok_or(SetupError::NoHome { host })?.display().to_string();
            let merges = setup::document(host, &entry);
            let text = merges.clone();
            render::result(&PrintView { host: host.as_str(), file, merges }, &text, output);
            return Ok(());
        }
        let wish = if self.remove { Wish::Remove } else { Wish::Add(entry) };
        let proposal = Proposal::of(host, &start.places, &wish)?;
        if proposal.action != Action::Nothing {
            render::before_asking(&change(&proposal));
            confirm(self.confirmed, question(&proposal))?;
        }
        let backup = proposal.carry_out()?;
        let text = outcome(&proposal, self.remove, backup.as_ref());
        let view = SetupView {
            host: host.as_str(),
            file: proposal.file.display().to_string(),
            action: proposal.action.as_str(),
            changed: proposal.action != Action::Nothing,
            backup: backup.map(|backup| backup.path.display().to_string()),
        };
        render::result(&view, &text, output);
        Ok(())
    }
}

/// Our own lines, and nothing of anybody else's: their neighbours may hold keys.
fn change(proposal: &Proposal) -> String {
    let place = proposal.line.map(|line| format!(":{line}")).unwrap_or_default();
    let mut lines = vec![format!("{}{place}, {}", proposal.file.display(), proposal.place())];
    let field = |sign: char, (name, value): &(String, Value)| format!("{sign} {name}: {}", words(value));
    for old in &proposal.before {
        let stays = proposal.after.contains(old);
        lines.push(field(if stays { ' ' } else { '-' }, old));
    }
    let added = proposal.after.iter().filter(|new| !proposal.before.contains(new));
    lines.extend(added.map(|new| field('+', new)));
    lines.join("\n")
}

fn words(value: &Value) -> String {
    match value {
        Value::Array(words) => format!("[{}]", words.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        word => word.to_string(),
    }
}

fn question(proposal: &Proposal) -> &'static str {
    match proposal.action {
        Action::Add | Action::Nothing => "Add this entry to the file?",
        Action::Create => "Make the file with this entry?",
        Action::Delete => "Remove the file, which has nothing else in it?",
        Action::Remove => "Take this entry out of the file?",
        Action::Update => "The entry is there already and says something else. Change it?",
    }
}

fn outcome(proposal: &Proposal, removing: bool, backup: Option<&Backup>) -> String {
    let (host, file) = (proposal.host.as_str(), proposal.file.display());
    let text = match proposal.action {
        Action::Add | Action::Create | Action::Update => {
            format!("{host} will start this program: {file}\nRestart {host}, or reload its MCP servers.")
        }
        Action::Delete => format!("Removed {file}: there was nothing else in it."),
        Action::Nothing if removing => format!("Nothing to remove: {file} has no entry of ours. Nothing was changed."),
        Action::Nothing => format!("Already there, nothing changed: {file}"),
        Action::Remove => format!("Taken out of {file}. Restart {host}, or reload its MCP servers."),
    };
    let kept = backup.map(|backup| {
        let exposed = if backup.exposed { EXPOSED } else { "" };
        format!("\nThe file as it was: {}{exposed}", backup.path.display())
    });
    text + &kept.unwrap_or_default()
}

const EXPOSED: &str = "\nThe next `git add` would take that copy. Remove it once all is well, or have git ignore it.";
