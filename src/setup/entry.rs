//! Our entry in a host's configuration: what starts us. There is no room in it for a credential.

use std::iter;

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

/// A field of an entry as it may be shown. What is not ours to write may be a credential (`env`, `headers`, a word that
/// somebody added to the arguments), so it is not repeated.
fn shown(name: &str, value: &Value) -> Value {
    match value {
        Value::Array(words) if name == "args" => shown_args(words),
        Value::String(word) if OURS.contains(&name) && !is_sensitive(word) => value.clone(),
        _ => HIDDEN.into(),
    }
}

/// Words that we write ourselves, and what follows those of our flags that take a value.
fn shown_args(words: &[Value]) -> Value {
    let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap_or_default()).collect();
    let before = iter::once("").chain(words.iter().copied());
    let shown = |(before, word): (&str, &&str)| {
        let is_ours = PLAIN.contains(word) || TAKE_A_VALUE.contains(word) || TAKE_A_VALUE.contains(&before);
        if is_ours && !is_sensitive(word) { (*word).to_owned() } else { HIDDEN.to_owned() }
    };
    before.zip(&words).map(shown).collect::<Vec<_>>().into()
}

/// An entry as it may be shown, ours first.
pub fn shown_fields(entry: &Map<String, Value>) -> Vec<(String, Value)> {
    let ours = OURS.iter().filter_map(|name| entry.get_key_value(*name));
    let theirs = entry.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    ours.chain(theirs).map(|(name, value)| (name.clone(), shown(name, value))).collect()
}

fn is_sensitive(word: &str) -> bool {
    word.contains(['@', '='])
        || word.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').any(looks_sensitive)
}

/// Flags and words of ours that nothing follows.
const PLAIN: &[&str] = &["serve", "--accept-tos", "--json", "--yes"];

/// Flags of ours with a value, none of which is a credential.
const TAKE_A_VALUE: &[&str] = &[
    "--backend",
    "--dir",
    "--env-file",
    "--payment-method",
    "--providers",
    "--state-dir",
    "--stripe-api-base",
    "--stripe-api-key-file",
    "--stripe-bin",
];

const OURS: &[&str] = &["type", "command", "args"];

const HIDDEN: &str = "…";
