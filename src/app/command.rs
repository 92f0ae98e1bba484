//! Every operation of every transport, with parsed arguments.

use std::path::PathBuf;

use domain::{
    approval::ApprovalId,
    budget::Month,
    lifetime::Lifetime,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
};
use files::env_file::Replace;
use serde_json::{Value, json};

use super::{Action, Page, Resource, Target, target::everywhere_fact};
use crate::{
    error::Error,
    provisioner::{AuditFacts, AuditFilter, BudgetLimits, ProvisionRequest, Search},
};

/// An operation with its arguments.
#[derive(Clone, Debug)]
pub enum Command {
    Abandon(ProjectName),
    AcceptAudit,
    Approvals,
    Approve(ApprovalId),
    Audit(AuditFilter),
    /// Shows the budget, after writing limits into the user's policy if any are given.
    Budget(BudgetLimits),
    Cap {
        name: ProjectName,
        cap: Cents,
    },
    CheckProviders,
    /// Connects the workspace to the backend that the flags choose.
    Connect,
    /// Ends the quiet times that follow denials.
    ClearApprovals,
    Deny(ApprovalId),
    /// By the label of the workspace.
    DetachWorkspace(String),
    Doctor {
        repair: bool,
        everywhere: bool,
    },
    Extend {
        name: ProjectName,
        lifetime: Lifetime,
    },
    Keep(ProjectName),
    /// All projects as one list.
    List {
        torn_down: bool,
        everywhere: bool,
    },
    ListPage(Page),
    MoveWorkspace {
        /// A label.
        old: String,
        new: PathBuf,
    },
    Prompt(Prompt),
    Providers,
    Provision(Provision),
    ReadResource(Resource),
    /// Ends what has expired, after a pause if one is given.
    Reap {
        after: Option<Lifetime>,
    },
    RecordUsage {
        name: ProjectName,
        amount: MicroUsd,
    },
    /// Releases what ended projects of that name leave committed.
    Release(ProjectName),
    /// `replace`: overwrites a value that this program did not write, which only a person may allow.
    Resume {
        name: ProjectName,
        replace: bool,
    },
    /// As for `Resume`.
    Rotate {
        name: ProjectName,
        replace: bool,
    },
    Scan(Scan),
    /// What each project commits to a month; `None` is the present one.
    Spend(Option<Month>),
    Suspend(Target),
    Teardown(Target),
    VerifyAudit,
    Workspaces,
}

/// The data that a prompt is written from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Prompt {
    Budget,
    EndSession,
    RotateOnLeak(ProjectName),
}

/// A provision as it was asked for; an argument that was not given is `None`.
#[derive(Clone, Debug)]
pub struct Provision {
    pub name: ProjectName,
    pub provider: ProviderKey,
    pub cap: Option<Cents>,
    pub lifetime: Option<Lifetime>,
    pub replace: Option<bool>,
}

/// A search for leaked keys.
#[derive(Clone, Debug)]
pub struct Scan {
    pub search: Search,
    /// Rotates every live key that is found, after confirmation.
    pub rotate: bool,
    /// Continues with the files that change, until it is stopped.
    pub watch: bool,
}

/// A call whose arguments cannot be parsed; `facts` quotes none of them.
#[derive(Debug)]
pub struct Rejected<E = Error> {
    pub action: Action,
    pub facts: AuditFacts,
    pub error: Box<E>,
}

impl Command {
    pub fn action(&self) -> Action {
        match self {
            Self::Abandon(_) => Action::Abandon,
            Self::AcceptAudit => Action::AcceptAudit,
            Self::Approvals => Action::Approvals,
            Self::Approve(_) => Action::Approve,
            Self::Audit(_) | Self::VerifyAudit => Action::Audit,
            Self::Budget(limits) => Action::Budget { write: *limits != BudgetLimits::default() },
            Self::Cap { .. } => Action::Cap,
            Self::CheckProviders => Action::CheckProviders,
            Self::Connect => Action::Connect,
            Self::ClearApprovals => Action::ClearApprovals,
            Self::Deny(_) => Action::Deny,
            Self::DetachWorkspace(_) => Action::DetachWorkspace,
            Self::Doctor { repair, .. } => Action::Doctor { repair: *repair },
            Self::Extend { .. } => Action::Extend,
            Self::Keep(_) => Action::Keep,
            Self::List { .. } | Self::ListPage(_) => Action::List,
            Self::MoveWorkspace { .. } => Action::MoveWorkspace,
            Self::Prompt(_) => Action::Prompt,
            Self::Providers => Action::Providers,
            Self::Provision(_) => Action::Provision,
            Self::ReadResource(_) => Action::ReadResource,
            Self::Reap { .. } => Action::Reap,
            Self::RecordUsage { .. } => Action::RecordUsage,
            Self::Release(_) => Action::Release,
            Self::Resume { .. } => Action::Resume,
            Self::Rotate { .. } => Action::Rotate,
            Self::Scan(scan) => Action::Scan { rotate: scan.rotate },
            Self::Spend(_) => Action::Spend,
            Self::Suspend(_) => Action::Suspend,
            Self::Teardown(_) => Action::Teardown,
            Self::Workspaces => Action::Workspaces,
        }
    }

    /// Tells whether the command asks the backend to change something, rather than to be looked at.
    pub fn changes_backend(&self) -> bool {
        matches!(
            self,
            Self::Abandon(_)
                | Self::Cap { .. }
                | Self::Provision(_)
                | Self::RecordUsage { .. }
                | Self::Resume { .. }
                | Self::Rotate { .. }
                | Self::Suspend(_)
                | Self::Teardown(_)
        )
    }

    /// Tells whether the command reads or changes projects of the workspace, rather than what belongs to the user.
    pub fn is_about_workspace(&self) -> bool {
        match self {
            Self::AcceptAudit
            | Self::Approvals
            | Self::Approve(_)
            | Self::Audit(_)
            | Self::Budget(_)
            | Self::CheckProviders
            | Self::ClearApprovals
            | Self::Deny(_)
            | Self::DetachWorkspace(_)
            | Self::Doctor { .. }
            | Self::List { everywhere: true, .. }
            | Self::MoveWorkspace { .. }
            | Self::Providers
            | Self::ReadResource(Resource::Providers)
            | Self::Scan(Scan { search: Search { everywhere: true, .. }, .. })
            | Self::Spend(_)
            | Self::Suspend(Target::Everywhere)
            | Self::Teardown(Target::Everywhere)
            | Self::VerifyAudit
            | Self::Workspaces => false,
            Self::Abandon(_)
            | Self::Cap { .. }
            | Self::Connect
            | Self::Extend { .. }
            | Self::Keep(_)
            | Self::List { everywhere: false, .. }
            | Self::ListPage(_)
            | Self::Prompt(_)
            | Self::Provision(_)
            | Self::ReadResource(Resource::Audit | Resource::Project(_) | Resource::Projects)
            | Self::Reap { .. }
            | Self::RecordUsage { .. }
            | Self::Release(_)
            | Self::Resume { .. }
            | Self::Rotate { .. }
            | Self::Scan(_)
            | Self::Suspend(_)
            | Self::Teardown(_) => true,
        }
    }

    /// Returns the project that the command may change.
    pub fn subject(&self) -> Option<&ProjectName> {
        match self {
            Self::Abandon(name)
            | Self::Cap { name, .. }
            | Self::Extend { name, .. }
            | Self::Keep(name)
            | Self::Provision(Provision { name, .. })
            | Self::RecordUsage { name, .. }
            | Self::Release(name)
            | Self::Resume { name, .. }
            | Self::Rotate { name, .. }
            | Self::Suspend(Target::Project(name))
            | Self::Teardown(Target::Project(name)) => Some(name),
            Self::AcceptAudit
            | Self::Approvals
            | Self::Approve(_)
            | Self::Audit(_)
            | Self::Budget(_)
            | Self::CheckProviders
            | Self::ClearApprovals
            | Self::Connect
            | Self::Deny(_)
            | Self::DetachWorkspace(_)
            | Self::Doctor { .. }
            | Self::List { .. }
            | Self::ListPage(_)
            | Self::MoveWorkspace { .. }
            | Self::Prompt(_)
            | Self::Providers
            | Self::ReadResource(_)
            | Self::Reap { .. }
            | Self::Scan(_)
            | Self::Spend(_)
            | Self::Suspend(Target::All | Target::Everywhere)
            | Self::Teardown(Target::All | Target::Everywhere)
            | Self::VerifyAudit
            | Self::Workspaces => None,
        }
    }

    /// Returns the arguments as the audit shows them.
    pub fn facts(&self) -> AuditFacts {
        let facts = AuditFacts::default();
        match self {
            Self::Abandon(name)
            | Self::Keep(name)
            | Self::ReadResource(Resource::Project(name))
            | Self::Release(name)
            | Self::Resume { name, replace: false }
            | Self::Rotate { name, replace: false } => facts.project(name),
            Self::Resume { name, replace: true } | Self::Rotate { name, replace: true } => {
                facts.project(name).fact("replace", json!(true))
            }
            Self::Approve(id) | Self::Deny(id) => facts.approval(id),
            Self::Cap { name, cap } => facts.project(name).cap(*cap),
            Self::Extend { name, lifetime } => facts.project(name).lifetime("time", *lifetime),
            Self::List { torn_down, everywhere } => everywhere_fact(facts.fact("all", json!(torn_down)), *everywhere),
            Self::ListPage(page) => page.facts(),
            Self::Prompt(prompt) => prompt.facts(),
            Self::Provision(provision) => provision.facts(),
            Self::ReadResource(resource) => facts.fact("uri", json!(resource.uri())),
            Self::RecordUsage { name, amount } => facts.project(name).usage(*amount),
            Self::Scan(scan) => facts.fact("rotate", json!(scan.rotate)),
            Self::Suspend(target) | Self::Teardown(target) => target.facts(),
            Self::AcceptAudit
            | Self::Approvals
            | Self::Audit(_)
            | Self::Budget(_)
            | Self::CheckProviders
            | Self::ClearApprovals
            | Self::Connect
            | Self::DetachWorkspace(_)
            | Self::MoveWorkspace { .. }
            | Self::Providers
            | Self::Reap { .. }
            | Self::Spend(_)
            | Self::VerifyAudit
            | Self::Workspaces => facts,
            Self::Doctor { everywhere, .. } => everywhere_fact(facts, *everywhere),
        }
    }
}

impl Prompt {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::EndSession => "end-session",
            Self::RotateOnLeak(_) => "rotate-on-leak",
        }
    }

    fn facts(&self) -> AuditFacts {
        let facts = AuditFacts::default().fact("prompt", json!(self.as_str()));
        match self {
            Self::Budget | Self::EndSession => facts,
            Self::RotateOnLeak(name) => facts.project(name),
        }
    }
}

impl Provision {
    pub fn request(&self) -> ProvisionRequest {
        ProvisionRequest {
            name: self.name.clone(),
            provider: self.provider.clone(),
            cap: self.cap.unwrap_or(Cents::ZERO),
            lifetime: self.lifetime,
            replace: replacing(self.replace == Some(true)),
        }
    }

    fn facts(&self) -> AuditFacts {
        let mut facts = AuditFacts::default().project(&self.name).provider(&self.provider);
        if let Some(cap) = self.cap {
            facts = facts.cap(cap);
        }
        if let Some(lifetime) = self.lifetime {
            facts = facts.lifetime("expires_in", lifetime);
        }
        if let Some(replace) = self.replace {
            facts = facts.fact("replace", Value::Bool(replace));
        }
        facts
    }
}

/// Returns what a `--replace` that was given, or not, permits.
pub(super) fn replacing(replace: bool) -> Replace {
    if replace { Replace::Foreign } else { Replace::OursOnly }
}

#[cfg(test)]
mod tests;
