//! Starts git with its optional side effects disabled.

use std::{
    io::{self, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use super::GitError;

/// Git with a working folder.
pub struct Git<'a> {
    pub folder: &'a Path,
}

/// The result of a finished git process.
pub struct Output {
    pub code: i32,
    pub text: String,
}

/// The output of a running git process. Dropping it ends the process.
pub struct OutputStream {
    child: Child,
    pub output: BufReader<ChildStdout>,
}

impl Git<'_> {
    /// Runs git to its end.
    pub fn run(&self, arguments: &[&str]) -> Result<Output, GitError> {
        let output = self.command(arguments).output().map_err(GitError::NotRunnable)?;
        let code = output.status.code().unwrap_or(-1);
        Ok(Output { code, text: String::from_utf8(output.stdout).map_err(|_| GitError::Unclear)? })
    }

    /// Starts git and returns its output as it is written.
    pub fn stream(&self, arguments: &[&str]) -> Result<OutputStream, GitError> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(GitError::NotRunnable)?;
        let closed = || GitError::NotRunnable(io::ErrorKind::BrokenPipe.into());
        let output = child.stdout.take().ok_or_else(closed)?;
        Ok(OutputStream { child, output: BufReader::with_capacity(PIPE_CAPACITY, output) })
    }

    #[expect(clippy::disallowed_methods, reason = "only this module runs git; its arguments hold no secret")]
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never"]);
        command.args(arguments).current_dir(self.folder).stdin(Stdio::null()).env("GIT_OPTIONAL_LOCKS", "0");
        command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_NO_REPLACE_OBJECTS", "1");
        for variable in LOCAL_VARIABLES {
            command.env_remove(variable); // inside a hook, these name another repository
        }
        for variable in SECRET_VARIABLES {
            command.env_remove(variable); // git must not see our credentials
        }
        command
    }
}

impl OutputStream {
    /// Waits for the end; true on success. Read the output to its end first.
    pub fn finish(mut self) -> bool {
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for OutputStream {
    fn drop(&mut self) {
        let _ = self.child.kill(); // fails if the process has ended
        let _ = self.child.wait();
    }
}

/// The capacity of a pipe on Linux.
const PIPE_CAPACITY: usize = 64 * 1024;

/// Variables that hold our credentials.
const SECRET_VARIABLES: &[&str] = &["STRIPE_API_KEY", "STRIPE_PROJECTS_ALERT_SECRET"];

/// Variables that direct git to another repository or program.
const LOCAL_VARIABLES: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_TRACE",
    "GIT_WORK_TREE",
];
