//! Diagnostics of refused edits.

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit};

use super::DotenvError;

impl Diagnostic for DotenvError {
    fn code(&self) -> &'static str {
        match self {
            Self::OpenQuote => "env_file_open_quote",
            Self::SelfCheck | Self::Unrepresentable => "credential_not_representable",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::OpenQuote => channel.person("close the quote that is left open in the env file"),
            Self::SelfCheck | Self::Unrepresentable => channel.person(
                "name another variable in the registry, or let the provider issue another kind of credential: readers of \
                 env files would disagree about this one",
            ),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Refused
    }
}
