//! Our entry in a host's configuration: what starts us. There is no room in it for a credential.

use serde_json::{Map, Value};

use super::Host;
use crate::secret::looks_sensitive;

/// How a host is to start us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub command: String,
    pub args: Vec<String>,
}

/// One field of an entry; the ones that are ours to write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field {
    pub name: &'static str,
    pub value: Value,
}

impl Entry {
    /// As that host wants it.
    pub fn fields(&self, host: Host) -> Vec<Field> {
        let kind = host.names_the_transport().then(|| Field { name: "type", value: "stdio".into() });
        let command = Field { name: "command", value: self.command.as_str().into() };
        let args = Field { name: "args", value: self.args.as_slice().into() };
        kind.into_iter().chain([command, args]).collect()
    }
}

/// A field of an entry as it may be shown. What is not ours to write may be a credential (`env`, `headers`), so its
/// value is not repeated; neither is a word that reads like one.
pub fn shown(name: &str, value: &Value) -> Value {
    match value {
        _ if !OURS.contains(&name) => HIDDEN.into(),
        Value::Array(words) => words.iter().map(|word| shown(name, word)).collect(),
        Value::String(word) if is_sensitive(word) => HIDDEN.into(),
        Value::String(_) => value.clone(),
        _ => HIDDEN.into(),
    }
}

/// An entry as it may be shown, ours first.
pub fn shown_fields(entry: &Map<String, Value>) -> Vec<(String, Value)> {
    let ours = OURS.iter().filter_map(|name| entry.get_key_value(*name));
    let theirs = entry.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    ours.chain(theirs).map(|(name, value)| (name.clone(), shown(name, value))).collect()
}

fn is_sensitive(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').any(looks_sensitive)
}

const OURS: &[&str] = &["type", "command", "args"];

const HIDDEN: &str = "…";
