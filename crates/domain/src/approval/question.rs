//! The question that a person decides.

use std::borrow::Cow;

use super::Approval;
use crate::{budget::BudgetFacts, money::Cents, visible::visible_once};

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
    /// What is committed, and the limits that it would exceed.
    pub budget: BudgetFacts,
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
        let what = if subject.shown.raised_from.is_some() { "for a higher cap" } else { "to provision" };
        let (lines, budget) = (subject.lines().join("\n"), &self.budget);
        format!("{} asks {what}:\n{lines}\n{budget} {live}", asker(asked_by))
    }
}

/// Returns the words for a client, which may have no name.
pub fn asker(asked_by: &str) -> Cow<'_, str> {
    if asked_by.is_empty() { Cow::Borrowed("A client without a name") } else { visible_once(asked_by) }
}
