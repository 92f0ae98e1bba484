//! The one place that starts `stripe`: arguments in, bounded output out, and nothing of it left behind.
//!
//! The child's input is the locked lock file itself, which is empty and so reads like `/dev/null`. A `stripe` that
//! outlives a killed process of ours still has that file open, and with it the lock: nobody looks or acts before it has
//! ended, so an `add` that nobody waits for can never slip in after a recovery has found nothing. For the same reason a
//! child is ended only when its own time is up: a call that is given up leaves it to finish what it has begun.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time::timeout,
};

use crate::fs::Lock;

/// One run of `stripe`.
pub struct Call<'a> {
    /// All after the program's name. No credential is ever among them: other users of the machine can see them.
    pub arguments: &'a [&'a str],
    /// Held by the caller, and by the child through its input.
    pub lock: &'a Lock,
    pub timeout: Duration,
}

/// What it printed. The exit code is left out on purpose: the real one proves nothing.
#[derive(Debug, Default)]
pub struct Output {
    pub stdout: Vec<u8>,
    /// Looked at for two known sentences, and then dropped.
    pub stderr: Vec<u8>,
}

/// Why there is no output to look at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunError {
    /// We can no longer listen to it, as happens when this process is on its way out; it may still be running.
    Broken,
    /// Nothing was run: there is no such program.
    Missing,
    /// Nothing was run, for another reason.
    NotStarted(io::ErrorKind),
    /// It wants somebody to log in, for whom it would wait for minutes; it was ended.
    Prompts,
    /// It ran for too long, and was ended.
    TimedOut,
    /// It ran and printed more than any honest answer, and was ended.
    TooMuch,
}

/// The program, in a folder of ours and with our environment; no shell is between.
pub struct Runner {
    bin: PathBuf,
    folder: PathBuf,
}

impl Runner {
    /// Without a `bin` it is looked for on `PATH`.
    pub fn new(bin: Option<PathBuf>, folder: &Path) -> Self {
        // A relative path means one from where we stand, not from the folder that the child is started in.
        let bin = bin.map(|bin| std::path::absolute(&bin).unwrap_or(bin));
        Self { bin: bin.unwrap_or_else(|| PathBuf::from(PROGRAM)), folder: folder.to_owned() }
    }

    /// Runs it to its end, or ends it when its time is up.
    ///
    /// # Errors
    /// [`RunError`] says why there is no output, and whether anything was run at all.
    pub async fn run(&self, call: Call<'_>) -> Result<Output, RunError> {
        let lock = call.lock.share().map_err(|error| RunError::NotStarted(error.source.kind()))?;
        Self::collect_output(self.start(call.arguments, lock, Some(&self.folder))?, call.timeout).await
    }

    /// Asks for its version, which changes nothing and so needs neither a lock nor a folder of ours.
    ///
    /// # Errors
    /// As of [`Self::run`].
    pub async fn version(&self, timeout: Duration) -> Result<Output, RunError> {
        Self::collect_output(self.start(&["--version"], Stdio::null(), None)?, timeout).await
    }

    async fn collect_output(mut group: ProcessGroup, limit: Duration) -> Result<Output, RunError> {
        let mut output = Output::default();
        match timeout(limit, listen(&mut group, &mut output)).await {
            Ok(Err(RunError::Broken)) => return Err(RunError::Broken),
            told => {
                group.end().await;
                told.unwrap_or(Err(RunError::TimedOut))?;
            }
        }
        Ok(output)
    }

    fn start(&self, arguments: &[&str], input: Stdio, folder: Option<&Path>) -> Result<ProcessGroup, RunError> {
        let mut command = Command::new(&self.bin);
        command.args(arguments.iter().map(OsString::from));
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("STRIPE_PROJECTS_ALERT_SECRET"); // none of Stripe's business
        #[cfg(unix)]
        command.process_group(0);
        match command.spawn() {
            Ok(child) => Ok(ProcessGroup(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(RunError::Missing),
            Err(error) => Err(RunError::NotStarted(error.kind())),
        }
    }
}

/// Reads until the child has ended and nobody holds its pipes. What it has started and left behind is ended with it;
/// what hides from that keeps a pipe open in vain.
async fn listen(group: &mut ProcessGroup, output: &mut Output) -> Result<(), RunError> {
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
            timeout(GRACE, reading).await.unwrap_or(Ok(((), ())))?;
        }
    }
    Ok(())
}

async fn drain(mut pipe: impl AsyncRead + Unpin, into: &mut Vec<u8>, most: usize) -> Result<(), RunError> {
    loop {
        match pipe.read_buf(into).await {
            Ok(0) => return Ok(()),
            Ok(_) if into.len() > most => return Err(RunError::TooMuch),
            Ok(_) if wants_a_login(into) => return Err(RunError::Prompts),
            Ok(_) => {}
            Err(_) => return Err(RunError::Broken),
        }
    }
}

/// Whether it is the prompt of a `stripe` that is logged out, which takes the end of its input for a yes, and waits for
/// a browser. It comes instead of an answer, never inside of one.
fn wants_a_login(printed: &[u8]) -> bool {
    let start = printed.get(..PROMPT_WITHIN).unwrap_or(printed);
    !start.contains(&b'{') && start.windows(PROMPT.len()).any(|window| window == PROMPT)
}

/// A child and everything it starts: on Unix its process group.
struct ProcessGroup(Child);

impl ProcessGroup {
    /// Ends whatever is left of it, and reaps the child.
    async fn end(&mut self) {
        self.kill();
        let _ = timeout(GRACE, self.0.wait()).await; // one that cannot be killed keeps the lock, as it should
    }

    /// Waits for the child's end without reaping it: so long as it is not reaped, its number is nobody else's, and
    /// killing the group of that number is safe.
    #[cfg(unix)]
    async fn ended(&mut self) {
        use rustix::{
            io::retry_on_intr,
            process::{WaitId, WaitIdOptions, waitid},
        };
        let Some(pid) = self.pid() else { return };
        let wait = move || retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
        let _ = tokio::task::spawn_blocking(wait).await; // without an answer there is nothing to wait for
    }

    #[cfg(not(unix))]
    async fn ended(&mut self) {
        let _ = self.0.wait().await;
    }

    #[cfg(unix)]
    fn kill(&mut self) {
        use rustix::process::{Signal, kill_process_group};
        if let Some(pid) = self.pid() {
            let _ = kill_process_group(pid, Signal::KILL); // nobody left is what was wanted
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

const PROGRAM: &str = "stripe";

/// Bytes. A whole catalog is a tenth of it.
const LONGEST_STDOUT: usize = 4 * 1024 * 1024;

/// Bytes.
const LONGEST_STDERR: usize = 256 * 1024;

const PROMPT: &[u8] = b"You must be logged in";

/// Bytes. It is the first thing that is printed.
const PROMPT_WITHIN: usize = 4096;

/// How long the killed may take to be gone.
const GRACE: Duration = Duration::from_secs(2);
