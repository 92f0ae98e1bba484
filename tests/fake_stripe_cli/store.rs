//! The fake account: its projects and their resources, kept in `account.json`.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use crate::{arguments::Call, generate};

/// The account file, locked exclusively until this is dropped.
pub struct AccountStore {
    file: PathBuf,
    /// See `new_account` for its fields.
    pub account: Value,
    _lock: File,
}

impl AccountStore {
    pub fn open(root: &Path) -> Self {
        let lock = File::options().create(true).append(true).open(root.join("lock")).unwrap();
        lock.lock().unwrap();
        let file = root.join("account.json");
        let mut account = new_account();
        if let Ok(text) = fs::read_to_string(&file) {
            let known: Map<String, Value> = serde_json::from_str(&text).unwrap();
            account.as_object_mut().unwrap().extend(known);
        }
        Self { file, account, _lock: lock }
    }

    /// Replaces the file atomically, so that a kill at any moment leaves the old or the new account.
    pub fn save(&self) {
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(&self.account).unwrap()).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// Logs the exact arguments, so that a test can assert what was never passed.
    pub fn log(&mut self, call: &Call) {
        let folder = env::current_dir().unwrap();
        let entry = json!({ "verb": call.verb, "argv": call.argv, "folder": folder.to_string_lossy() });
        self.account["calls"].as_array_mut().unwrap().push(entry);
    }

    pub fn project(&mut self, id: &str) -> Option<&mut Value> {
        self.account["projects"].as_array_mut().unwrap().iter_mut().find(|project| project["id"] == id)
    }

    /// Returns a setting that a test made for one service, such as `naming` of `exa/api`.
    pub fn setting(&self, service: &str, key: &str) -> &Value {
        &self.account["settings"][service][key]
    }

    /// Returns how many cents a provider may bill in a month.
    ///
    /// Its own limit wins over the global one. Stripe documents a default of 100 dollars.
    pub fn limit(&self, provider: &str) -> u64 {
        let limits = &self.account["limits"];
        limits["providers"][provider].as_u64().or(limits["global"].as_u64()).unwrap_or(10_000)
    }

    pub fn spent(&self, provider: &str) -> u64 {
        self.account["spent"][provider].as_u64().unwrap_or(0)
    }

    /// Returns a credential that the call concerns, or any other: text that a careless tool might print.
    pub fn some_credential(&self, call: &Call) -> String {
        let concerns_call = |resource: &Value| {
            resource["name"] == call.subject() || call.value("name").is_some_and(|name| resource["name"] == name)
        };
        let projects = self.account["projects"].as_array().unwrap().iter();
        let all: Vec<&Value> = projects.flat_map(|project| project["resources"].as_array().unwrap()).collect();
        let (concerned, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|resource| concerns_call(resource));
        let keys = concerned.iter().rev().chain(&others).filter_map(|resource| resource["credentials"].as_object());
        keys.flat_map(Map::values)
            .filter_map(Value::as_str)
            .find(|value| value.contains(generate::PREFIX))
            .unwrap_or_default()
            .to_owned()
    }
}

/// Returns the resources that listings of the project show; `untracked` ones exist but are not listed.
pub fn tracked(project: &Value) -> impl Iterator<Item = &Value> {
    project["resources"].as_array().unwrap().iter().filter(|resource| resource["untracked"] != true)
}

/// Returns the provider part of a service: `exa` for `exa/api`.
pub fn provider_of(resource: &Value) -> &str {
    resource["service"].as_str().unwrap().split('/').next().unwrap()
}

/// Returns a new account: logged out, no provider linked. Removed resources are not kept.
fn new_account() -> Value {
    json!({
        "logged_in": false,
        "merchant": { "id": "acct_fake", "name": "Fake Incorporated" },
        "payment_method": true,
        "tos": [],
        "providers": {},
        "limits": { "global": null, "providers": {} },
        "spent": {},
        "settings": {},
        "projects": [],
        "calls": [],
    })
}
