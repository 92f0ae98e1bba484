//! The time, handed in, so that a test can hold it still.

use std::sync::Arc;

pub use jiff::{SignedDuration, Timestamp};

/// Tells the time. [`Clock::system`] is the real one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn system() -> Self {
        Self::new(|| {
            let now = Timestamp::now();
            // The ledger keeps milliseconds, and a time reads the same before and after it was kept.
            Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
        })
    }

    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}
