//! The channel of a call, which decides how its hints are worded.

/// The entry point of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Channel {
    /// The rules that raise alerts.
    Alerts,
    /// A person at a terminal, who runs commands.
    Cli,
    /// An agent, which calls tools.
    Mcp,
    /// Background work: recovery, expiry, caps.
    Recovery,
}

impl Channel {
    /// Returns the word that audit rows store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Cli => "cli",
            Self::Mcp => "mcp",
            Self::Recovery => "recovery",
        }
    }

    /// Returns the text for the reader: an agent, or a person at a terminal or in front of a log.
    pub fn select<T>(self, agent: T, person: T) -> T {
        match self {
            Self::Mcp => agent,
            Self::Alerts | Self::Cli | Self::Recovery => person,
        }
    }

    /// Returns a step that only a person may take, given as an imperative: an agent asks the user for it.
    pub fn person(self, step: &str) -> String {
        self.select(format!("ask the user to {step}"), step.to_owned())
    }

    /// Returns a command that only a person may run: an agent shows it. `rest` follows the command as it is.
    pub fn person_runs(self, command: &str, rest: &str) -> String {
        self.select(
            format!("show this to the user, do not run it: `{command}`{rest}"),
            format!("run `{command}`{rest}"),
        )
    }
}
