//! The git process: the one place that starts it, and how it is kept from doing anything but answering.

use std::{
    io::{self, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use super::GitError;

/// Git in that folder.
pub struct Git<'a> {
    pub folder: &'a Path,
}

pub struct Answer {
    pub code: i32,
    pub text: String,
}

/// An answer that is still being given. Who drops it ends the process.
pub struct Talking {
    child: Child,
    pub output: BufReader<ChildStdout>,
}

impl Git<'_> {
    /// What git answers.
    pub fn ask(&self, arguments: &[&str]) -> Result<Answer, GitError> {
        let output = self.command(arguments).output().map_err(GitError::NotRunnable)?;
        let code = output.status.code().unwrap_or(-1);
        Ok(Answer { code, text: String::from_utf8(output.stdout).map_err(|_| GitError::Unclear)? })
    }

    /// What git answers, as it comes.
    pub fn listen(&self, arguments: &[&str]) -> Result<Talking, GitError> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(GitError::NotRunnable)?;
        let gone = || GitError::NotRunnable(io::ErrorKind::BrokenPipe.into());
        let output = child.stdout.take().ok_or_else(gone)?;
        Ok(Talking { child, output: BufReader::with_capacity(PIPE, output) })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that runs git; nothing secret is in its arguments"
    )]
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never"]);
        command.args(arguments).current_dir(self.folder).stdin(Stdio::null()).env("GIT_OPTIONAL_LOCKS", "0");
        command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_NO_REPLACE_OBJECTS", "1");
        for variable in LOCAL_VARIABLES {
            command.env_remove(variable); // inside a hook these name another repository
        }
        for variable in SECRET_VARIABLES {
            command.env_remove(variable); // none of git's business
        }
        command
    }
}

impl Talking {
    /// Whether git said all that it had to say. Its output has been read to the end.
    pub fn ended_well(mut self) -> bool {
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

/// As much as a pipe of Linux holds.
const PIPE: usize = 64 * 1024;

/// Credentials of ours.
const SECRET_VARIABLES: &[&str] = &["STRIPE_API_KEY", "STRIPE_PROJECTS_ALERT_SECRET"];

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
