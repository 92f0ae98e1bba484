//! Starts git with its optional side effects disabled.

use std::{
    ffi::OsString,
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use super::GitError;
use crate::fs::{ProgramError, SearchPath};

/// Resolves the program of this process, once. Git is not run before that.
pub fn resolve_program(search: &SearchPath) {
    let _ = PROGRAM.set((search.find("git").map(|git| git.path), search.variable())); // the first answer stays
}

static PROGRAM: OnceLock<(Result<PathBuf, ProgramError>, OsString)> = OnceLock::new();

/// Git with a working folder.
pub struct Git<'a> {
    pub folder: &'a Path,
    /// The work tree to assume, whatever the repository's configuration says.
    pub work_tree: Option<&'a Path>,
}

/// The result of a finished git process.
pub struct Output {
    pub code: i32,
    pub text: String,
}

/// The output of a running git process. Dropping it ends the process.
pub struct OutputStream {
    child: Running,
    pub output: BufReader<ChildStdout>,
}

struct Running {
    child: Child,
}

impl Git<'_> {
    /// Runs git to its end.
    pub fn run(&self, arguments: &[&str]) -> Result<Output, GitError> {
        let mut child = self.spawn(arguments)?;
        let stdout = child.child.stdout.take();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.map(|stdout| stdout.take(LONGEST_ANSWER).read_to_end(&mut bytes));
            let _ = sender.send(read.map(|read| read.map(|_| bytes))); // the receiver may have given up
        });
        // Git waits without end for a pipe in the place of one of its files.
        let bytes = receiver.recv_timeout(TIMEOUT).ok().flatten().ok_or(GitError::TimedOut)?;
        let bytes = bytes.map_err(GitError::NotRunnable)?;
        let status = child.child.wait().map_err(GitError::NotRunnable)?;
        let text = String::from_utf8(bytes).map_err(|_| GitError::Unclear)?;
        Ok(Output { code: status.code().unwrap_or(-1), text })
    }

    /// Starts git and returns its output as it is written.
    pub fn stream(&self, arguments: &[&str]) -> Result<OutputStream, GitError> {
        let mut child = self.spawn(arguments)?;
        let closed = || GitError::NotRunnable(io::ErrorKind::BrokenPipe.into());
        let output = child.child.stdout.take().ok_or_else(closed)?;
        Ok(OutputStream { child, output: BufReader::with_capacity(PIPE_CAPACITY, output) })
    }

    fn spawn(&self, arguments: &[&str]) -> Result<Running, GitError> {
        let mut command = self.command(arguments)?;
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map(|child| Running { child }).map_err(GitError::NotRunnable)
    }

    #[expect(clippy::disallowed_methods, reason = "only this module runs git; its arguments hold no secret")]
    fn command(&self, arguments: &[&str]) -> Result<Command, GitError> {
        let not_found = || GitError::NotRunnable(io::ErrorKind::NotFound.into());
        let (program, path) = PROGRAM.get().ok_or_else(not_found)?;
        let mut command = Command::new(program.as_ref().map_err(|error| GitError::NoProgram(error.clone()))?);
        command.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never"]);
        command.args(["-c", "core.excludesFile="]); // a file outside the repository can change, and is on this machine only
        command.env("PATH", path);
        command.args(arguments).current_dir(self.folder).stdin(Stdio::null()).env("GIT_OPTIONAL_LOCKS", "0");
        command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_NO_REPLACE_OBJECTS", "1");
        for variable in LOCAL_VARIABLES {
            command.env_remove(variable); // inside a hook, these name another repository
        }
        for variable in SECRET_VARIABLES {
            command.env_remove(variable); // git must not see our credentials
        }
        if let Some(work_tree) = self.work_tree {
            command.env("GIT_WORK_TREE", work_tree).env("GIT_DISCOVERY_ACROSS_FILESYSTEM", "1");
            if let Some(above) = work_tree.parent() {
                command.env("GIT_CEILING_DIRECTORIES", above);
            }
        }
        Ok(command)
    }
}

impl OutputStream {
    /// Waits for the end; true on success. Read the output to its end first.
    pub fn finish(mut self) -> bool {
        self.child.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill(); // fails if the process has ended
        let _ = self.child.wait();
    }
}

/// In bytes: more than any list of paths that these queries answer with.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;

/// How long a query may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The capacity of a pipe on Linux.
const PIPE_CAPACITY: usize = 64 * 1024;

/// Variables that hold our credentials.
const SECRET_VARIABLES: &[&str] = &["STRIPE_API_KEY", "STRIPE_PROJECTS_ALERT_SECRET"];

/// Variables that direct git to another repository or program.
const LOCAL_VARIABLES: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
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
