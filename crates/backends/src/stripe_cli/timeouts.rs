//! Time limits of calls to the Stripe CLI.

use std::time::Duration;

/// Time limits of calls to the Stripe CLI.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For one run of `stripe`.
    pub verb: Duration,
    /// Between two polls of a pending service.
    pub poll_pause: Duration,
    /// For a pending service.
    pub poll_timeout: Duration,
    /// For another call to finish.
    pub lock_timeout: Duration,
    /// How long a kill waits for the call in flight before it ends it.
    pub kill_timeout: Duration,
    /// How long Stripe may still process an `add` that was interrupted.
    pub interrupted_add: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            verb: Duration::from_secs(90),
            poll_pause: Duration::from_secs(1),
            poll_timeout: Duration::from_secs(90),
            lock_timeout: Duration::from_secs(100),
            kill_timeout: Duration::from_secs(10),
            interrupted_add: Duration::from_secs(15 * 60),
        }
    }
}
