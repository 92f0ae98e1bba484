//! Logging to stderr that never blocks: a host that does not read it cannot stop the server.
//!
//! A thread writes the lines of a bounded queue. While the pipe and the queue are full, further lines are dropped.

use std::{
    io::{self, Write},
    sync::mpsc::{self, SyncSender},
    thread,
    time::Duration,
};

/// The writing end of the queue.
#[derive(Clone)]
pub struct Log(SyncSender<Entry>);

enum Entry {
    /// Confirms that everything before it was written.
    Mark(SyncSender<()>),
    Line(Vec<u8>),
}

impl Log {
    /// Starts a thread that writes to stderr as fast as that is read.
    pub fn to_stderr() -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(MAX_QUEUED);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            for entry in receiver {
                match entry {
                    Entry::Mark(reached) => drop(reached.try_send(())),
                    Entry::Line(line) => drop(io::stderr().write_all(&line)), // a closed stderr is no error
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Waits a moment until the lines are written, before the process ends.
    pub fn flush(&self) {
        let (reached, waits) = mpsc::sync_channel(1);
        if self.0.try_send(Entry::Mark(reached)).is_ok() {
            let _ = waits.recv_timeout(TIMEOUT);
        }
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.try_send(Entry::Line(line.to_owned()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In lines.
const MAX_QUEUED: usize = 1_000;

const TIMEOUT: Duration = Duration::from_secs(1);
