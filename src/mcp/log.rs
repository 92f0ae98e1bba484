//! A way to stderr that never waits: a host that does not read what a server says must not be able to stop its work.
//!
//! Lines go through a queue to a thread of their own. When the pipe is full and then the queue, further lines are lost,
//! which is better than a server that stands still with a project half provisioned.

use std::{
    io::{self, Write},
    sync::mpsc::{self, SyncSender},
    thread,
    time::Duration,
};

/// The end of the queue into which lines are written.
#[derive(Clone)]
pub struct Log(SyncSender<Entry>);

enum Entry {
    /// Everything before it has been written.
    Mark(SyncSender<()>),
    Line(Vec<u8>),
}

impl Log {
    /// Begins a thread that writes to stderr as fast as that is read.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub fn to_stderr() -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(LONGEST_QUEUE);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            for entry in receiver {
                match entry {
                    Entry::Mark(reached) => drop(reached.try_send(())),
                    Entry::Line(line) => drop(io::stderr().write_all(&line)), // whoever has left hears nothing
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Waits a moment for what was said to be read, before the process ends.
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
const LONGEST_QUEUE: usize = 1_000;

const TIMEOUT: Duration = Duration::from_secs(1);
