//! Every operation of every transport, with parsed arguments.

use domain::{
    approval::ApprovalId,
    lifetime::Lifetime,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
};
use files::env_file::Replace;
use serde_json::{Value, json};
use storage::ledger::Visibility;

use super::{Action, Resource};
use crate::{
    error::Error,
    provisioner::{AuditFacts, AuditFilter, Listing, ProvisionRequest, Search, USUAL_PAGE},
};

/// An operation with its arguments.
#[derive(Clone, Debug)]
pub enum Command {
    Abandon(ProjectName),
    AcceptAudit,
    Approvals,
    Approve(ApprovalId),
    Audit(AuditFilter),
    CheckProviders,
    Deny(ApprovalId),
    Doctor {
        repair: bool,
    },
    Extend {
        name: ProjectName,
        lifetime: Lifetime,
    },
    Keep(ProjectName),
    /// All projects as one list.
    List {
        torn_down: bool,
    },
    ListPage(Page),
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
    Suspend(Target),
    Teardown(Target),
    VerifyAudit,
}

/// A project, or all live ones.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    All,
    Project(ProjectName),
}

/// A page of the list; an argument that was not given is `None`.
#[derive(Clone, Debug)]
pub struct Page {
    pub listing: Listing,
    torn_down: Option<bool>,
    limit: Option<u32>,
    has_cursor: bool,
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
            Self::CheckProviders => Action::CheckProviders,
            Self::Deny(_) => Action::Deny,
            Self::Doctor { repair } => Action::Doctor { repair: *repair },
            Self::Extend { .. } => Action::Extend,
            Self::Keep(_) => Action::Keep,
            Self::List { .. } | Self::ListPage(_) => Action::List,
            Self::Prompt(_) => Action::Prompt,
            Self::Providers => Action::Providers,
            Self::Provision(_) => Action::Provision,
            Self::ReadResource(_) => Action::ReadResource,
            Self::Reap { .. } => Action::Reap,
            Self::RecordUsage { .. } => Action::RecordUsage,
            Self::Resume { .. } => Action::Resume,
            Self::Rotate { .. } => Action::Rotate,
            Self::Scan(scan) => Action::Scan { rotate: scan.rotate },
            Self::Suspend(_) => Action::Suspend,
            Self::Teardown(_) => Action::Teardown,
        }
    }

    /// Tells whether the command reads or changes projects of the workspace, rather than what belongs to the user.
    pub fn is_about_workspace(&self) -> bool {
        match self {
            Self::AcceptAudit
            | Self::Approvals
            | Self::Approve(_)
            | Self::Audit(_)
            | Self::CheckProviders
            | Self::Deny(_)
            | Self::Doctor { .. }
            | Self::Providers
            | Self::ReadResource(Resource::Providers)
            | Self::VerifyAudit => false,
            Self::Abandon(_)
            | Self::Extend { .. }
            | Self::Keep(_)
            | Self::List { .. }
            | Self::ListPage(_)
            | Self::Prompt(_)
            | Self::Provision(_)
            | Self::ReadResource(Resource::Audit | Resource::Project(_) | Resource::Projects)
            | Self::Reap { .. }
            | Self::RecordUsage { .. }
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
            | Self::Extend { name, .. }
            | Self::Keep(name)
            | Self::Provision(Provision { name, .. })
            | Self::RecordUsage { name, .. }
            | Self::Resume { name, .. }
            | Self::Rotate { name, .. }
            | Self::Suspend(Target::Project(name))
            | Self::Teardown(Target::Project(name)) => Some(name),
            Self::AcceptAudit
            | Self::Approvals
            | Self::Approve(_)
            | Self::Audit(_)
            | Self::CheckProviders
            | Self::Deny(_)
            | Self::Doctor { .. }
            | Self::List { .. }
            | Self::ListPage(_)
            | Self::Prompt(_)
            | Self::Providers
            | Self::ReadResource(_)
            | Self::Reap { .. }
            | Self::Scan(_)
            | Self::Suspend(Target::All)
            | Self::Teardown(Target::All)
            | Self::VerifyAudit => None,
        }
    }

    /// Returns the arguments as the audit shows them.
    pub fn facts(&self) -> AuditFacts {
        let facts = AuditFacts::default();
        match self {
            Self::Abandon(name)
            | Self::Keep(name)
            | Self::ReadResource(Resource::Project(name))
            | Self::Resume { name, replace: false }
            | Self::Rotate { name, replace: false } => facts.project(name),
            Self::Resume { name, replace: true } | Self::Rotate { name, replace: true } => {
                facts.project(name).fact("replace", json!(true))
            }
            Self::Approve(id) | Self::Deny(id) => facts.approval(id),
            Self::Extend { name, lifetime } => facts.project(name).lifetime("time", *lifetime),
            Self::List { torn_down } => facts.fact("all", json!(torn_down)),
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
            | Self::CheckProviders
            | Self::Doctor { .. }
            | Self::Providers
            | Self::Reap { .. }
            | Self::VerifyAudit => facts,
        }
    }
}

impl Target {
    fn facts(&self) -> AuditFacts {
        match self {
            Self::All => AuditFacts::default().fact("all", json!(true)),
            Self::Project(name) => AuditFacts::default().project(name),
        }
    }
}

impl Page {
    /// Parses the limit and the cursor of a page.
    ///
    /// # Errors
    /// [`Error::InvalidLimit`] or [`Error::InvalidCursor`].
    pub fn new(torn_down: Option<bool>, limit: Option<u32>, cursor: Option<&str>) -> Result<Self, Error> {
        let visibility = if torn_down == Some(true) { Visibility::All } else { Visibility::Live };
        let listing = Listing::new(visibility, limit.unwrap_or(USUAL_PAGE), cursor)?;
        Ok(Self { listing, torn_down, limit, has_cursor: cursor.is_some() })
    }

    fn facts(&self) -> AuditFacts {
        let mut facts = AuditFacts::default();
        if self.has_cursor {
            facts = facts.fact("cursor", json!("given"));
        }
        if let Some(torn_down) = self.torn_down {
            facts = facts.fact("include_torn_down", json!(torn_down));
        }
        match self.limit {
            None => facts,
            Some(limit) => facts.fact("limit", json!(limit)),
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
mod tests {
    use domain::channel::Channel;

    use super::*;
    use crate::provisioner::Access;

    #[test]
    fn facts_hold_the_given_arguments_only() {
        let name = ProjectName::parse("web").unwrap();
        let provider = ProviderKey::parse("search").unwrap();
        let mut provision = Provision { name: name.clone(), provider, cap: None, lifetime: None, replace: None };
        let facts = |command: Command| command.facts().into_json();
        assert_eq!(facts(Command::Provision(provision.clone())), json!({ "name": "web", "provider": "search" }));
        provision.cap = Some(Cents::ZERO);
        provision.replace = Some(false);
        let shown = json!({ "name": "web", "provider": "search", "cap_cents": 0, "replace": false });
        assert_eq!(facts(Command::Provision(provision)), shown);
        let page = Page::new(None, Some(200), Some("after-7")).unwrap();
        assert_eq!(facts(Command::ListPage(page)), json!({ "cursor": "given", "limit": 200 }));
        assert_eq!(facts(Command::Teardown(Target::All)), json!({ "all": true }));
        assert_eq!(facts(Command::ReadResource(Resource::Project(name))), json!({ "name": "web" }));
        assert_eq!(facts(Command::ReadResource(Resource::Audit)), json!({ "uri": "stripe-projects://audit" }));
    }

    #[test]
    fn each_channel_has_its_own_word_for_an_action() {
        let rotate = Command::Rotate { name: ProjectName::parse("web").unwrap(), replace: false }.action();
        assert_eq!((rotate.as_str(Channel::Mcp), rotate.as_str(Channel::Cli)), ("rotate_key", "rotate"));
        assert_eq!(rotate.access(), Access::Write);
        let list = Command::List { torn_down: false }.action();
        assert_eq!((list.as_str(Channel::Mcp), list.as_str(Channel::Cli)), ("list_projects", "list"));
        assert_eq!(list.access(), Access::Read);
    }
}
