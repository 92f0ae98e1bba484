//! Diagnostics of the state folder.

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit};

use super::StateFolderError;
use crate::fs::shell_quoted;

impl Diagnostic for StateFolderError {
    fn code(&self) -> &'static str {
        match self {
            Self::File(_) => "ledger_unavailable",
            Self::Foreign { .. }
            | Self::ForeignHome { .. }
            | Self::GitUnclear { .. }
            | Self::Link { .. }
            | Self::NotAFolder { .. }
            | Self::Open { .. }
            | Self::Taken { .. } => "state_folder_unsafe",
            Self::WorkspaceTooWide { .. } => "workspace_too_wide",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::File(_) => channel.person("check that the state folder has free space and is writable"),
            Self::Foreign { .. } => channel.person("name a folder of your own with `--state-dir`"),
            Self::ForeignHome { .. } => channel.person(
                "run the program as the owner of that folder, without `sudo`; or set HOME to the home of the present \
                 account (`sudo -H`), or name another folder with `--state-dir`",
            ),
            Self::GitUnclear { .. } => {
                channel.person("make `git status` work in that folder, or name another folder with `--state-dir`")
            }
            Self::Link { .. } => channel.person("name the folder that the link leads to with `--state-dir`"),
            Self::NotAFolder { .. } => channel.person("move that file away, or name a folder with `--state-dir`"),
            Self::Open { path, .. } => {
                let path = shell_quoted(path);
                channel.person_runs(&format!("chmod 700 {path}"), ", if no other user has changed the files in it")
            }
            Self::Taken { .. } => channel.person(
                "name a folder outside every work tree with `--state-dir`; a folder of your own there may stay if git \
                 ignores it",
            ),
            Self::WorkspaceTooWide { .. } => channel.person(
                "name the folder of one project with `--dir`, and keep the state folder outside of it (`--state-dir`, \
                 XDG_STATE_HOME)",
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::File(error) => error.exit(),
            Self::Foreign { .. }
            | Self::ForeignHome { .. }
            | Self::GitUnclear { .. }
            | Self::Link { .. }
            | Self::NotAFolder { .. }
            | Self::Open { .. }
            | Self::Taken { .. }
            | Self::WorkspaceTooWide { .. } => Exit::Refused,
        }
    }
}
