//! One call of the command line: arguments, environment and expectations, then a verb that runs it.

use std::{ffi::OsStr, process::Command};

use serde_json::Value;

use crate::workspace::Ran;

/// A call that has not run yet. Its verbs assert the expected output and, except `run` and `json`, the exit code.
pub struct CliCall {
    command: Command,
    stdout: Option<String>,
    stderr: Option<String>,
}

impl CliCall {
    pub fn new(command: Command) -> Self {
        Self { command, stdout: None, stderr: None }
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Expects exactly this text on stdout.
    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout = Some(text.into());
        self
    }

    /// Expects exactly this text on stderr.
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr = Some(text.into());
        self
    }

    /// Asserts exit code 0.
    pub fn succeed(self) -> Ran {
        self.exit(0)
    }

    /// Asserts that exit code.
    pub fn exit(self, code: i32) -> Ran {
        let call = self.to_string();
        let ran = self.run();
        assert_eq!(ran.code, code, "{call}: {ran:?}");
        ran
    }

    /// Adds `--json` and returns stdout, for any exit code.
    pub fn json(mut self) -> Value {
        self.command.arg("--json");
        let call = self.to_string();
        let ran = self.run();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{call}: {error}: {ran:?}"))
    }

    /// Runs the command, for any exit code.
    pub fn run(mut self) -> Ran {
        let ran = Ran::from(self.command.output().unwrap());
        for (expected, actual) in [(&self.stdout, &ran.stdout), (&self.stderr, &ran.stderr)] {
            if let Some(expected) = expected {
                assert_eq!(actual, expected, "{self}");
            }
        }
        ran
    }
}

/// The arguments, for failure messages.
impl std::fmt::Display for CliCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.command.get_args().collect::<Vec<_>>())
    }
}
