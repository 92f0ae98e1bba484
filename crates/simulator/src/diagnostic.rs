//! Diagnostics of the simulator, which only a person starts.

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit};

use super::SimulatorError;

impl Diagnostic for SimulatorError {
    fn code(&self) -> &'static str {
        match self {
            Self::AddressUnreadable => "listen_address_invalid",
            Self::CannotListen(_) => "cannot_listen",
            Self::NotLoopback => "listen_address_not_loopback",
            Self::UnknownProvider => "unlinked_provider_unknown",
            Self::Store(_) => "simulated_world_unavailable",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        channel.person(match self {
            Self::AddressUnreadable => "write the address as 127.0.0.1:12111, or with port 0 for any free one",
            Self::CannotListen(_) => "give another port with `--listen`; 127.0.0.1:0 takes any free one",
            Self::NotLoopback => "listen on 127.0.0.1 or [::1]: the simulator gives keys to every client",
            Self::UnknownProvider => "name a provider of the catalog, such as Supermemory",
            Self::Store(_) => "check that the state folder has free space and is writable",
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::AddressUnreadable | Self::NotLoopback | Self::UnknownProvider => Exit::Usage,
            Self::CannotListen(_) | Self::Store(_) => Exit::Failure,
        }
    }
}
