//! Starts `stripe`, bounds its time and output, and ends its process group.
//!
//! The child's standard input is the locked lock file, which is empty and so reads like `/dev/null`. A `stripe` that
//! outlives a killed process of ours still has that file open, and with it the lock. No other call runs before it has
//! ended, so its `add` cannot take effect after a recovery has found nothing. For the same reason a child is ended only
//! by its own time limit and by a kill that has waited for it: a cancelled call leaves it running.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use files::fs::Lock;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time::timeout,
};

use super::queue::note_running;

/// One run of `stripe`.
pub struct CliCall<'a> {
    /// All after the program's name. They contain no credential: other users of the machine can see them.
    pub arguments: &'a [&'a str],
    /// Held by the caller, and by the child through its standard input.
    pub lock: &'a Lock,
    /// Where its process group is noted while it runs, so that a kill can end it.
    pub running: Option<&'a Path>,
    pub timeout: Duration,
}

/// What `stripe` printed. The exit code is left out on purpose: the real one proves nothing.
#[derive(Debug, Default)]
pub struct CliOutput {
    pub stdout: Vec<u8>,
    /// Searched for two known sentences, and then dropped.
    pub stderr: Vec<u8>,
}

/// Why there is no output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunError {
    /// Its output can no longer be read, as when this process is ending; it may still be running.
    Broken,
    /// Nothing was run: the program does not exist.
    Missing,
    /// Nothing was run, for another reason.
    NotStarted(io::ErrorKind),
    /// It prompts for a login, and would wait for minutes; it was ended.
    Prompts,
    /// It exceeded its time limit, and was ended.
    TimedOut,
    /// It printed more than any valid answer, and was ended.
    TooMuch,
}

/// Runs `stripe` in a folder of ours and with our environment, without a shell.
pub struct Runner {
    /// `None`: there is none that may be started.
    bin: Option<PathBuf>,
    folder: PathBuf,
}

impl Runner {
    /// Without a `bin`, nothing can be run: `PATH` was searched before.
    pub fn new(bin: Option<PathBuf>, folder: &Path) -> Self {
        // A relative path counts from our working directory, not from the child's.
        let bin = bin.map(|bin| std::path::absolute(&bin).unwrap_or(bin));
        Self { bin, folder: folder.to_owned() }
    }

    /// Runs it to its end, or until its time limit.
    ///
    /// # Errors
    /// [`RunError`], which tells whether anything was run.
    pub async fn run(&self, call: CliCall<'_>) -> Result<CliOutput, RunError> {
        let lock = call.lock.share().map_err(|error| RunError::NotStarted(error.source.kind()))?;
        let group = self.start(call.arguments, lock, Some(&self.folder))?;
        if let Some(running) = call.running {
            note_running(running, group.0.id().unwrap_or_default());
        }
        let output = Self::collect_output(group, call.timeout).await;
        if let (Some(running), false) = (call.running, matches!(output, Err(RunError::Broken))) {
            note_running(running, 0);
        }
        output
    }

    /// Runs `--version`, which changes nothing and so needs neither a lock nor a folder of ours.
    pub async fn version(&self, timeout: Duration) -> Result<CliOutput, RunError> {
        Self::collect_output(self.start(&["--version"], Stdio::null(), None)?, timeout).await
    }

    async fn collect_output(mut group: ProcessGroup, limit: Duration) -> Result<CliOutput, RunError> {
        let mut output = CliOutput::default();
        match timeout(limit, read_output(&mut group, &mut output)).await {
            Ok(Err(RunError::Broken)) => return Err(RunError::Broken),
            result => {
                group.end().await;
                result.unwrap_or(Err(RunError::TimedOut))?;
            }
        }
        Ok(output)
    }

    fn start(&self, arguments: &[&str], input: Stdio, folder: Option<&Path>) -> Result<ProcessGroup, RunError> {
        let mut command = Command::new(self.bin.as_ref().ok_or(RunError::Missing)?);
        command.args(arguments.iter().map(OsString::from));
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("STRIPE_PROJECTS_ALERT_SECRET"); // not for Stripe
        #[cfg(unix)]
        command.process_group(0);
        match command.spawn() {
            Ok(child) => Ok(ProcessGroup(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(RunError::Missing),
            Err(error) => Err(RunError::NotStarted(error.kind())),
        }
    }
}

/// Reads until the child has ended and its pipes are closed.
///
/// Descendants that it left behind are killed with it. One that left the process group cannot delay this for long by
/// keeping a pipe open.
async fn read_output(group: &mut ProcessGroup, output: &mut CliOutput) -> Result<(), RunError> {
    let (Some(stdout), Some(stderr)) = (group.0.stdout.take(), group.0.stderr.take()) else {
        return Err(RunError::Broken);
    };
    let mut reading = Box::pin(async {
        tokio::try_join!(
            drain(stdout, &mut output.stdout, LONGEST_STDOUT),
            drain(stderr, &mut output.stderr, LONGEST_STDERR)
        )
    });
    tokio::select! {
        read = &mut reading => {
            read?;
            group.ended().await;
        }
        () = group.ended() => {
            group.kill();
            timeout(EXIT_TIMEOUT, reading).await.unwrap_or(Ok(((), ())))?;
        }
    }
    Ok(())
}

async fn drain(mut pipe: impl AsyncRead + Unpin, into: &mut Vec<u8>, limit: usize) -> Result<(), RunError> {
    loop {
        match pipe.read_buf(into).await {
            Ok(0) => return Ok(()),
            Ok(_) if into.len() > limit => return Err(RunError::TooMuch),
            Ok(_) if is_login_prompt(into) => return Err(RunError::Prompts),
            Ok(_) => {}
            Err(_) => return Err(RunError::Broken),
        }
    }
}

/// Whether the output is the login prompt of a `stripe` that is logged out.
///
/// It takes the end of its input for a yes, and waits for a browser. It is printed instead of an answer, never inside
/// one.
fn is_login_prompt(printed: &[u8]) -> bool {
    let start = printed.get(..PROMPT_WITHIN).unwrap_or(printed);
    !start.contains(&b'{') && start.windows(PROMPT.len()).any(|window| window == PROMPT)
}

/// A child and its descendants: on Unix its process group.
struct ProcessGroup(Child);

impl ProcessGroup {
    /// Kills what is left of it, and reaps the child.
    async fn end(&mut self) {
        self.kill();
        let _ = timeout(EXIT_TIMEOUT, self.0.wait()).await; // one that cannot be killed keeps the lock, as it should
    }

    /// Waits for the child's end without reaping it.
    ///
    /// Until it is reaped, its pid is not reused, so killing the process group of that pid is safe.
    #[cfg(unix)]
    async fn ended(&mut self) {
        use rustix::{
            io::retry_on_intr,
            process::{WaitId, WaitIdOptions, waitid},
        };
        let Some(pid) = self.pid() else { return };
        let wait = move || retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
        let _ = tokio::task::spawn_blocking(wait).await; // on an error there is nothing to wait for
    }

    #[cfg(not(unix))]
    async fn ended(&mut self) {
        let _ = self.0.wait().await;
    }

    #[cfg(unix)]
    fn kill(&mut self) {
        use rustix::process::{Signal, kill_process_group};
        if let Some(pid) = self.pid() {
            let _ = kill_process_group(pid, Signal::KILL); // an error means that none is left
        }
    }

    #[cfg(not(unix))]
    fn kill(&mut self) {
        let _ = self.0.start_kill();
    }

    /// `None` once it is reaped.
    #[cfg(unix)]
    fn pid(&self) -> Option<rustix::process::Pid> {
        self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
    }
}

/// In bytes, ten times the size of a catalog.
const LONGEST_STDOUT: usize = 4 * 1024 * 1024;

/// In bytes.
const LONGEST_STDERR: usize = 256 * 1024;

const PROMPT: &[u8] = b"You must be logged in";

/// In bytes. The prompt is printed first.
const PROMPT_WITHIN: usize = 4096;

/// How long a killed process may take to end.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);
