//! Diagnostics of host configuration files. A person runs `setup`, so an agent would only pass them on.

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit};

use super::{Host, Refused, SetupError, ShapeError};
use crate::fs::shell_word;

impl Diagnostic for SetupError {
    fn code(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "config_changed",
            Self::NoHome { .. } => "no_home",
            Self::NotText { .. } => "config_not_text",
            Self::NotWritten(_) => "config_not_writable",
            Self::PathNotText { .. } => "path_not_text",
            Self::Refused { why: Refused::Dangling, .. } => "config_link_dangling",
            Self::Refused { why: Refused::Folder, .. } => "config_is_a_folder",
            Self::Refused { why: Refused::ReadOnly, .. } => "config_read_only",
            Self::Refused { why: Refused::TooLarge, .. } => "config_too_large",
            Self::Shape { why, .. } => why.code(),
            Self::TooManyBackups { .. } => "too_many_backups",
            Self::UnknownHost => "unknown_host",
            Self::Unreadable(_) => "config_unreadable",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::Changed { .. } => "try again; nothing was changed".to_owned(),
            Self::NoHome { .. } => channel.person("set HOME (on Windows APPDATA) and try again"),
            Self::NotText { .. } => channel.person("save the file as UTF-8 and try again"),
            Self::NotWritten(_) | Self::Unreadable(_) => {
                channel.person("check that the file and its folder are readable and writable")
            }
            Self::PathNotText { .. } => channel.person("use a path that is plain text"),
            Self::Refused { why: Refused::Dangling, .. } => {
                channel.person("make the link lead to a file, or remove it; then try again")
            }
            Self::Refused { why: Refused::Folder, .. } => channel.person("move the folder away and try again"),
            Self::Refused { why: Refused::ReadOnly, path } => {
                channel.person_runs(&format!("chmod u+w {}", shell_word(path)), " and try again")
            }
            Self::Refused { why: Refused::TooLarge, .. } => by_hand(channel),
            Self::Shape { why, .. } => why.hint(channel),
            Self::TooManyBackups { .. } => channel.person("remove old backups that are not needed"),
            Self::UnknownHost => format!("use one of the hosts: {}", Host::ALL.map(Host::as_str).join(", ")),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NotWritten(_) | Self::TooManyBackups { .. } | Self::Unreadable(_) => Exit::Failure,
            Self::Changed { .. } | Self::NotText { .. } | Self::Refused { .. } => Exit::Refused,
            Self::NoHome { .. } | Self::PathNotText { .. } | Self::UnknownHost => Exit::Usage,
            Self::Shape { why, .. } => why.exit(),
        }
    }
}

impl Diagnostic for ShapeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Duplicate => "config_duplicate_key",
            Self::NotATable { .. } => "config_wrong_shape",
            Self::Syntax { .. } => "config_syntax",
            Self::Unusual => "config_not_editable",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::Duplicate => {
                channel.person("remove one of the two and try again: hosts disagree about which one counts")
            }
            Self::NotATable { .. } | Self::Unusual => by_hand(channel),
            Self::Syntax { .. } => {
                channel.person("correct the file there and try again: the host cannot read it either")
            }
        }
    }

    fn exit(&self) -> Exit {
        Exit::Refused
    }
}

fn by_hand(channel: Channel) -> String {
    channel.person("look at the file; `--print` shows what to put into it by hand")
}
