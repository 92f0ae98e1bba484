//! What Stripe would remember: one account, its projects and their resources, in `account.json`.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use crate::{arguments::Call, mint};

/// The world, held exclusively until it is dropped.
pub struct World {
    file: PathBuf,
    /// See `fresh` for its fields.
    pub account: Value,
    _lock: File,
}

impl World {
    pub fn open(root: &Path) -> Self {
        let lock = File::options().create(true).append(true).open(root.join("lock")).unwrap();
        lock.lock().unwrap();
        let file = root.join("account.json");
        let mut account = fresh();
        if let Ok(text) = fs::read_to_string(&file) {
            let known: Map<String, Value> = serde_json::from_str(&text).unwrap();
            account.as_object_mut().unwrap().extend(known);
        }
        Self { file, account, _lock: lock }
    }

    /// Replaces the file whole, so that dying at any moment leaves one world or the other.
    pub fn save(&self) {
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(&self.account).unwrap()).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// Writes down what was asked, word for word, so that a test can prove what was never said.
    pub fn log(&mut self, call: &Call) {
        let folder = env::current_dir().unwrap();
        let entry = json!({ "verb": call.verb, "argv": call.argv, "folder": folder.to_string_lossy() });
        self.account["calls"].as_array_mut().unwrap().push(entry);
    }

    pub fn project(&mut self, id: &str) -> Option<&mut Value> {
        self.account["projects"].as_array_mut().unwrap().iter_mut().find(|project| project["id"] == id)
    }

    /// A field of what a test has set for one service, such as `naming` of `exa/api`.
    pub fn setting(&self, service: &str, key: &str) -> &Value {
        &self.account["settings"][service][key]
    }

    /// Cents that a provider may bill in a month: its own limit wins over the global one, and Stripe's default is said
    /// to be 100 dollars.
    pub fn limit(&self, provider: &str) -> u64 {
        let limits = &self.account["limits"];
        limits["providers"][provider].as_u64().or(limits["global"].as_u64()).unwrap_or(10_000)
    }

    pub fn spent(&self, provider: &str) -> u64 {
        self.account["spent"][provider].as_u64().unwrap_or(0)
    }

    /// A credential that the call is about, or any: what a careless tool would let slip.
    pub fn some_credential(&self, call: &Call) -> String {
        let named = |resource: &Value| {
            resource["name"] == call.subject() || call.value("name").is_some_and(|name| resource["name"] == name)
        };
        let projects = self.account["projects"].as_array().unwrap().iter();
        let all: Vec<&Value> = projects.flat_map(|project| project["resources"].as_array().unwrap()).collect();
        let (about, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|resource| named(resource));
        let keys = about.iter().rev().chain(&others).filter_map(|resource| resource["credentials"].as_object());
        keys.flat_map(Map::values)
            .filter_map(Value::as_str)
            .find(|value| value.contains(mint::PREFIX))
            .unwrap_or_default()
            .to_owned()
    }
}

/// Resources of a project that its listings show: `untracked` ones live on unseen.
pub fn tracked(project: &Value) -> impl Iterator<Item = &Value> {
    project["resources"].as_array().unwrap().iter().filter(|resource| resource["untracked"] != true)
}

/// `exa` of `exa/api`.
pub fn provider_of(resource: &Value) -> &str {
    resource["service"].as_str().unwrap().split('/').next().unwrap()
}

/// An account on its first day: nobody logged in, nothing linked. A removed resource leaves no trace.
fn fresh() -> Value {
    json!({
        "logged_in": false,
        "merchant": { "id": "acct_standin", "name": "Stand-in Incorporated" },
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
