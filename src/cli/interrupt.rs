//! Stays with a command while a thread does it: shows what it waits for, and answers Ctrl-C.
//!
//! Until an operation has begun, Ctrl-C ends the program as it ends any other. From then on money may be spent, so the
//! first one is answered and the work goes on; the second ends the waiting, and the next call finishes from the journal.
//! No command says by itself that it begins: the first row of the audit that is about to be written says so for it.

use std::{
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::render::{self, Output};
use crate::{
    error::Error,
    provisioner::{BackendWait, Phase, PhaseHook},
    scan::Stop,
};

/// What there is to know of one command while it is done.
pub struct Supervisor {
    gate: StartGate,
    waiting: BackendWait,
    /// How to end a command that goes on until somebody says so.
    stop: Option<Stop>,
    interrupts: Interrupts,
    output: Output,
}

/// What an operation passes before it writes down its first intent.
#[derive(Clone, Default)]
struct StartGate(Arc<Mutex<GateState>>);

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum GateState {
    /// Something was begun, and what comes of it matters.
    Begun,
    /// The person has called it off before anything was begun.
    Closed,
    #[default]
    Open,
}

impl Supervisor {
    /// Listens for Ctrl-C from now on, so that none is missed once the work has said that it has begun.
    pub fn new(waiting: BackendWait, stop: Option<Stop>, output: Output) -> Self {
        Self { gate: StartGate::default(), waiting, stop, interrupts: Interrupts::listen(), output }
    }

    /// For the provisioner to be watched by.
    pub fn watch(&self) -> PhaseHook {
        let gate = self.gate.clone();
        Arc::new(move |phase| {
            if phase == Phase::Checked {
                gate.pass();
            }
        })
    }

    /// Returns with the exit code of the work, or of not waiting for it.
    pub async fn stay(mut self, mut work: JoinHandle<ExitCode>) -> ExitCode {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done.unwrap_or(ExitCode::FAILURE),
                () = self.interrupts.next() => {
                    let at_work = self.waiting.elapsed().is_some();
                    if let Some(stop) = self.stop.as_ref().filter(|stop| !stop.is_requested()) {
                        stop.request(); // it ends by itself, with an exit code of its own
                        told = at_work;
                        if at_work {
                            render::finishing();
                        }
                        continue;
                    }
                    if self.gate.close() {
                        render::called_off();
                        return ExitCode::from(INTERRUPTED);
                    }
                    if told {
                        return render::show_error(&Error::StoppedWaiting, self.output);
                    }
                    told = true;
                    render::finishing();
                }
                _ = ticks.tick() => render::progress(|| self.words()),
            }
        }
    }

    /// What is worth a line: a wait that a person has begun to notice.
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
    /// Lets an operation begin. Once the gate is closed nobody comes through: the process is on its way out.
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

    /// Lets nothing begin any more, if nothing has.
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

/// Ctrl-C and requests to end, however many.
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

/// How often the line of progress is looked after.
const TICK: Duration = Duration::from_millis(100);

/// How long a wait goes unmentioned.
const NOTICEABLE: Duration = Duration::from_millis(300);

/// As shells count: 128, and the number of SIGINT.
const INTERRUPTED: u8 = 130;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_begun_cannot_be_called_off() {
        let gate = StartGate::default();
        gate.pass();
        assert!(!gate.close());
        gate.pass();
    }

    #[test]
    fn what_is_called_off_never_begins() {
        let gate = StartGate::default();
        assert!(gate.close() && gate.close());
        let (told, hears) = std::sync::mpsc::channel();
        let operation = gate.clone();
        thread::spawn(move || {
            operation.pass();
            told.send(()).unwrap();
        });
        hears.recv_timeout(Duration::from_millis(50)).unwrap_err();
    }
}
