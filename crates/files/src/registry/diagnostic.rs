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
            Fix::NameFile => channel.person("name an existing file with `--providers`"),
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
    /// Returns the hint for a policy outside the workspace, which only a person may change.
    pub fn policy_hint(&self, channel: Channel) -> String {
        match self.problem.fix() {
            Fix::Choose(choices) => channel.person(&choices),
            Fix::NameFile => channel.person("let STRIPE_PROJECTS_POLICY name an existing file, or unset it"),
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
    /// The name of a file that exists.
    NameFile,
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

fn goes_on(channel: Channel) -> &'static str {
    channel.select(
        "until then nothing is provisioned, and list_projects, rotate_key and teardown go on",
        "until then nothing is provisioned, and list, rotate and teardown go on",
    )
}
