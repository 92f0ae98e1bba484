//! The configuration files of hosts: our entry goes in and comes out, and nothing else is lost.

use serde_json::Value;

use super::{assert_quotes_nothing, planted};
use crate::setup::{Entry, Host, put, take};

/// The first byte chooses between the hosts, the rest is the host's file.
///
/// # Panics
/// When the file means something else afterwards, or a refusal quotes it.
pub fn setup(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else { return };
    let text = planted(text);
    let Some(host) = Host::ALL.into_iter().cycle().nth(usize::from(*choice)) else { return };
    let entry = Entry { command: "/bin/x".to_owned(), args: vec!["serve".to_owned(), "--dir".to_owned()] };

    let added = put(host, &text, &entry);
    let taken = take(host, &text);
    for error in [added.as_ref().err(), taken.as_ref().err()].into_iter().flatten() {
        assert_quotes_nothing(&format!("{error} {error:?}"));
    }
    let Ok(added) = added else { return };
    assert!(put(host, &added, &entry).as_ref() == Ok(&added), "what was put is put again");
    let back = take(host, &added);
    assert!(back.is_ok(), "what was put cannot be taken");
    let Ok(back) = back else { return };
    assert!(take(host, &back).as_ref() == Ok(&back), "what was taken is taken again");
    if taken.as_ref() == Ok(&text) {
        assert!(is_within(&text, &added), "a byte was lost");
    }
    if let (Some(before), Some(after)) = (meaning(host, &text), meaning(host, &added)) {
        assert!(without_entry(host, before) == without_entry(host, after), "a neighbour changed");
    }
    if let (Some(before), Some(after)) = (meaning(host, &text), meaning(host, &back)) {
        assert!(without_entry(host, before) == without_entry(host, after), "a neighbour changed");
    }
}

/// Whether nothing but insertions makes one text of the other.
fn is_within(text: &str, longer: &str) -> bool {
    let mut rest = longer.chars();
    text.chars().all(|wanted| rest.any(|found| found == wanted))
}

/// What the file says to whom comments and trailing commas are a mistake.
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
        servers.remove(crate::setup::NAME);
        if servers.is_empty()
            && let Some(file) = file.as_object_mut()
        {
            file.remove(section);
        }
    }
    file
}
