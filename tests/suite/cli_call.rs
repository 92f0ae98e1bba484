//! One call of the command line: arguments, environment and expectations, then a verb that runs it.

use std::{ffi::OsStr, process::Command};

use serde_json::Value;

use crate::workspace::CommandOutput;

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
    pub fn succeed(self) -> CommandOutput {
        self.exit(0)
    }

    /// Asserts that exit code.
    pub fn exit(self, code: i32) -> CommandOutput {
        let call = self.to_string();
        let output = self.run();
        assert_eq!(output.code, code, "{call}: {output:?}");
        output
    }

    /// Adds `--json` and returns stdout, for any exit code.
    pub fn json(mut self) -> Value {
        self.command.arg("--json");
        let call = self.to_string();
        let output = self.run();
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{call}: {error}: {output:?}"))
    }

    /// Runs the command, for any exit code.
    pub fn run(mut self) -> CommandOutput {
        let output = CommandOutput::from(self.command.output().unwrap());
        for (expected, actual) in [(&self.stdout, &output.stdout), (&self.stderr, &output.stderr)] {
            if let Some(expected) = expected {
                assert_eq!(actual, expected, "{self}");
            }
        }
        output
    }
}

/// The arguments, for failure messages.
impl std::fmt::Display for CliCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.command.get_args().collect::<Vec<_>>())
    }
}
