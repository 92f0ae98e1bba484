//! The queue in front of `stripe`: one call at a time, and a kill before all others.
//!
//! A kill holds a marker while it waits. Ordinary calls look at it before they take the lock, so the kill waits for the
//! one call in flight only. A call that takes too long is ended: its process group is noted while it runs.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use files::fs::{self, FsError, Lock};

/// The lock of the Stripe CLI, and what a kill needs to be the next one to hold it.
#[derive(Clone, Debug)]
pub struct Queue {
    lock: PathBuf,
    marker: PathBuf,
    running: PathBuf,
}

impl Queue {
    pub fn in_folder(state: &Path) -> Self {
        Self {
            lock: state.join("stripe-cli.lock"),
            marker: state.join("stripe-cli.kill"),
            running: state.join("stripe-cli.running"),
        }
    }

    /// Returns the file in which an ordinary call notes its process group.
    pub fn running(&self) -> &Path {
        &self.running
    }

    /// Waits for the lock at most `timeout`, behind every kill.
    pub fn wait(&self, timeout: Duration) -> Result<Option<Lock>, FsError> {
        let deadline = Instant::now() + timeout;
        let mut pause = SHORTEST_PAUSE;
        loop {
            if !self.does_a_kill_wait()?
                && let Some(lock) = Lock::on_file(&self.lock, Duration::ZERO)?
            {
                return Ok(Some(lock));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits for the call in flight for `timeout`, then ends its process group. `None` if the lock stays held.
    pub fn go_first(&self, timeout: Duration, longest: Duration) -> Result<Option<Lock>, FsError> {
        let _marker = Lock::shared_on_file(&self.marker, MARKER_TIMEOUT)?;
        if let Some(lock) = Lock::on_file(&self.lock, timeout)? {
            return Ok(Some(lock));
        }
        // A call runs one program after another, and other kills are waited for.
        let deadline = Instant::now() + longest;
        loop {
            self.end_running();
            if let Some(lock) = Lock::on_file(&self.lock, LONGEST_PAUSE)? {
                return Ok(Some(lock));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }

    fn does_a_kill_wait(&self) -> Result<bool, FsError> {
        Ok(Lock::on_file(&self.marker, Duration::ZERO)?.is_none())
    }

    #[cfg(unix)]
    fn end_running(&self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let text = fs::read(&self.running, LONGEST_NOTE).ok().flatten().unwrap_or_default();
        let number = String::from_utf8_lossy(&text).trim().parse::<i32>().unwrap_or_default();
        // The lock file is its standard input, so a process that only has its number is left alone.
        if number > 1
            && fs::is_input_of(&self.lock, number)
            && let Some(pid) = Pid::from_raw(number)
        {
            let _ = kill_process_group(pid, Signal::KILL); // an error means that none is left
        }
    }

    #[cfg(not(unix))]
    fn end_running(&self) {}
}

/// Notes the process group of a call, or with zero that none is left. Of a fixed length, so that it takes no new space.
pub fn note_running(file: &Path, group: u32) {
    let _ = fs::write_in_place(file, format!("{group:>15}\n").as_bytes()); // without it, a kill waits for the call's end
}

const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Ordinary calls hold the marker for microseconds; without it, a kill is one of many.
const MARKER_TIMEOUT: Duration = Duration::from_millis(200);

/// In bytes.
const LONGEST_NOTE: u64 = 64;
