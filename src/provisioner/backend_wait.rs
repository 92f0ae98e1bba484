//! Shows whether calls wait for the backend, and since when, so that a transport can tell the user.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A handle that any thread may query.
#[derive(Clone, Debug)]
pub struct BackendWait {
    backend: &'static str,
    /// How many calls wait, and when the first of them began to.
    calls: Arc<Mutex<(usize, Instant)>>,
}

impl BackendWait {
    pub(super) fn new(backend: &'static str) -> Self {
        Self { backend, calls: Arc::new(Mutex::new((0, Instant::now()))) }
    }

    /// The name of the backend that is waited for.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// How long the oldest call has waited. `None`: no call waits.
    pub fn elapsed(&self) -> Option<Duration> {
        let calls = self.calls();
        (calls.0 > 0).then(|| calls.1.elapsed())
    }

    /// Counts a call that waits until the guard is dropped.
    pub(super) fn begin(&self) -> BackendWaitGuard<'_> {
        let mut calls = self.calls();
        if calls.0 == 0 {
            calls.1 = Instant::now();
        }
        calls.0 += 1;
        BackendWaitGuard(self)
    }

    fn calls(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits.
pub(super) struct BackendWaitGuard<'a>(&'a BackendWait);

impl Drop for BackendWaitGuard<'_> {
    fn drop(&mut self) {
        self.0.calls().0 -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A_WHILE: Duration = Duration::from_secs(30);

    #[test]
    fn wait_lasts_from_first_call_to_end_of_last() {
        let waiting = BackendWait::new("stripe-cli");
        assert_eq!((waiting.backend(), waiting.elapsed()), ("stripe-cli", None));
        let first = waiting.begin();
        let second = waiting.begin();
        drop(first);
        assert!(waiting.elapsed().is_some());
        drop(second);
        assert_eq!(waiting.elapsed(), None);
    }

    #[test]
    fn elapsed_is_that_of_the_oldest_call() {
        let waiting = BackendWait::new("stripe-cli");
        waiting.calls().1 = Instant::now().checked_sub(A_WHILE).unwrap();
        let _first = waiting.begin();
        assert!(waiting.elapsed().unwrap() < A_WHILE, "it began just now");
        waiting.calls().1 = Instant::now().checked_sub(A_WHILE).unwrap();
        let _second = waiting.begin();
        assert!(waiting.elapsed().unwrap() >= A_WHILE, "another call does not begin it anew");
    }
}
