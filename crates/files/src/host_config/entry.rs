//! Our entry in a host's configuration: the command that starts us. It cannot hold a credential.

use std::iter;

use domain::{secret::looks_sensitive, visible::visible};
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

/// A field of an entry of ours that we do not write, and that could change what the entry starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dropped {
    /// Its path in the entry, such as `env.LD_PRELOAD`, as it may be shown.
    pub name: String,
    /// What it does to this program, where that is known.
    pub effect: Option<&'static str>,
}

/// Returns the names of the fields that an entry of ours must not have.
pub fn foreign_fields(host: Host, entry: &Map<String, Value>) -> Vec<String> {
    let is_ours = |name: &str, value: &Value| match name {
        "type" => host.names_the_transport() || value == "stdio",
        name => OURS.contains(&name) || (HARMLESS.contains(&name) && (value.is_boolean() || is_number(value))),
    };
    entry.iter().filter(|(name, value)| !is_ours(name, value)).map(|(name, _)| name.clone()).collect()
}

/// Returns the foreign fields of an entry, with the keys inside of each.
pub fn dropped(host: Host, entry: &Map<String, Value>) -> Vec<Dropped> {
    let mut dropped = Vec::new();
    for name in foreign_fields(host, entry) {
        match entry.get(&name) {
            Some(Value::Object(inner)) if !inner.is_empty() => dropped.extend(inner.keys().map(|key| Dropped {
                name: format!("{}.{}", shown_name(&name), shown_name(key)),
                effect: effect(key),
            })),
            _ => dropped.push(Dropped { effect: effect(&name), name: shown_name(&name) }),
        }
    }
    dropped
}

/// Returns what a variable or field of that name does to the program that is started.
fn effect(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| upper.starts_with(prefix));
    if starts(&["LD_", "DYLD_"]) {
        Some("loads other code into the program")
    } else if upper.ends_with("_PROXY") {
        Some("sends its connections through another server")
    } else if starts(&["SSL_"]) {
        Some("changes which certificates it trusts")
    } else if starts(&["STRIPE_"]) {
        Some("changes its settings or its Stripe account")
    } else if ["HOME", "PATH"].contains(&&*upper) || starts(&["XDG_", "GIT_"]) {
        Some("changes where it looks for files and programs")
    } else if upper == "ENVFILE" {
        Some("sets variables from a file")
    } else if upper == "CWD" {
        Some("starts it in another folder")
    } else {
        None
    }
}

/// A number of a TOML file is one here; one of a JSON file is its digits.
fn is_number(value: &Value) -> bool {
    value.is_number() || value.as_str().is_some_and(|text| text.parse::<u32>().is_ok())
}

/// Returns the value of a field as it may be shown.
///
/// Values of other fields and arguments than ours may be credentials (`env`, `headers`), so they are hidden. Names are
/// not.
fn shown(name: &str, value: &Value) -> Value {
    match value {
        Value::Array(args) if name == "args" => shown_args(args),
        Value::Bool(_) => value.clone(),
        Value::Object(inner) => inner.keys().map(|key| (shown_name(key), HIDDEN.into())).collect::<Map<_, _>>().into(),
        Value::String(text) if OURS.contains(&name) && !is_sensitive(text) => value.clone(),
        _ if HARMLESS.contains(&name) && is_number(value) => value.clone(),
        _ => HIDDEN.into(),
    }
}

fn shown_name(name: &str) -> String {
    if is_sensitive(name) { HIDDEN.to_owned() } else { visible(name).to_string() }
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
    ours.chain(theirs).map(|(name, value)| (shown_name(name), shown(name, value))).collect()
}

/// Sets the fields of our entry in a parsed file.
pub fn set_fields(file: &mut Map<String, Value>, section: &str, fields: &[Field]) {
    let servers = file.entry(section).or_insert_with(|| Map::new().into()).as_object_mut();
    let entry = servers.map(|servers| servers.entry(NAME).or_insert_with(|| Map::new().into()));
    if let Some(entry) = entry.and_then(Value::as_object_mut) {
        entry.extend(fields.iter().map(|field| (field.name.to_owned(), field.value.clone())));
    }
}

/// Removes a field of our entry in a parsed file.
pub fn unset_field(file: &mut Map<String, Value>, section: &str, name: &str) {
    let entry = file.get_mut(section).and_then(|servers| servers.get_mut(NAME)).and_then(Value::as_object_mut);
    if let Some(entry) = entry {
        entry.remove(name);
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

/// Fields of hosts that change only how long they wait, as numbers, or whether they start us.
const HARMLESS: &[&str] =
    &["disabled", "enabled", "startup_timeout_ms", "startup_timeout_sec", "timeout", "tool_timeout_sec"];

const HIDDEN: &str = "…";
