//! Pauses between attempts: exponential, bounded and jittered.

use std::time::Duration;

/// Pauses that double with each attempt, up to a limit.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first attempt.
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// The pause after that many attempts.
    ///
    /// `jitter` shortens it by up to a half, so that clients that failed together do not retry together.
    pub fn pause(self, attempts: u32, jitter: u8) -> Duration {
        let doublings = attempts.saturating_sub(1).min(30);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        pause.saturating_sub((pause / 2).saturating_mul(jitter.into()) / u32::from(u8::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_up_to_the_limit_and_jitter_halves_it_at_most() {
        let backoff = Backoff { first: Duration::from_secs(10), longest: Duration::from_secs(14_400) };
        for (attempts, seconds) in [(0, 10), (1, 10), (2, 20), (3, 40), (11, 10_240), (12, 14_400), (u32::MAX, 14_400)]
        {
            let longest = Duration::from_secs(seconds);
            assert_eq!(backoff.pause(attempts, 0), longest, "{attempts}");
            assert_eq!(backoff.pause(attempts, u8::MAX), longest / 2, "{attempts}");
            for jitter in 0..=u8::MAX {
                assert!((longest / 2..=longest).contains(&backoff.pause(attempts, jitter)), "{attempts} {jitter}");
            }
        }
    }

    #[test]
    fn pause_of_any_length_does_not_overflow() {
        let endless = Backoff { first: Duration::MAX, longest: Duration::MAX };
        assert!(endless.pause(u32::MAX, u8::MAX) > Duration::ZERO);
    }
}
