//! The question that a person decides.

use std::borrow::Cow;

use super::Approval;
use crate::{money::Cents, visible::visible_once};

/// An approval request with the facts needed to decide it.
#[derive(Clone, Debug)]
pub struct Question {
    pub approval: Approval,
    pub live_projects: u64,
    /// The sum of the caps of the live projects.
    pub committed: Cents,
    /// The highest cap that needs no approval, if any.
    pub without: Option<Cents>,
    /// The command that decides it at a terminal.
    pub command: String,
}

impl Question {
    /// Returns the question: who asks, the whole subject, and what is live.
    ///
    /// It names the service beside the label, because the label comes from the registry, which an agent may edit.
    pub fn words(&self) -> String {
        let Approval { subject, asked_by, .. } = &self.approval;
        let live = match self.live_projects {
            0 => "Nothing is live yet.".to_owned(),
            1 => format!("One project is live, with a cap of {} USD.", self.committed),
            more => format!("{more} projects are live, with caps of {} USD in sum.", self.committed),
        };
        format!("{} asks to provision:\n{}\n{live}", asker(asked_by), subject.lines().join("\n"))
    }
}

/// Returns the words for a client, which may have no name.
pub fn asker(asked_by: &str) -> Cow<'_, str> {
    if asked_by.is_empty() { Cow::Borrowed("A client without a name") } else { visible_once(asked_by) }
}
