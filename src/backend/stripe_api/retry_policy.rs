//! How long everything may take.

use std::time::Duration;

use crate::project::fill_random;

/// How long is waited for what. Nothing here waits without a bound.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    pub connect_timeout: Duration,
    /// For one try of one request, from the first byte to the last.
    pub request_timeout: Duration,
    /// Before the second try; it doubles with each further one.
    pub first_pause: Duration,
    /// Before any try, also when Stripe asks for more.
    pub longest_pause: Duration,
    /// How often a request is tried again.
    pub most_retries: u32,
    /// Between two looks at what is pending.
    pub poll_pause: Duration,
    /// For what is pending.
    pub poll_patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(15),
            most_retries: 4,
            poll_pause: Duration::from_secs(1),
            poll_patience: Duration::from_secs(90),
        }
    }
}

impl RetryPolicy {
    /// The pause before the next try, of which there were `tries`: doubled each time, then shortened by up to a half,
    /// so that those who were turned away together do not come back together. Never less than Stripe asked for.
    pub(super) fn pause(&self, tries: u32, asked_for: Option<Duration>) -> Duration {
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
        let pause = doubled.min(self.longest_pause);
        let shortened = pause.saturating_sub(pause.saturating_mul(random_byte().into()) / 512);
        shortened.max(asked_for.unwrap_or_default()).min(self.longest_pause)
    }
}

/// Without randomness the pauses are merely regular.
fn random_byte() -> u8 {
    let mut byte = [0];
    let _ = fill_random(&mut byte);
    let [byte] = byte;
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_bounds_and_are_never_shorter_than_asked_for() {
        let retry_policy = RetryPolicy::default();
        for (tries, least, most) in [(1, 250, 500), (2, 500, 1000), (3, 1000, 2000), (99, 7500, 15000)] {
            let pause = retry_policy.pause(tries, None).as_millis();
            assert!((least..=most).contains(&pause), "{tries}: {pause}");
        }
        assert_eq!(retry_policy.pause(1, Some(Duration::from_secs(3))), Duration::from_secs(3));
        assert_eq!(retry_policy.pause(1, Some(Duration::from_secs(9000))), Duration::from_secs(15));
    }
}
