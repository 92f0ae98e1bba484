//! The operations, with their names in audit rows.

use domain::channel::Channel;

use crate::provisioner::Access;

/// An operation, or an attempt at one that could not be parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    Abandon,
    AcceptAudit,
    Approvals,
    Approve,
    Audit,
    Budget {
        write: bool,
    },
    Cap,
    CheckProviders,
    Connect,
    ClearApprovals,
    Deny,
    DetachWorkspace,
    Doctor {
        repair: bool,
    },
    Extend,
    Keep,
    List,
    /// A protocol method whose parameters could not be read.
    Method(&'static str),
    MoveWorkspace,
    Prompt,
    Providers,
    Provision,
    ReadResource,
    Reap,
    RecordUsage,
    Resume,
    Rotate,
    Release,
    Scan {
        rotate: bool,
    },
    Spend,
    Suspend,
    Teardown,
    /// A command line that could not be read.
    UnreadableCommand,
    UnknownTool,
    Workspaces,
}

impl Action {
    /// Returns the word for it in the audit: a command, a tool or a method.
    pub fn as_str(self, channel: Channel) -> &'static str {
        let is_mcp = channel == Channel::Mcp;
        match self {
            Self::Abandon => "abandon",
            Self::AcceptAudit => "audit --accept",
            Self::Approvals => "approvals",
            Self::Approve => "approve",
            Self::Audit => "audit",
            Self::Budget { .. } => "budget",
            Self::Cap => "cap",
            Self::CheckProviders => "providers check",
            Self::Connect => "connect",
            Self::ClearApprovals => "approvals --clear",
            Self::Deny => "deny",
            Self::DetachWorkspace => "workspaces detach",
            Self::Doctor { repair: false } => "doctor",
            Self::Doctor { repair: true } => "doctor --repair",
            Self::Extend => "extend",
            Self::Keep => "keep",
            Self::List if is_mcp => "list_projects",
            Self::List => "list",
            Self::Method(method) => method,
            Self::MoveWorkspace => "workspaces move",
            Self::Prompt => "prompts/get",
            Self::Providers => "providers",
            Self::Provision => "provision",
            Self::ReadResource => "resources/read",
            Self::Reap => "reap",
            Self::RecordUsage => "usage record",
            Self::Resume => "resume",
            Self::Release => "spend --release",
            Self::Rotate if is_mcp => "rotate_key",
            Self::Rotate => "rotate",
            Self::Scan { .. } => "scan",
            Self::Spend => "spend",
            Self::Suspend => "suspend",
            Self::Teardown => "teardown",
            Self::UnreadableCommand => "unreadable command",
            Self::UnknownTool => "unknown tool",
            Self::Workspaces => "workspaces",
        }
    }

    /// Tells whether its row is written even where there is no ledger yet.
    pub fn access(self) -> Access {
        match self {
            Self::Abandon
            | Self::Cap
            | Self::Extend
            | Self::Keep
            | Self::Provision
            | Self::RecordUsage
            | Self::Release
            | Self::Resume
            | Self::Rotate
            | Self::Scan { rotate: true }
            | Self::Suspend
            | Self::Teardown => Access::Write,
            // Some of these change something, and then write rows of their own.
            Self::AcceptAudit
            | Self::Approvals
            | Self::Approve
            | Self::Audit
            | Self::Budget { .. }
            | Self::CheckProviders
            | Self::Connect
            | Self::ClearApprovals
            | Self::Deny
            | Self::DetachWorkspace
            | Self::Doctor { .. }
            | Self::List
            | Self::Method(_)
            | Self::MoveWorkspace
            | Self::Prompt
            | Self::Providers
            | Self::ReadResource
            | Self::Reap
            | Self::Scan { rotate: false }
            | Self::Spend
            | Self::UnreadableCommand
            | Self::UnknownTool
            | Self::Workspaces => Access::Read,
        }
    }
}
