//! How patient we are with a receiver.

use std::time::Duration;

/// How long to wait after that many tries: twice as long each time, up to four hours. `jitter` takes off up to a half, so
/// that many senders do not come back all at once.
pub fn pause(attempts: u32, jitter: u8) -> Duration {
    let doublings = attempts.saturating_sub(1).min(30);
    let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    whole.saturating_sub(whole / 2 * u32::from(jitter) / u32::from(u8::MAX))
}

/// From the first try on; then it is given up.
pub const RETRY_WINDOW: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// How long an alert is ours once we began to send it: longer than a try can take.
pub const CLAIM_DURATION: Duration = Duration::from_secs(60);

const FIRST: Duration = Duration::from_secs(10);

const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_about_twice_as_long_up_to_a_limit() {
        for (attempts, seconds) in [(0, 10), (1, 10), (2, 20), (3, 40), (11, 10_240), (12, 14_400), (u32::MAX, 14_400)]
        {
            let longest = Duration::from_secs(seconds);
            assert_eq!(pause(attempts, 0), longest, "{attempts}");
            assert_eq!(pause(attempts, u8::MAX), longest / 2, "{attempts}");
            for jitter in 0..=u8::MAX {
                assert!((longest / 2..=longest).contains(&pause(attempts, jitter)), "{attempts} {jitter}");
            }
        }
    }

    /// Even if every try takes as long as it may.
    #[test]
    fn three_days_are_some_thirty_tries() {
        let (mut waited, mut attempts) = (Duration::ZERO, 0);
        while waited < RETRY_WINDOW {
            attempts += 1;
            waited += pause(attempts, 128);
        }
        assert!((20..50).contains(&attempts), "{attempts}");
    }
}
