//! Confirmations at the terminal, and the intermediate results of a command.

use std::{
    io::{self, IsTerminal as _},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use domain::{
    approval::{Answer, Approval, Subject},
    name::ProjectName,
    visible::{visible, visible_once},
};
use files::scan::Stop;

use super::{Output, render};
use crate::{
    app::{Confirmation, Interaction, Target, Update},
    error::Error,
    provisioner::{ConnectionPlan, UnresolvedOrder},
};

/// The terminal of one command.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Confirmed beforehand, with `--yes`.
    pub confirmed: bool,
    pub stop: Stop,
    pub output: Output,
}

impl Interaction for Terminal {
    fn confirm(&self, question: &Confirmation<'_>) -> Result<(), Error> {
        match question {
            Confirmation::Abandon(order) => {
                self.explain(&unresolved(order));
                self.ask(&format!("Abandon {}?", order.project))
            }
            Confirmation::AcceptAudit(broken) => {
                self.explain(&format!("{broken}.\n{RESTORED_BACKUP}"));
                self.ask("Accept it? The audit keeps a record of that.")
            }
            Confirmation::AcceptClock { now, seen } => {
                self.explain(&format!("The clock shows {now:.0}, but {seen:.0} was recorded already."));
                self.ask("Is the clock right? Purchases continue then, and every commitment stays.")
            }
            Confirmation::Connect(plan) => {
                render::before_asking(&connection(plan)); // shown with `--yes` too
                self.ask("Let servers of this workspace spend real money that way?")
            }
            Confirmation::Decide { approval, answer } => {
                self.explain(&approval.subject.lines().join("\n"));
                self.ask(&decision(approval, *answer))
            }
            Confirmation::Release(name) => {
                self.explain("What may have been spent counts in the month's budget until you release it.");
                self.ask(&format!("Release what ended projects called {name} leave committed this month?"))
            }
            Confirmation::RotateLeaked(names) => {
                let question = format!("Rotate {}? The keys that were found stop working.", listed(names));
                confirm_with(self.confirmed, &question, || self.line_unless_stopped())
            }
            Confirmation::Teardown(Target::All) => {
                self.ask("Tear down every live project for good, with its data at the provider?")
            }
            Confirmation::Teardown(Target::Everywhere) => {
                self.ask("Tear down every live project of every workspace for good, with its data at the provider?")
            }
            Confirmation::Teardown(Target::Project(name)) => {
                self.ask(&format!("Tear down {name} for good, with its data at the provider?"))
            }
        }
    }

    fn show(&self, update: &Update<'_>) {
        match update {
            Update::Leaks(view) => render::scanned(view, self.output),
            Update::NewLeaks(view) => render::watched(view, self.output),
            Update::NotRotated { names, error } => render::not_rotated(&listed(names), error),
            Update::Rotated(project) => render::rotated(project),
            Update::Watching { places } => render::watching(*places),
        }
    }

    fn stop(&self) -> Stop {
        self.stop.clone()
    }
}

impl Terminal {
    fn explain(&self, text: &str) {
        if !self.confirmed {
            render::before_asking(text);
        }
    }

    fn ask(&self, question: &str) -> Result<(), Error> {
        confirm(self.confirmed, question)
    }

    /// Reads a line in a command without an end of its own; a stop counts as no answer.
    fn line_unless_stopped(&self) -> String {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(line()));
        loop {
            match receiver.recv_timeout(STOP_INTERVAL) {
                Ok(line) => return line,
                Err(RecvTimeoutError::Timeout) if !self.stop.is_requested() => {}
                Err(_) => return String::new(), // the thread that reads ends with the process
            }
        }
    }
}

/// Asks a question unless it is `confirmed` already.
///
/// # Errors
/// [`Error::NotConfirmed`] for any answer but a yes, and without a terminal.
pub fn confirm(confirmed: bool, question: &str) -> Result<(), Error> {
    confirm_with(confirmed, question, line)
}

fn confirm_with(confirmed: bool, question: &str, read: impl FnOnce() -> String) -> Result<(), Error> {
    if confirmed {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Error::NotConfirmed { asked: false });
    }
    render::question(question);
    let answer = read();
    if !answer.ends_with('\n') {
        render::end_of_question();
    }
    let agreed = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if agreed { Ok(()) } else { Err(Error::NotConfirmed { asked: true }) }
}

/// Reads a line from the terminal; an unreadable one is empty.
fn line() -> String {
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(_) => line,
        Err(_) => String::new(),
    }
}

fn decision(approval: &Approval, answer: Answer) -> String {
    let Subject { name, provider, service, cap, .. } = &approval.subject;
    let verb = if answer == Answer::Accepted { "Approve" } else { "Deny" };
    let asker = if approval.asked_by.is_empty() { "an unnamed client" } else { &approval.asked_by };
    format!("{verb} `{name}` on {provider} ({service}) with a cap of {cap} USD, asked by {}?", visible_once(asker))
}

fn connection(plan: &ConnectionPlan) -> String {
    let mut lines = vec![format!("workspace  {}", plan.workspace.display())];
    if let Some(choice) = &plan.choice {
        let label = if choice.backend == "stripe-cli" { "program" } else { "address" };
        lines.push(format!("backend    {}", choice.backend));
        lines.push(format!("{label:<9}  {}", choice.address.as_deref().unwrap_or_default()));
        lines.extend(choice.key_file.iter().map(|file| format!("key file   {file}")));
        lines.push(format!(
            "terms      {}",
            if choice.terms_accepted { "accepted for every provider" } else { "as in the registry" }
        ));
        if !choice.has_key {
            lines.push("API key    not set; servers read STRIPE_API_KEY when they start".to_owned());
        }
    }
    match &plan.lost {
        Ok(lost) if lost.is_empty() => {}
        Ok(lost) => {
            let names: Vec<&str> = lost.iter().map(|lost| lost.resource.as_str()).collect();
            lines.push(format!(
                "lost       {} from an earlier ledger, still billed; `doctor --repair` adopts them",
                names.join(", ")
            ));
        }
        Err(why) => lines.push(format!("lost       resources of an earlier ledger could not be looked for: {why}")),
    }
    lines.join("\n")
}

fn unresolved(UnresolvedOrder { project, resource, place }: &UnresolvedOrder) -> String {
    let resource = visible(resource);
    format!(
        "It can no longer be determined whether `{project}` was bought. Look at {place} first: if {resource} exists \
         there, it is billed and nothing here will list it."
    )
}

fn listed(names: &[ProjectName]) -> String {
    names.iter().map(ProjectName::as_str).collect::<Vec<_>>().join(", ")
}

/// How soon a question notices that the command was stopped.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

const RESTORED_BACKUP: &str = "If you restored a backup of ledger.db, the rows after it are gone from the audit. If you \
    did not, another user or program changed it: then answer no, and leave audit.head as it is.";
