//! Diagnostics of registries and policies that cannot be used.

use domain::{
    channel::Channel,
    diagnostic::{Diagnostic, Exit, PROGRAM},
    name::ProviderKey,
};

use super::{Problem, RegistryError};

impl Diagnostic for RegistryError {
    fn code(&self) -> &'static str {
        "invalid_registry"
    }

    fn hint(&self, channel: Channel) -> String {
        match self.problem.fix() {
            Fix::Choose(choices) => channel.person(&choices),
            Fix::Move { key } => moved(key, channel),
            Fix::NameFile => channel.person("name an existing file with `--providers`"),
            Fix::Protect => protect(&self.file, channel),
            Fix::Correct | Fix::Relink => channel.select(
                format!("ask the user to correct the file; {}", goes_on(channel)),
                format!("correct the file and run `{PROGRAM} providers check`; {}", goes_on(channel)),
            ),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

impl RegistryError {
    /// Whether the file could be used if only its owner could change it.
    pub fn is_about_protection(&self) -> bool {
        matches!(self.problem, Problem::NotYours | Problem::OpenToOthers)
    }

    /// Returns the hint for a policy outside the workspace, which only a person may change.
    pub fn policy_hint(&self, channel: Channel) -> String {
        match self.problem.fix() {
            Fix::Choose(choices) => channel.person(&choices),
            Fix::Move { key } => moved(key, channel),
            Fix::NameFile => channel.person("let STRIPE_PROJECTS_POLICY name an existing file, or unset it"),
            Fix::Protect => protect(&self.file, channel),
            Fix::Correct => format!("{}; {}", channel.person("correct that file"), goes_on(channel)),
            Fix::Relink => {
                let relink = channel.person("make that link lead to the policy again, or remove it");
                format!("{relink}; {}", goes_on(channel))
            }
        }
    }
}

/// What repairs a file.
enum Fix {
    /// One of these names.
    Choose(String),
    Correct,
    /// Another file for this key.
    Move {
        key: &'static str,
    },
    /// The name of a file that exists.
    NameFile,
    /// The owner and mode that keep other users from changing it.
    Protect,
    /// A link that leads to a file.
    Relink,
}

impl Problem {
    fn fix(&self) -> Fix {
        match self {
            Self::UnknownKey { valid, .. } => Fix::Choose(format!("use one of the keys: {}", valid.join(", "))),
            Self::UnknownProvider { valid, .. } => {
                let keys: Vec<_> = valid.iter().map(ProviderKey::as_str).collect();
                Fix::Choose(format!("use one of the providers in this file: {}", keys.join(", ")))
            }
            Self::NoFile => Fix::NameFile,
            Self::NotYours | Self::OpenToOthers => Fix::Protect,
            Self::OwnerOnly { key } => Fix::Move { key },
            Self::Dangling => Fix::Relink,
            Self::AlertsHost
            | Self::AlertsUrl
            | Self::Amount(_)
            | Self::Approval
            | Self::ApprovalTtl
            | Self::CapZero
            | Self::ConfigDatetime
            | Self::ConfigNumber
            | Self::CredentialName
            | Self::Docs
            | Self::DuplicateKey
            | Self::DuplicateVariable
            | Self::Label
            | Self::Lifetime(_)
            | Self::LiveProjects
            | Self::MaxBelowDefault
            | Self::MissingKey { .. }
            | Self::Name(_)
            | Self::NoProviders
            | Self::NotAFile
            | Self::NotText
            | Self::OutOfRange
            | Self::PerHour
            | Self::PlanOfAnotherProvider
            | Self::Sensitive
            | Self::Syntax
            | Self::TooDeep
            | Self::Unquoted
            | Self::Unreadable { .. }
            | Self::Version
            | Self::WrongType { .. } => Fix::Correct,
        }
    }
}

fn moved(key: &str, channel: Channel) -> String {
    let mover = channel.person(&format!("move `{key}` into the file that the message names"));
    format!("{mover}; {}", goes_on(channel))
}

fn protect(file: &str, channel: Channel) -> String {
    let protect = channel.person(&format!("let {file} belong to you or root, and run `chmod go-w` on it"));
    format!("{protect}; {}", goes_on(channel))
}

fn goes_on(channel: Channel) -> &'static str {
    channel.select(
        "until then nothing is provisioned, and list_projects, rotate_key and teardown go on",
        "until then nothing is provisioned, and list, rotate and teardown go on",
    )
}
