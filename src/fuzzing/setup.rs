//! The configuration files of hosts: our entry is added and removed, and nothing else is lost.

use files::host_config::{Entry, Host, NAME, remove, upsert};
use serde_json::Value;

use super::{assert_quotes_nothing, plant_credentials};

/// The first byte chooses between the hosts, the rest is the host's file.
///
/// # Panics
/// If the rest of the file changes its meaning, or an error quotes it.
pub fn setup(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else { return };
    let text = plant_credentials(text);
    let Some(host) = Host::ALL.into_iter().cycle().nth(usize::from(*choice)) else { return };
    let entry = Entry { command: "/bin/x".to_owned(), args: vec!["serve".to_owned(), "--dir".to_owned()] };

    let added = upsert(host, &text, &entry);
    let removed = remove(host, &text);
    for error in [added.as_ref().err(), removed.as_ref().err()].into_iter().flatten() {
        assert_quotes_nothing(&format!("{error} {error:?}"));
    }
    let Ok(added) = added else { return };
    assert!(upsert(host, &added, &entry).as_ref() == Ok(&added), "a second upsert changed the text");
    let back = remove(host, &added);
    assert!(back.is_ok(), "the added entry cannot be removed");
    let Ok(back) = back else { return };
    assert!(remove(host, &back).as_ref() == Ok(&back), "a second removal changed the text");
    if removed.as_ref() == Ok(&text) {
        assert!(is_within(&text, &added), "a byte was lost");
    }
    if let (Some(before), Some(after)) = (meaning(host, &text), meaning(host, &added)) {
        assert!(without_entry(host, before) == without_entry(host, after), "another entry changed");
    }
    if let (Some(before), Some(after)) = (meaning(host, &text), meaning(host, &back)) {
        assert!(without_entry(host, before) == without_entry(host, after), "another entry changed");
    }
}

/// Returns whether `longer` is `text` with insertions only.
fn is_within(text: &str, longer: &str) -> bool {
    let mut rest = longer.chars();
    text.chars().all(|c| rest.any(|other| other == c))
}

/// Parses the file strictly: `None` if it has comments or trailing commas.
fn meaning(host: Host, text: &str) -> Option<Value> {
    let text = if text.is_empty() && host != Host::Codex { "{}" } else { text };
    if host == Host::Codex { toml::from_str(text).ok() } else { serde_json::from_str(text).ok() }
}

fn without_entry(host: Host, mut file: Value) -> Value {
    let section = match host {
        Host::Codex => "mcp_servers",
        Host::VsCode => "servers",
        _ => "mcpServers",
    };
    if let Some(servers) = file.get_mut(section).and_then(Value::as_object_mut) {
        servers.remove(NAME);
        if servers.is_empty()
            && let Some(file) = file.as_object_mut()
        {
            file.remove(section);
        }
    }
    file
}
