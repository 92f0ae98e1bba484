//! The principal of a call: who acts, and over which channel.

use crate::secret::looks_sensitive;

/// Who acts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    pub channel: Channel,
    /// The user or account; empty where the channel authenticates none.
    pub subject: String,
    /// The name and version of the program that calls for the subject.
    pub client: Option<String>,
    pub role: Role,
}

/// The entry point of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Channel {
    /// The rules that raise alerts.
    Alerts,
    Cli,
    Mcp,
    /// Background work: recovery, expiry, caps.
    Recovery,
}

/// In which capacity a principal acts; the policy decides by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Needs a person's approval for what the policy says.
    Agent,
    /// Approves by acting. The other rules of the policy bind people, too.
    Person,
    /// This program on its own behalf.
    System,
}

impl Principal {
    /// An MCP client, by the name and version that it declares.
    pub fn agent(client: &str) -> Self {
        let client = Some(sanitized(client)).filter(|client| !client.is_empty());
        Self { channel: Channel::Mcp, subject: String::new(), client, role: Role::Agent }
    }

    /// The user at the terminal.
    pub fn person(user: &str) -> Self {
        Self { channel: Channel::Cli, subject: sanitized(user), client: None, role: Role::Person }
    }

    /// This program, where it finishes or ends something by itself.
    pub fn recovery() -> Self {
        Self::system(Channel::Recovery)
    }

    /// This program, where it raises an alert.
    pub fn alerts() -> Self {
        Self::system(Channel::Alerts)
    }

    fn system(channel: Channel) -> Self {
        Self { channel, subject: String::new(), client: None, role: Role::System }
    }

    /// The name that the audit shows: the client's, else the subject's.
    pub fn actor(&self) -> &str {
        self.client.as_deref().unwrap_or(&self.subject)
    }
}

impl Channel {
    /// Returns the word that audit rows have.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Cli => "cli",
            Self::Mcp => "mcp",
            Self::Recovery => "recovery",
        }
    }
}

/// A declared name, as it may be stored: short, printable, and without anything that reads like a key.
fn sanitized(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    if words.any(looks_sensitive) { NAME_WITHHELD.to_owned() } else { name }
}

const MAX_NAME_CHARS: usize = 80;

const NAME_WITHHELD: &str = "name withheld: it reads like a key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_name_is_shortened_and_carries_no_key() {
        let actor = |client: &str| Principal::agent(client).actor().to_owned();
        assert_eq!(actor("a\nhost\u{1b}[0m 1.2"), "ahost[0m 1.2");
        assert_eq!(actor(&"é".repeat(200)).chars().count(), MAX_NAME_CHARS);
        for key in ["ghp_0123456789abcdef0123 1", "host/sk-canary-0123456789abcdef", "(sk_live_0123456789abcdef)"] {
            assert_eq!(actor(key), NAME_WITHHELD, "{key}");
            assert_eq!(Principal::person(key).actor(), NAME_WITHHELD, "{key}");
        }
    }
}
