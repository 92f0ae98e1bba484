//! Time limits and retries of requests to Stripe's API.

use std::time::Duration;

use domain::project::fill_random;

use crate::net::Backoff;

/// Time limits and retries. Every wait is bounded.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    pub connect_timeout: Duration,
    /// For one attempt of one request, from the first byte to the last.
    pub request_timeout: Duration,
    /// Before the second attempt; it doubles with each further one.
    pub first_pause: Duration,
    /// Before any attempt, also if Stripe asks for more.
    pub longest_pause: Duration,
    pub max_retries: u32,
    /// Between two polls of a pending resource.
    pub poll_pause: Duration,
    /// For a pending resource.
    pub poll_timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(15),
            max_retries: 4,
            poll_pause: Duration::from_secs(1),
            poll_timeout: Duration::from_secs(90),
        }
    }
}

impl RetryPolicy {
    /// The pause after that many attempts. Not shorter than `retry_after`, up to the longest pause.
    pub(super) fn pause(&self, attempts: u32, retry_after: Option<Duration>) -> Duration {
        let backoff = Backoff { first: self.first_pause, longest: self.longest_pause };
        backoff.pause(attempts, jitter()).max(retry_after.unwrap_or_default()).min(self.longest_pause)
    }
}

/// Without randomness there is no jitter.
fn jitter() -> u8 {
    let mut byte = [0];
    let _ = fill_random(&mut byte);
    let [byte] = byte;
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_within_bounds_and_honours_retry_after() {
        let retry_policy = RetryPolicy::default();
        for (attempts, least, most) in [(1, 250, 500), (2, 500, 1000), (3, 1000, 2000), (99, 7500, 15000)] {
            let pause = retry_policy.pause(attempts, None).as_millis();
            assert!((least..=most).contains(&pause), "{attempts}: {pause}");
        }
        assert_eq!(retry_policy.pause(1, Some(Duration::from_secs(3))), Duration::from_secs(3));
        assert_eq!(retry_policy.pause(1, Some(Duration::from_secs(9000))), Duration::from_secs(15));
    }
}
