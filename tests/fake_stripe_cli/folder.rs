//! The plugin's files in the project folder: the project's id, an encoded copy of the values, and the env file.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use serde_json::{Map, Value, json};

use crate::{generate, response::Failure, store::AccountStore};

/// Returns the project that this folder belongs to.
pub fn project_id(store: &mut AccountStore) -> Result<String, Failure> {
    // Two codes are recorded; which condition gives which one is not.
    if !Path::new(FOLDER).is_dir() {
        return Err(Failure::new("PROJECT_NOT_INITIALIZED", "Run `stripe projects init` first."));
    }
    let Ok(text) = fs::read_to_string(STATE) else {
        return Err(Failure::new("NO_PROJECT_CONFIG", "There is no project configuration in this folder."));
    };
    let Ok(state) = serde_json::from_str::<Value>(&text) else {
        return Err(Failure::new("UNKNOWN_ERROR", "Unexpected end of JSON input"));
    };
    if state["project"]["merchant_id"] != store.account["merchant"]["id"] {
        return Err(Failure::new("MERCHANT_MISMATCH", "This project belongs to another merchant."));
    }
    let id = state["project"]["id"].as_str().unwrap_or_default().to_owned();
    if store.project(&id).is_none() {
        return Err(Failure::new("PROJECTS_CONTEXT_MISMATCH", "The project of this folder is not in your account."));
    }
    Ok(id)
}

/// Returns the project in a readable state file, without checking its owner.
pub fn connected_to() -> Option<String> {
    let state: Value = serde_json::from_str(&fs::read_to_string(STATE).ok()?).ok()?;
    state["project"]["id"].as_str().map(str::to_owned)
}

/// Writes every file except the env file.
pub fn write(project: &Value, merchant: &Value) {
    fs::create_dir_all(Path::new(FOLDER).join("vault")).unwrap();
    fs::create_dir_all(Path::new(FOLDER).join("cache")).unwrap();
    let (mut rows, mut encoded) = (Vec::new(), Map::new());
    for resource in project["resources"].as_array().unwrap() {
        rows.push(json!({ "key": resource["id"], "name": resource["name"], "service": resource["service"] }));
        let values = serde_json::to_vec(&resource["credentials"]).unwrap();
        let xored: Vec<u8> = values.iter().map(|byte| byte ^ 0x5a).collect();
        encoded.insert(resource["id"].as_str().unwrap().to_owned(), generate::hex_of(&xored).into());
    }
    let state = json!({
        "version": 1,
        "project": { "id": project["id"], "name": project["name"], "merchant_id": merchant["id"] },
        "environments": project["environments"],
        "resources": rows,
    });
    put(STATE, &state);
    if !Path::new(LOCAL).exists() {
        activate("default");
    }
    put(".projects/vault/vault.json", &json!({ "version": 1, "entries": encoded }));
    put(".projects/cache/catalog.json", &json!({ "last_updated": generate::now() }));
}

/// Returns the environment that this folder uses.
pub fn active_environment() -> String {
    let text = fs::read_to_string(LOCAL).unwrap_or_default();
    let local: Value = serde_json::from_str(&text).unwrap_or_default();
    local["active_environment"].as_str().unwrap_or("default").to_owned()
}

pub fn activate(environment: &str) {
    put(LOCAL, &json!({ "active_environment": environment }));
}

/// Writes values into the env file: replaces existing lines in place and keeps all others.
pub fn write_env_file(file: &str, values: &[(String, String)], always_quote: bool) {
    let mut old = fs::read_to_string(file).unwrap_or_else(|_| "# Managed by Stripe Projects\n".to_owned());
    if !old.is_empty() && !old.ends_with('\n') {
        old.push('\n');
    }
    let mut entries = entries(&old);
    for (name, value) in values {
        let entry = if always_quote || value.contains(|c: char| c.is_whitespace() || c == '#') {
            format!("{name}=\"{value}\"\n")
        } else {
            format!("{name}={value}\n")
        };
        match entries.iter_mut().find(|old| old.split_once('=').is_some_and(|(key, _)| key == name)) {
            Some(place) => *place = entry,
            None => entries.push(entry),
        }
    }
    let mut options = fs::OpenOptions::new();
    let mut target = options.create(true).truncate(true).write(true).mode(0o600).open(file).unwrap();
    target.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
    target.write_all(entries.concat().as_bytes()).unwrap();
}

/// Splits text into entries; a value in double quotes may span several lines.
fn entries(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        match entries.last_mut().filter(|entry| !entry.starts_with('#') && entry.matches('"').count() % 2 == 1) {
            Some(open) => open.push_str(line),
            None => entries.push(line.to_owned()),
        }
    }
    entries
}

fn put(file: &str, content: &Value) {
    fs::write(file, serde_json::to_vec_pretty(content).unwrap()).unwrap();
}

pub const FILES: [&str; 2] = [STATE, ".projects/vault/vault.json"];

const FOLDER: &str = ".projects";
const LOCAL: &str = ".projects/state.local.json";
const STATE: &str = ".projects/state.json";
