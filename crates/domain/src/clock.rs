//! The clock, passed in so that tests can control it.

use std::sync::Arc;

pub use jiff::{SignedDuration, Timestamp};
use jiff::{Span, SpanRelativeTo, civil::Date, tz::TimeZone};

/// A source of the current time; [`Clock::system`] is the operating system's.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn system() -> Self {
        Self::new(|| {
            let now = Timestamp::now();
            // The ledger stores milliseconds; truncating here keeps times equal before and after storage.
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

/// Parses a time (`2026-11-21T09:30:00Z`), a UTC date (`2026-11-21`) or a duration before `now` (`30m`, `8h`, `7d`).
pub fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    if let Ok(day) = text.parse::<Date>() {
        return Some(day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp());
    }
    let ago = text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    if ago.is_negative() { None } else { now.checked_sub(ago).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_parses_times_dates_and_durations() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-20T09:30:00Z", "2026-11-20T09:30:00Z"),
            ("2026-11-20T09:30:00+02:00", "2026-11-20T07:30:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("90s", "2026-11-21T11:58:30Z"),
            ("30m", "2026-11-21T11:30:00Z"),
            ("8h", "2026-11-21T04:00:00Z"),
            ("7d", "2026-11-14T12:00:00Z"),
            ("1d 2h", "2026-11-20T10:00:00Z"),
        ] {
            assert_eq!(moment(text, now), Some(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "yesterday", "7", "-7d", "1mo", "2026-13-01", "9999999999h", "sk_live_0123456789abcdef"] {
            assert_eq!(moment(text, now), None, "{text}");
        }
    }
}
