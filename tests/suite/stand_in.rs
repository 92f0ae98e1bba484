//! The stand-in for the `stripe` executable, and the world behind it, as a test holds them.

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
    workspace::{BINARY, Ran},
};

/// A world of its own for each test: somebody is logged in, every provider is linked, and there is a card to pay with.
pub struct StandIn {
    root: TempDir,
    bin: PathBuf,
}

/// A resource that exists, and so costs.
#[derive(Debug)]
pub struct Live {
    pub id: String,
    pub name: String,
    /// `exa/api`; plans are resources too.
    pub service: String,
    /// The current generation, by the provider's own names: `API_KEY`.
    pub values: Map<String, Value>,
}

impl StandIn {
    pub fn new() -> Self {
        let name = format!("examples/fake_stripe_cli{EXE_SUFFIX}");
        let bin = Path::new(BINARY).with_file_name(name);
        assert!(
            bin.exists(),
            "{} is missing: `cargo test` builds it and keeps it new, `cargo test --test suite` does neither; \
             run `cargo build --example fake_stripe_cli`",
            bin.display()
        );
        let stand_in = Self { root: tempfile::tempdir().unwrap(), bin };
        let linked = json!({ "status": "linked", "linked_at": "2026-10-01T00:00:00.000Z", "redirect_url": null });
        let providers: Map<_, _> = PROVIDERS.iter().map(|name| ((*name).to_owned(), linked.clone())).collect();
        stand_in.change(|account| *account = json!({ "logged_in": true, "providers": providers }));
        stand_in
    }

    /// The executable, to be called as `stripe` would be, with [`Self::env`] in its environment.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// A folder for `PATH` in which the executable is called `stripe`.
    pub fn path(&self) -> PathBuf {
        let folder = self.file("bin");
        fs::create_dir_all(&folder).unwrap();
        let link = folder.join("stripe");
        if !link.exists() {
            symlink(self.bin(), link).unwrap();
        }
        folder
    }

    /// The executable with its environment, as a script in that folder, for whoever cannot set the environment.
    pub fn script(&self, folder: &Path) -> PathBuf {
        let (script, (variable, world)) = (folder.join("stripe"), self.env());
        let line = format!("export {variable}='{}'\nexec '{}' \"$@\"", world.display(), self.bin().display());
        write_script(&script, &line);
        script
    }

    /// What the executable needs in its environment to find this world.
    pub fn env(&self) -> (&'static str, &Path) {
        ("STRIPE_FAKE_CLI_DIR", self.root.path())
    }

    /// `stripe ARGUMENTS` in that folder, which is the project folder.
    pub fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let (variable, root) = self.env();
        let mut command = Command::new(self.bin());
        command.args(arguments).current_dir(folder).env(variable, root).stdin(Stdio::null());
        command
    }

    /// `stripe projects ARGUMENTS --json`, to its end.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> Ran {
        let mut all = vec!["projects"];
        all.extend(arguments);
        all.push("--json");
        Ran::of_another(self.command(folder, &all).output().unwrap())
    }

    /// The envelope that such a call answers with.
    pub fn ask(&self, folder: &Path, arguments: &[&str]) -> Value {
        let ran = self.run(folder, arguments);
        let start = ran.stdout.find('{').unwrap_or_else(|| panic!("no envelope: {ran:?}"));
        serde_json::from_str(&ran.stdout[start..]).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Replaces the forecast: a list of `{ "verb"?, "fault", "times"?, "skip"?, "only"?, … }`.
    #[expect(clippy::needless_pass_by_value, reason = "a forecast is written at the place of the call")]
    pub fn weather(&self, forecast: Value) {
        assert!(forecast.is_array());
        let _lock = self.lock();
        fs::write(self.file("faults.json"), forecast.to_string()).unwrap();
    }

    /// Faults that have not struck yet: a test that still has some did not test them.
    pub fn forecast(&self) -> Vec<Value> {
        let _lock = self.lock();
        let text = fs::read_to_string(self.file("faults.json")).unwrap_or_else(|_| "[]".to_owned());
        serde_json::from_str(&text).unwrap()
    }

    /// Everything that is live, in all projects of the account, oldest first.
    pub fn resources(&self) -> Vec<Live> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let live = |resource: &Value| Live {
            id: text(&resource["id"]),
            name: text(&resource["name"]),
            service: text(&resource["service"]),
            values: resource["credentials"].as_object().unwrap().clone(),
        };
        let account = self.account();
        let projects = account["projects"].as_array().into_iter().flatten();
        projects.flat_map(|project| project["resources"].as_array().unwrap()).map(live).collect()
    }

    /// The id of the resource that a key opens right now; none if its provider has used up its limit.
    pub fn owner_of(&self, key: &str) -> Option<String> {
        let is_secret = key.contains(PREFIX);
        let owner =
            self.resources().into_iter().find(|live| is_secret && live.values.values().any(|value| value == key))?;
        let provider = owner.service.split('/').next().unwrap();
        (self.spent(provider) < self.limit(provider)).then_some(owner.id)
    }

    /// The verbs that were called, in order: `init`, `add --preflight`, `add`, `env --pull`, …
    pub fn calls(&self) -> Vec<String> {
        self.log().iter().map(|call| call["verb"].as_str().unwrap().to_owned()).collect()
    }

    /// The calls in full: `{verb, argv, folder}`.
    pub fn log(&self) -> Vec<Value> {
        self.account()["calls"].as_array().cloned().unwrap_or_default()
    }

    /// Cents that a provider may bill in a month.
    pub fn limit(&self, provider: &str) -> u64 {
        let limits = &self.account()["limits"];
        limits["providers"][provider].as_u64().or(limits["global"].as_u64()).unwrap_or(10_000)
    }

    /// Cents that a provider has billed.
    pub fn spent(&self, provider: &str) -> u64 {
        self.account()["spent"][provider].as_u64().unwrap_or(0)
    }

    pub fn bill(&self, provider: &str, cents: u64) {
        let spent = self.spent(provider);
        self.change(|account| account["spent"][provider] = json!(spent + cents));
    }

    /// A new month.
    pub fn forget_bills(&self) {
        self.change(|account| account["spent"] = json!({}));
    }

    /// What a person does in the browser.
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

    /// How a service, a provider or the env file behaves from now on.
    ///
    /// | of | key | value | what then |
    /// |---|---|---|---|
    /// | `exa/api` | `naming` | `"provider"` | its variables begin with the provider, if nothing else of it is there |
    /// | `exa/api` | `unrotatable` | `true` | `rotate` answers `provider_failure` |
    /// | `exa/api` | `confirm_by_tier` | `true` | a free tier of a paid service needs no confirmation of the price |
    /// | `neon/postgres` | `connection_string` | `true` | the secret stands inside a connection string |
    /// | `exa` | `browser` | `true` | `link` wants a person in a browser |
    /// | `env` | `quote` | `true` | every value in the env file is in double quotes |
    #[expect(clippy::needless_pass_by_value, reason = "a setting is written at the place of the call")]
    pub fn set(&self, of: &str, key: &str, value: Value) {
        self.change(|account| account["settings"][of][key] = value.clone());
    }

    /// The newest project of the account.
    pub fn project_id(&self) -> String {
        self.account()["projects"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Whether a `hang` has begun in this world.
    pub fn has_hung(&self) -> bool {
        self.file("hung").exists()
    }

    /// Whether a process that hangs, or the helper that it started, is alive still.
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

    /// The world stands still while this is held.
    fn lock(&self) -> File {
        let lock = File::options().create(true).append(true).open(self.file("lock")).unwrap();
        lock.lock().unwrap();
        lock
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

/// How every secret of the stand-in begins, wherever in a value it stands.
pub const PREFIX: &str = "sk_standin_";

/// Those of the recorded catalog.
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
