//! Whether somebody waits for the backend right now, and since when: what a door shows to a person who waits too.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A handle that may be asked from any thread.
#[derive(Clone, Debug)]
pub struct Waiting {
    backend: &'static str,
    /// How many calls wait, and when the first of them began to.
    calls: Arc<Mutex<(usize, Instant)>>,
}

impl Waiting {
    pub(super) fn new(backend: &'static str) -> Self {
        Self { backend, calls: Arc::new(Mutex::new((0, Instant::now()))) }
    }

    /// The name of the backend that is waited for.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// How long it has been waited for. `None`: nobody waits.
    pub fn so_far(&self) -> Option<Duration> {
        let calls = self.calls();
        (calls.0 > 0).then(|| calls.1.elapsed())
    }

    /// Counts a call that waits until the guard is dropped.
    pub(super) fn begin(&self) -> Waits<'_> {
        let mut calls = self.calls();
        if calls.0 == 0 {
            calls.1 = Instant::now();
        }
        calls.0 += 1;
        Waits(self)
    }

    fn calls(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits.
pub(super) struct Waits<'a>(&'a Waiting);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.calls().0 -= 1;
    }
}
