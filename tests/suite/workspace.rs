//! A workspace of its own for each test, and the real binary in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use stripe_projects_mcp::{
    backend::simulated::World, clock::Clock, ledger::Ledger, project::ResourceId, secret::Secret,
    settings::simulated_world,
};
use tempfile::TempDir;

/// A folder that is gone when the test is over.
pub struct Workspace {
    folder: TempDir,
}

/// What a command left: exit code, stdout, stderr.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Workspace {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Without symbolic links, as the program shows it.
    pub fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.file(name), text).unwrap();
    }

    /// The text of a file, empty if there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The real binary in this folder, with nothing of the surrounding environment that could steer it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for variable in ["DIR", "ENV_FILE", "PROVIDERS", "STATE_DIR", "BACKEND", "PAYMENT_METHOD"] {
            command.env_remove(format!("STRIPE_PROJECTS_{variable}"));
        }
        command.env_remove("COLUMNS"); // help is as wide as this says
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// Runs what must succeed.
    pub fn ok(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran
    }

    /// Runs with `--json`; what stdout holds, whatever the exit code.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let ran = self.run(&arguments);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {ran:?}"))
    }

    /// The value that a variable of the env file has.
    pub fn variable(&self, name: &str) -> Option<String> {
        let text = self.read(".env");
        text.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    }

    pub fn state(&self) -> PathBuf {
        self.file(".stripe-projects")
    }

    pub fn ledger(&self) -> Ledger {
        Ledger::of(&self.state())
    }

    /// The simulated world, to be asked what is live.
    pub fn world(&self) -> World {
        World::new(simulated_world(&self.state()), Clock::system())
    }

    /// The resource that a key opens right now.
    pub fn owner_of(&self, key: &str) -> Option<ResourceId> {
        self.world().owner_of(&Secret::new(key.to_owned())).unwrap()
    }

    /// Every file below the folder.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.path(), &mut files);
        files
    }
}

impl Ran {
    /// The answer to a request, among the lines that a server wrote.
    pub fn answer(&self, id: u64) -> Value {
        let mut answers = self.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        answers.find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("no answer to {id}: {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

pub const BINARY: &str = env!("CARGO_BIN_EXE_stripe-projects-mcp");
