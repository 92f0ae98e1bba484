//! The time, handed in, so that a test can hold it still.

use std::sync::Arc;

pub use jiff::{SignedDuration, Timestamp};
use jiff::{Span, SpanRelativeTo, civil::Date, tz::TimeZone};

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

/// A moment as people write one: a time (`2026-11-21T09:30:00Z`), a day in UTC (`2026-11-21`), or how long before
/// `now` (`30m`, `8h`, `7d`). `None` when it is none of these.
pub fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    if let Ok(day) = text.parse::<Date>() {
        return Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
    }
    let ago = text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    if ago.is_negative() { None } else { now.checked_sub(ago).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_a_day_or_so_long_ago() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, meant) in [
            ("2026-11-20T09:30:00Z", "2026-11-20T09:30:00Z"),
            ("2026-11-20T09:30:00+02:00", "2026-11-20T07:30:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("90s", "2026-11-21T11:58:30Z"),
            ("30m", "2026-11-21T11:30:00Z"),
            ("8h", "2026-11-21T04:00:00Z"),
            ("7d", "2026-11-14T12:00:00Z"),
            ("1d 2h", "2026-11-20T10:00:00Z"),
        ] {
            assert_eq!(moment(text, now), Some(meant.parse().unwrap()), "{text}");
        }
        for text in ["", "yesterday", "7", "-7d", "1mo", "2026-13-01", "9999999999h", "sk_live_0123456789abcdef"] {
            assert_eq!(moment(text, now), None, "{text}");
        }
    }
}
