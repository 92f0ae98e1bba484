//! The principal of a call: who acts, and over which channel.

use crate::{
    channel::Channel,
    secret::looks_sensitive,
    visible::{is_visible, visible},
};

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

/// Returns a declared name as it may be stored: short, visible, and without anything that reads like a key.
fn sanitized(name: &str) -> String {
    // Characters that show nothing may split a key.
    let read: String = name.chars().filter(|c| is_visible(*c)).take(MAX_EXAMINED_CHARS).collect();
    let mut words = read.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    if words.any(looks_sensitive) {
        NAME_WITHHELD.to_owned()
    } else {
        visible(name).shortened(MAX_NAME_CHARS).to_string()
    }
}

const MAX_NAME_CHARS: usize = 80;

/// Enough to recognise a key whose begin is among the characters that are shown.
const MAX_EXAMINED_CHARS: usize = 4 * MAX_NAME_CHARS;

const NAME_WITHHELD: &str = "name withheld: it reads like a key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_name_is_shortened_and_carries_no_key() {
        let actor = |client: &str| Principal::agent(client).actor().to_owned();
        assert_eq!(actor("a\nhost\u{1b}[0m \u{202e}\u{e0041} 1.2"), r"a\nhost\u{1b}[0m \u{202e}\u{e0041} 1.2");
        assert_eq!(actor(&"é".repeat(200)).chars().count(), MAX_NAME_CHARS);
        for key in [
            "ghp_0123456789abcdef0123 1",
            "host/sk-canary-0123456789abcdef",
            "(sk_live_0123456789abcdef)",
            "sk_\u{200b}live_0123456789\u{e0041}abcdef",
        ] {
            assert_eq!(actor(key), NAME_WITHHELD, "{key}");
            assert_eq!(Principal::person(key).actor(), NAME_WITHHELD, "{key}");
        }
    }
}
