//! Supervises a command while a thread does it: shows what it waits for, and handles Ctrl-C.
//!
//! Until an operation has begun, Ctrl-C ends the program. From then on money may be spent, so the first Ctrl-C prints a
//! line and the work goes on; the second ends the waiting, and the next call finishes from the journal. An operation
//! begins with its first audit row.

use std::{
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use files::scan::Stop;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::render::{self, Output};
use crate::{
    error::Error,
    provisioner::{BackendWait, Phase, PhaseHook},
};

/// The state of one command while it runs.
pub struct Supervisor {
    gate: StartGate,
    waiting: BackendWait,
    /// Ends a command that has no end of its own.
    stop: Option<Stop>,
    interrupts: Interrupts,
    output: Output,
}

/// The gate that an operation passes before its first intent is recorded.
#[derive(Clone, Default)]
struct StartGate(Arc<Mutex<GateState>>);

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum GateState {
    /// An operation has begun, and its outcome matters.
    Begun,
    /// The user cancelled before anything began.
    Closed,
    #[default]
    Open,
}

impl Supervisor {
    /// Listens for Ctrl-C from now on, so that none is missed.
    pub fn new(waiting: BackendWait, stop: Option<Stop>, output: Output) -> Self {
        Self { gate: StartGate::default(), waiting, stop, interrupts: Interrupts::listen(), output }
    }

    /// Returns the hook that passes the gate.
    pub fn watch(&self) -> PhaseHook {
        let gate = self.gate.clone();
        Arc::new(move |phase| {
            if phase == Phase::Checked {
                gate.pass();
            }
        })
    }

    /// Waits for the work, unless the user stops waiting, and returns the exit code.
    pub async fn stay(mut self, mut work: JoinHandle<ExitCode>) -> ExitCode {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut notified = false;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done.unwrap_or(ExitCode::FAILURE),
                () = self.interrupts.next() => {
                    let at_work = self.waiting.elapsed().is_some();
                    if let Some(stop) = self.stop.as_ref().filter(|stop| !stop.is_requested()) {
                        stop.request(); // it ends by itself, with an exit code of its own
                        notified = at_work;
                        if at_work {
                            render::finishing();
                        }
                        continue;
                    }
                    if self.gate.close() {
                        render::called_off();
                        return ExitCode::from(INTERRUPTED);
                    }
                    if notified {
                        return render::show_error(&Error::StoppedWaiting, self.output);
                    }
                    notified = true;
                    render::finishing();
                }
                _ = ticks.tick() => render::progress(|| self.words()),
            }
        }
    }

    /// Returns the progress line of a wait that is long enough to notice.
    fn words(&self) -> Option<String> {
        let elapsed = self.waiting.elapsed().filter(|elapsed| *elapsed >= NOTICEABLE)?;
        let words = format!("waiting for {} …", self.waiting.backend());
        Some(match elapsed.as_secs() {
            0 => words,
            seconds => format!("{words} {seconds} s"),
        })
    }
}

impl StartGate {
    /// Lets an operation begin. A closed gate blocks forever: the process is about to exit.
    fn pass(&self) {
        let mut passage = self.passage();
        if *passage == GateState::Closed {
            drop(passage);
            loop {
                thread::park();
            }
        }
        *passage = GateState::Begun;
    }

    /// Closes the gate if no operation has begun. Returns whether it is closed.
    fn close(&self) -> bool {
        let mut passage = self.passage();
        if *passage == GateState::Open {
            *passage = GateState::Closed;
        }
        *passage == GateState::Closed
    }

    fn passage(&self) -> MutexGuard<'_, GateState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ctrl-C and termination signals.
#[cfg(unix)]
struct Interrupts(Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>);

#[cfg(unix)]
impl Interrupts {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        // Without handlers the default action ends the process, and the journal has what it was doing.
        Self(signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok()))
    }

    async fn next(&mut self) {
        let Some((interrupt, terminate)) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Interrupts;

#[cfg(not(unix))]
impl Interrupts {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// How often the progress line is updated.
const TICK: Duration = Duration::from_millis(100);

/// A shorter wait shows no progress line.
const NOTICEABLE: Duration = Duration::from_millis(300);

/// 128 and the number of SIGINT, as in shells.
const INTERRUPTED: u8 = 130;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_that_has_begun_cannot_be_cancelled() {
        let gate = StartGate::default();
        gate.pass();
        assert!(!gate.close());
        gate.pass();
    }

    #[test]
    fn cancelled_operation_never_begins() {
        let gate = StartGate::default();
        assert!(gate.close() && gate.close());
        let (sender, receiver) = std::sync::mpsc::channel();
        let operation = gate.clone();
        thread::spawn(move || {
            operation.pass();
            sender.send(()).unwrap();
        });
        receiver.recv_timeout(Duration::from_millis(50)).unwrap_err();
    }
}
