//! A temporary workspace and a home for each test, and the real binary in them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use backends::simulated::SimulatedStripe;
use domain::{
    clock::Clock,
    project::ResourceId,
    secret::Secret,
    workspace::{Place, WorkspaceId},
};
use files::{
    fs::{create_private_folder, folder_identity},
    state_folder::StateFolder,
};
use rusqlite::Connection;
use serde_json::Value;
use storage::ledger::{Ledger, Registration};
use stripe_projects_mcp::settings::{CliOptions, simulated_store};
use tempfile::TempDir;

use crate::{
    cli_call::CliCall,
    fake_stripe::{self, FakeStripeCli},
    secret_leaks::{assert_no_key_in_output, assert_no_key_on_disk},
    simulator_client::SimulatorProcess,
};

/// A workspace, and the home of the user with the state folder beside it. Both are removed at the end of the test.
pub struct Workspace {
    root: Arc<TempDir>,
    folder: &'static str,
    behind: Counterpart,
    allow_planted_keys: AtomicBool,
    is_connected: AtomicBool,
    /// The files that may hold keys: `.env`, and what calls name with `--env-file` and `--dir`.
    env_files: Mutex<BTreeSet<PathBuf>>,
}

/// The backend of the commands in a workspace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BackendKind {
    Simulated,
    StripeApi,
    StripeCli,
}

impl BackendKind {
    pub const ALL: [Self; 3] = [Self::Simulated, Self::StripeApi, Self::StripeCli];
}

/// The counterpart of the backend, alive as long as the workspace.
enum Counterpart {
    Simulated,
    StripeApi(SimulatorProcess),
    StripeCli(FakeStripeCli),
}

/// The result of a command: exit code, stdout, stderr.
#[derive(Debug)]
pub struct CommandOutput {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Workspace {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["workspace", "home"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self::in_folder(Arc::new(root), "workspace")
    }

    /// Creates another workspace of the same user.
    pub fn beside(&self) -> Self {
        fs::create_dir(self.root().join("other")).unwrap();
        Self::in_folder(Arc::clone(&self.root), "other")
    }

    fn in_folder(root: Arc<TempDir>, folder: &'static str) -> Self {
        Self {
            root,
            folder,
            behind: Counterpart::Simulated,
            allow_planted_keys: AtomicBool::new(false),
            is_connected: AtomicBool::new(false),
            env_files: Mutex::default(),
        }
    }

    /// Creates a workspace on that backend, with its own counterpart.
    pub fn on(kind: BackendKind) -> Self {
        let mut workspace = Self::new();
        let behind = match kind {
            BackendKind::Simulated => Counterpart::Simulated,
            BackendKind::StripeApi => Counterpart::StripeApi(SimulatorProcess::start(&workspace, &[])),
            BackendKind::StripeCli => Counterpart::StripeCli(FakeStripeCli::new()),
        };
        workspace.behind = behind;
        workspace
    }

    /// Allows keys in any file, because the test plants them.
    pub fn allow_planted_keys(&self) {
        self.allow_planted_keys.store(true, Ordering::Relaxed);
    }

    /// Allows keys in an env file that no call of [`Self::command`] names.
    pub fn allow_env_file(&self, name: impl AsRef<Path>) {
        self.env_files.lock().unwrap().insert(self.path().join(name));
    }

    /// Returns the files that may hold keys, with links followed.
    fn env_files(&self) -> BTreeSet<PathBuf> {
        let named = self.env_files.lock().unwrap().clone();
        // Several workspaces and folders of one test may share its root.
        let usual = self.files().into_iter().filter(|file| file.file_name().is_some_and(|name| name == ".env"));
        let all = named.into_iter().chain(usual);
        all.flat_map(|file| file.canonicalize().into_iter().chain([file])).collect()
    }

    /// Without symbolic links, as the program shows it.
    pub fn path(&self) -> PathBuf {
        self.root().join(self.folder)
    }

    /// Returns the folder of the workspace and the home.
    pub fn root(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap()
    }

    /// Returns the home folder of every process of the test.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.file(name), text).unwrap();
    }

    /// Writes the policy of the user, outside the workspace.
    pub fn write_policy(&self, text: &str) {
        let folder = self.home().join(".config/stripe-projects");
        create_private_folder(&folder).unwrap();
        fs::write(folder.join("policy.toml"), text).unwrap();
    }

    /// Lets an agent provision many projects without a person.
    pub fn allow_many_projects(&self) {
        self.write_policy("[policy]\nmonthly_budget_usd = 1000000\nmax_live_projects = 100000\n");
    }

    /// Returns the text of a file, empty if there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Returns the real binary in this folder. Variables of the environment that could change its behavior are removed.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let after = |flag| arguments.iter().skip_while(|argument| **argument != flag).nth(1).map(Path::new);
        let folder = after("--dir").unwrap_or(Path::new(""));
        self.allow_env_file(folder.join(after("--env-file").unwrap_or(Path::new(".env"))));
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        self.prepare(&mut command);
        if matches!(self.behind, Counterpart::Simulated) {
            return command;
        }
        if arguments.first() == Some(&"serve") {
            self.connect();
            command.env_remove("STRIPE_PROJECTS_STRIPE_BIN"); // of no use there, which the server would say
        } else {
            command.arg("--accept-tos");
        }
        command
    }

    /// Connects the workspace to its backend, as a person does once before an agent may use it.
    pub fn connect(&self) {
        if !self.is_connected.swap(true, Ordering::Relaxed) {
            let backend = if self.kind() == BackendKind::StripeApi { "stripe-api" } else { "stripe-cli" };
            self.ok(&["connect", backend, "--yes"]);
        }
    }

    /// Sets the environment of a command for the backend.
    pub fn prepare(&self, command: &mut Command) {
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.env("HOME", self.home());
        match &self.behind {
            Counterpart::Simulated => {}
            Counterpart::StripeApi(simulator) => {
                command.env("STRIPE_PROJECTS_BACKEND", "stripe-api").env("STRIPE_API_KEY", "rk_test_0123456789");
                command.env("STRIPE_PROJECTS_STRIPE_API_BASE", &simulator.base);
            }
            Counterpart::StripeCli(fake_stripe) => {
                let (variable, world) = fake_stripe.env();
                command.env("STRIPE_PROJECTS_BACKEND", "stripe-cli").env(variable, world);
                command.env("STRIPE_PROJECTS_STRIPE_BIN", fake_stripe.bin());
            }
        }
    }

    /// Returns the fake Stripe CLI behind this workspace.
    pub fn fake_stripe(&self) -> &FakeStripeCli {
        let Counterpart::StripeCli(fake_stripe) = &self.behind else { panic!("this workspace has no fake Stripe CLI") };
        fake_stripe
    }

    /// Returns the simulator behind this workspace.
    pub fn simulator(&self) -> &SimulatorProcess {
        let Counterpart::StripeApi(simulator) = &self.behind else { panic!("this workspace has no simulator") };
        simulator
    }

    pub fn kind(&self) -> BackendKind {
        match &self.behind {
            Counterpart::Simulated => BackendKind::Simulated,
            Counterpart::StripeApi(_) => BackendKind::StripeApi,
            Counterpart::StripeCli(_) => BackendKind::StripeCli,
        }
    }

    /// Prepares a call of the command line, to be run by one of its verbs.
    pub fn cli(&self, arguments: &[&str]) -> CliCall {
        CliCall::new(self.command(arguments))
    }

    /// Runs a command, for any exit code.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.cli(arguments).run()
    }

    /// Runs a command that must succeed.
    pub fn ok(&self, arguments: &[&str]) -> CommandOutput {
        self.cli(arguments).succeed()
    }

    /// Runs a command with `--json` and returns its stdout, whatever the exit code.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.cli(arguments).json()
    }

    /// Returns the value of a variable in the env file.
    pub fn variable(&self, name: &str) -> Option<String> {
        let text = self.read(".env");
        text.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    }

    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/stripe-projects")
    }

    /// Returns the state folder as the program checks it.
    pub fn state_folder(&self) -> Arc<StateFolder> {
        Arc::new(StateFolder::new(self.state(), Some(self.path()), Some(self.home())))
    }

    /// Creates the state folder, as the first write does.
    pub fn create_state(&self) {
        create_private_folder(&self.state()).unwrap();
    }

    /// Returns the options of a process in this workspace.
    pub fn options(&self) -> CliOptions {
        CliOptions { dir: Some(self.path()), state_dir: Some(self.state()), ..CliOptions::default() }
    }

    /// Returns the ledger, bound to this workspace.
    pub fn ledger(&self) -> Ledger {
        let place = Place { path: self.path(), identity: Some(folder_identity(&self.path()).unwrap()) };
        let registration =
            Registration { place, id: WorkspaceId::random().unwrap(), at: Clock::system().now(), for_agent: false };
        Ledger::of(&self.state()).in_folder(registration)
    }

    /// Executes SQL directly on the ledger.
    pub fn sql(&self, change: &str) {
        self.open_ledger().execute_batch(change).unwrap();
    }

    /// Moves the write-ahead log into the database file, as the last closing process does.
    pub fn checkpoint(&self) {
        self.open_ledger().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }

    /// Expires every approval request.
    pub fn expire_approvals(&self) {
        self.sql("UPDATE approvals SET expires_at = created_at");
    }

    fn open_ledger(&self) -> Connection {
        Connection::open(self.state().join("ledger.db")).unwrap()
    }

    /// Opens the simulated account, to inspect what is live.
    pub fn world(&self) -> SimulatedStripe {
        SimulatedStripe::new(simulated_store(&self.state()), Clock::system())
    }

    /// Returns the resource that a key belongs to now.
    pub fn owner_of(&self, key: &str) -> Option<ResourceId> {
        match &self.behind {
            Counterpart::Simulated | Counterpart::StripeApi(_) => {
                self.world().owner_of(&Secret::new(key.to_owned())).unwrap()
            }
            Counterpart::StripeCli(fake_stripe) => fake_stripe.owner_of(key).map(ResourceId::new),
        }
    }

    /// Returns everything that exists at the backend, and may be billed.
    pub fn billed_resources(&self) -> BTreeSet<String> {
        match &self.behind {
            Counterpart::Simulated | Counterpart::StripeApi(_) => {
                let existing = self.world().observe_everything().unwrap();
                existing.into_iter().map(|observed| observed.resource.as_str().to_owned()).collect()
            }
            Counterpart::StripeCli(fake_stripe) => fake_stripe.resources().into_iter().map(|live| live.id).collect(),
        }
    }

    /// Returns the prefix of the counterpart's credentials.
    pub fn key_prefix(&self) -> &'static str {
        if matches!(self.behind, Counterpart::StripeCli(_)) { fake_stripe::PREFIX } else { "sk_proj_sim_" }
    }

    /// Returns the remaining temporary files.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        self.files().into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "tmp")).collect()
    }

    /// Returns every file below the workspace and the home; a link counts as one.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.root(), &mut files);
        files
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if !thread::panicking() && !self.allow_planted_keys.load(Ordering::Relaxed) {
            assert_no_key_on_disk(&self.files(), &self.env_files());
        }
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        assert_no_key_in_output(&output.stdout);
        assert_no_key_in_output(&output.stderr);
        Self::of_other_program(output)
    }
}

impl CommandOutput {
    /// Reads the output of another program, which may contain its own keys.
    pub fn of_other_program(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Returns the response to a request, among the lines that a server wrote.
    pub fn response(&self, id: u64) -> Value {
        let mut answers = self.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        answers.find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("no answer to {id}: {self:?}"))
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        if kind.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

pub const BINARY: &str = env!("CARGO_BIN_EXE_stripe-projects-mcp");

/// Variables of the environment that could change a command; `COLUMNS` sets the width of help.
const VARIABLES: [&str; 19] = [
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "NO_COLOR",
    "STRIPE_API_KEY",
    "STRIPE_CONTEXT",
    "STRIPE_PROJECTS_ALERT_SECRET",
    "STRIPE_PROJECTS_BACKEND",
    "STRIPE_PROJECTS_DIR",
    "STRIPE_PROJECTS_ENV_FILE",
    "STRIPE_PROJECTS_PAYMENT_METHOD",
    "STRIPE_PROJECTS_POLICY",
    "STRIPE_PROJECTS_PROVIDERS",
    "STRIPE_PROJECTS_STATE_DIR",
    "STRIPE_PROJECTS_STRIPE_API_BASE",
    "STRIPE_PROJECTS_STRIPE_API_KEY_FILE",
    "STRIPE_PROJECTS_STRIPE_BIN",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
];
