//! Diagnostics of the ledger and of its audit chain.

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit, PROGRAM};

use super::{Break, LedgerError};

impl Diagnostic for LedgerError {
    fn code(&self) -> &'static str {
        match self {
            Self::ClockBehind { .. } => "clock_behind",
            Self::Store(error) => error.code(),
            Self::StateFolder(error) => error.code(),
            Self::Gone => "ledger_gone",
            Self::Moved { .. } => "wrong_status",
            Self::WorkspaceReplaced => "workspace_replaced",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::ClockBehind { .. } => format!(
                "{}; if it is right, {}",
                channel.person("correct the system clock"),
                channel.person_runs(&format!("{PROGRAM} doctor --repair"), " to accept the earlier time")
            ),
            Self::StateFolder(error) => error.hint(channel),
            Self::Store(error) => error.hint(channel),
            Self::WorkspaceReplaced => format!(
                "if the registered folder was moved, {}; if it was removed, {}; its projects stay listed",
                channel.person_runs(&format!("{PROGRAM} workspaces move OLD NEW"), ""),
                channel.person_runs(&format!("{PROGRAM} workspaces detach DIR"), ""),
            ),
            Self::Gone => format!(
                "{}; if it was removed on purpose, {}; what it listed is still billed",
                channel.person("put a backup of ledger.db back into the state folder"),
                channel.person_runs(&format!("{PROGRAM} audit --accept"), " to start a new one")
            ),
            Self::Moved { .. } => channel.select(
                "call list_projects to see the status of the project".to_owned(),
                format!("run `{PROGRAM} list` to see the status of the project"),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::ClockBehind { .. } | Self::WorkspaceReplaced => Exit::Refused,
            Self::StateFolder(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Gone | Self::Moved { .. } => Exit::Failure,
        }
    }
}

impl Diagnostic for Break {
    fn code(&self) -> &'static str {
        "audit_broken"
    }

    fn hint(&self, channel: Channel) -> String {
        const KEEP: &str =
            "check with the backend what is billed, and do not delete `audit.head`, which is the evidence";
        if self.may_be_accepted() {
            let accept = channel.person_runs(&format!("{PROGRAM} audit --accept"), "");
            return format!("if a backup of ledger.db was restored, {accept}; if not, {}", channel.person(KEEP));
        }
        let compare = channel.person(&format!("compare the ledger with a backup, {KEEP}"));
        format!("{compare}: the ledger was changed, or replaced by an older one")
    }

    fn exit(&self) -> Exit {
        Exit::Failure
    }
}
