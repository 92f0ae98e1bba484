//! Our entry in a host's configuration: the command that starts us. It cannot hold a credential.

use std::iter;

use domain::secret::looks_sensitive;
use serde_json::{Map, Value};

use super::{Host, NAME};

/// The command with which a host starts us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub command: String,
    pub args: Vec<String>,
}

/// One field of an entry that we write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field {
    pub name: &'static str,
    pub value: Value,
}

impl Entry {
    /// Returns the fields that a host expects.
    pub fn fields(&self, host: Host) -> Vec<Field> {
        let kind = host.names_the_transport().then(|| Field { name: "type", value: "stdio".into() });
        let command = Field { name: "command", value: self.command.as_str().into() };
        let args = Field { name: "args", value: self.args.as_slice().into() };
        kind.into_iter().chain([command, args]).collect()
    }
}

/// Returns the value of a field as it may be shown.
///
/// Other fields and arguments than ours may hold credentials (`env`, `headers`), so they are hidden.
fn shown(name: &str, value: &Value) -> Value {
    match value {
        Value::Array(args) if name == "args" => shown_args(args),
        Value::String(text) if OURS.contains(&name) && !is_sensitive(text) => value.clone(),
        _ => HIDDEN.into(),
    }
}

/// Shows our own flags and the values of those that take one.
fn shown_args(args: &[Value]) -> Value {
    let args: Vec<&str> = args.iter().map(|arg| arg.as_str().unwrap_or_default()).collect();
    let before = iter::once("").chain(args.iter().copied());
    let shown = |(before, arg): (&str, &&str)| {
        let is_ours = SWITCHES.contains(arg) || OPTIONS.contains(arg) || OPTIONS.contains(&before);
        if is_ours && !is_sensitive(arg) { (*arg).to_owned() } else { HIDDEN.to_owned() }
    };
    before.zip(&args).map(shown).collect::<Vec<_>>().into()
}

/// Returns the fields of an entry as they may be shown, ours first.
pub fn shown_fields(entry: &Map<String, Value>) -> Vec<(String, Value)> {
    let ours = OURS.iter().filter_map(|name| entry.get_key_value(*name));
    let theirs = entry.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    ours.chain(theirs).map(|(name, value)| (name.clone(), shown(name, value))).collect()
}

/// Sets the fields of our entry in a parsed file.
pub fn set_fields(file: &mut Map<String, Value>, section: &str, fields: &[Field]) {
    let servers = file.entry(section).or_insert_with(|| Map::new().into()).as_object_mut();
    let entry = servers.map(|servers| servers.entry(NAME).or_insert_with(|| Map::new().into()));
    if let Some(entry) = entry.and_then(Value::as_object_mut) {
        entry.extend(fields.iter().map(|field| (field.name.to_owned(), field.value.clone())));
    }
}

fn is_sensitive(text: &str) -> bool {
    text.contains(['@', '='])
        || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').any(looks_sensitive)
}

/// The subcommand, and our flags without a value.
const SWITCHES: &[&str] = &["serve", "--accept-tos", "--json", "--yes"];

/// Our flags with a value that is never a credential.
const OPTIONS: &[&str] = &[
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
