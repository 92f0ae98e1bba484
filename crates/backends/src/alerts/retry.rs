//! How long delivery of an alert is retried.

use std::time::Duration;

use crate::net::Backoff;

/// The pause after that many attempts; `jitter` shortens it by up to a half.
pub fn pause(attempts: u32, jitter: u8) -> Duration {
    BACKOFF.pause(attempts, jitter)
}

/// From the first attempt on. Then the alert is given up.
pub const RETRY_WINDOW: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// How long a process owns an alert that it sends. Longer than an attempt can take.
pub const CLAIM_DURATION: Duration = Duration::from_secs(60);

const BACKOFF: Backoff = Backoff { first: Duration::from_secs(10), longest: Duration::from_secs(4 * 60 * 60) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_window_holds_about_thirty_attempts() {
        let (mut waited, mut attempts) = (Duration::ZERO, 0);
        while waited < RETRY_WINDOW {
            attempts += 1;
            waited += pause(attempts, 128);
        }
        assert!((20..50).contains(&attempts), "{attempts}");
    }
}
