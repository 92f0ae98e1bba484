//! The fake Stripe CLI, an executable in place of `stripe`, and access to its account.

use std::{
    env::consts::EXE_SUFFIX,
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::{
    stripe_cli::write_script,
    workspace::{BINARY, CommandOutput},
};

/// An account of its own for each test. It is logged in, has every provider linked, and has a payment card.
pub struct FakeStripeCli {
    root: TempDir,
    bin: PathBuf,
}

/// A resource that exists, and so costs.
#[derive(Debug)]
pub struct Resource {
    pub id: String,
    pub name: String,
    /// `exa/api`; plans are resources too.
    pub service: String,
    /// The current generation, by the provider's own names: `API_KEY`.
    pub values: Map<String, Value>,
}

impl FakeStripeCli {
    pub fn new() -> Self {
        let name = format!("examples/{EXAMPLE}{EXE_SUFFIX}");
        let bin = Path::new(BINARY).with_file_name(name);
        assert!(
            bin.exists(),
            "{} is missing: `cargo test` builds it and keeps it new, `cargo test --test suite` does neither; \
             run `cargo build --example {EXAMPLE}`",
            bin.display()
        );
        let fake_stripe = Self { root: tempfile::tempdir().unwrap(), bin };
        let linked = json!({ "status": "linked", "linked_at": "2026-10-01T00:00:00.000Z", "redirect_url": null });
        let providers: Map<_, _> = PROVIDERS.iter().map(|name| ((*name).to_owned(), linked.clone())).collect();
        fake_stripe.change(|account| *account = json!({ "logged_in": true, "providers": providers }));
        fake_stripe
    }

    /// Returns the executable, to be called as `stripe`, with [`Self::env`] in its environment.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Returns a folder for `PATH` in which the executable is called `stripe`.
    pub fn path(&self) -> PathBuf {
        let folder = self.file("bin");
        fs::create_dir_all(&folder).unwrap();
        let link = folder.join("stripe");
        if !link.exists() {
            symlink(self.bin(), link).unwrap();
        }
        folder
    }

    /// Writes a script into the folder that sets the environment and calls the executable.
    pub fn script(&self, folder: &Path) -> PathBuf {
        let (script, (variable, world)) = (folder.join("stripe"), self.env());
        let line = format!("export {variable}='{}'\nexec '{}' \"$@\"", world.display(), self.bin().display());
        write_script(&script, &line);
        script
    }

    /// Returns the variable that leads the executable to this account.
    pub fn env(&self) -> (&'static str, &Path) {
        (ROOT_VARIABLE, self.root.path())
    }

    /// Returns `stripe ARGUMENTS` in the project folder.
    pub fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let (variable, root) = self.env();
        let mut command = Command::new(self.bin());
        command.args(arguments).current_dir(folder).env(variable, root).stdin(Stdio::null());
        command
    }

    /// Runs `stripe projects ARGUMENTS --json` to its end.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> CommandOutput {
        let mut all = vec!["projects"];
        all.extend(arguments);
        all.push("--json");
        CommandOutput::of_other_program(self.command(folder, &all).output().unwrap())
    }

    /// Runs such a call and returns the envelope of its answer.
    pub fn envelope(&self, folder: &Path, arguments: &[&str]) -> Value {
        let output = self.run(folder, arguments);
        let start = output.stdout.find('{').unwrap_or_else(|| panic!("no envelope: {output:?}"));
        serde_json::from_str(&output.stdout[start..]).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Replaces the planned faults: a list of `{ "verb"?, "fault", "times"?, "skip"?, "only"?, … }`.
    #[expect(clippy::needless_pass_by_value, reason = "faults are written at the place of the call")]
    pub fn inject_faults(&self, faults: Value) {
        assert!(faults.is_array());
        let _lock = self.lock();
        fs::write(self.file(FAULTS_FILE), faults.to_string()).unwrap();
    }

    /// Returns the faults that have not occurred yet. A test with remaining faults did not test them.
    pub fn pending_faults(&self) -> Vec<Value> {
        let _lock = self.lock();
        let text = fs::read_to_string(self.file(FAULTS_FILE)).unwrap_or_else(|_| "[]".to_owned());
        serde_json::from_str(&text).unwrap()
    }

    /// Returns every live resource in all projects of the account, oldest first.
    pub fn resources(&self) -> Vec<Resource> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let live = |resource: &Value| Resource {
            id: text(&resource["id"]),
            name: text(&resource["name"]),
            service: text(&resource["service"]),
            values: resource["credentials"].as_object().unwrap().clone(),
        };
        let account = self.account();
        let projects = account["projects"].as_array().into_iter().flatten();
        projects.flat_map(|project| project["resources"].as_array().unwrap()).map(live).collect()
    }

    /// Returns the id of the resource that accepts the key. `None` if its provider has used up its limit.
    pub fn owner_of(&self, key: &str) -> Option<String> {
        let is_secret = key.contains(PREFIX);
        let owner =
            self.resources().into_iter().find(|live| is_secret && live.values.values().any(|value| value == key))?;
        let provider = owner.service.split('/').next().unwrap();
        (self.spent(provider) < self.limit(provider)).then_some(owner.id)
    }

    /// Returns the called verbs in order: `init`, `add --preflight`, `add`, `env --pull`, …
    pub fn calls(&self) -> Vec<String> {
        self.log().iter().map(|call| call["verb"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns the calls in full: `{verb, argv, folder}`.
    pub fn log(&self) -> Vec<Value> {
        self.account()["calls"].as_array().cloned().unwrap_or_default()
    }

    /// Returns the cents that a provider may bill in a month.
    pub fn limit(&self, provider: &str) -> u64 {
        let limits = &self.account()["limits"];
        limits["providers"][provider].as_u64().or(limits["global"].as_u64()).unwrap_or(10_000)
    }

    /// Returns the cents that a provider has billed.
    pub fn spent(&self, provider: &str) -> u64 {
        self.account()["spent"][provider].as_u64().unwrap_or(0)
    }

    pub fn bill(&self, provider: &str, cents: u64) {
        let spent = self.spent(provider);
        self.change(|account| account["spent"][provider] = json!(spent + cents));
    }

    /// Resets the bills, as a new month does.
    pub fn start_new_month(&self) {
        self.change(|account| account["spent"] = json!({}));
    }

    /// Links a provider, as a user does in the browser.
    pub fn link(&self, provider: &str) {
        self.change(|account| account["providers"][provider] = json!({ "status": "linked", "redirect_url": null }));
    }

    pub fn unlink(&self, provider: &str) {
        self.change(|account| drop(account["providers"].as_object_mut().unwrap().remove(provider)));
    }

    pub fn log_out(&self) {
        self.change(|account| account["logged_in"] = json!(false));
    }

    pub fn without_payment_method(&self) {
        self.change(|account| account["payment_method"] = json!(false));
    }

    /// Sets how a service, a provider or the env file behaves from now on.
    ///
    /// | of | key | value | effect |
    /// |---|---|---|---|
    /// | `exa/api` | `naming` | `"provider"` | its variables begin with the provider, if it has no other service there |
    /// | `exa/api` | `unrotatable` | `true` | `rotate` answers `provider_failure` |
    /// | `exa/api` | `confirm_by_tier` | `true` | a free tier of a paid service needs no confirmation of the price |
    /// | `neon/postgres` | `connection_string` | `true` | the secret is inside a connection string |
    /// | `exa` | `browser` | `true` | `link` needs a person in a browser |
    /// | `env` | `quote` | `true` | every value in the env file is in double quotes |
    #[expect(clippy::needless_pass_by_value, reason = "a setting is written at the place of the call")]
    pub fn set(&self, of: &str, key: &str, value: Value) {
        self.change(|account| account["settings"][of][key] = value.clone());
    }

    /// Returns the newest project of the account.
    pub fn project_id(&self) -> String {
        self.account()["projects"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Returns whether a `hang` has begun.
    pub fn has_hung(&self) -> bool {
        self.file("hung").exists()
    }

    /// Returns whether a hanging process, or the helper that it started, is still alive.
    pub fn still_hangs(&self) -> bool {
        File::open(self.file("hanging")).is_ok_and(|file| file.try_lock().is_err())
    }

    fn account(&self) -> Value {
        let _lock = self.lock();
        serde_json::from_slice(&fs::read(self.file("account.json")).unwrap()).unwrap()
    }

    fn change(&self, how: impl Fn(&mut Value)) {
        let _lock = self.lock();
        let file = self.file("account.json");
        let mut account = fs::read(&file).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        how(&mut account);
        fs::write(file, account.to_string()).unwrap();
    }

    /// Locks the account, so that no call changes it.
    fn lock(&self) -> File {
        let lock = File::options().create(true).append(true).open(self.file("lock")).unwrap();
        lock.lock().unwrap();
        lock
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

/// The example that builds the executable.
const EXAMPLE: &str = "fake_stripe_cli";

/// The variable that names the folder of the account.
const ROOT_VARIABLE: &str = "STRIPE_FAKE_CLI_DIR";

/// The file of the planned faults, in that folder.
const FAULTS_FILE: &str = "faults.json";

/// Where the URLs for linking a provider begin.
pub const LINK_URL: &str = "https://connect.standin.example/";

/// The prefix of every secret of the fake Stripe CLI, anywhere in a value.
pub const PREFIX: &str = "sk_standin_";

/// The providers of the recorded catalog.
const PROVIDERS: [&str; 13] = [
    "agentmail",
    "browserbase",
    "chroma",
    "clerk",
    "cloudflare",
    "elevenlabs",
    "exa",
    "firecrawl",
    "neon",
    "openrouter",
    "resend",
    "supermemory",
    "upstash",
];
