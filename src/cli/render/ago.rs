//! Relative times for people.

use domain::clock::Timestamp;

/// `just now`, `5 min ago`, `3 h ago`, `12 d ago`. A future time is shown in full, because a clock is wrong.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second());
    match seconds {
        TO_COME..MINUTE => "just now".to_owned(),
        MINUTE.. => format!("{} ago", length(seconds)),
        ..TO_COME => then.to_string(),
    }
}

/// `now`, `in 5 min`, `in 3 h`, `in 12 d`.
pub fn ahead(then: Timestamp, now: Timestamp) -> String {
    match then.as_second().saturating_sub(now.as_second()) {
        ..MINUTE => "now".to_owned(),
        seconds => format!("in {}", length(seconds)),
    }
}

/// Returns the duration in days or hours from two of them on, else in minutes.
fn length(seconds: i64) -> String {
    match seconds {
        ..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..TWO_DAYS => format!("{} h", seconds / HOUR),
        TWO_DAYS.. => format!("{} d", seconds / (24 * HOUR)),
    }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const TWO_DAYS: i64 = 48 * HOUR;

/// Clocks of one machine differ by less.
const TO_COME: i64 = -MINUTE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_times_are_shown_in_the_largest_unit() {
        let now = Timestamp::from_second(10_000_000).unwrap();
        for (seconds, words) in [
            (-30, "just now"),
            (0, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3600, "1 h ago"),
            (3 * 3600 + 1800, "3 h ago"),
            (172_799, "47 h ago"),
            (172_800, "2 d ago"),
            (-60, "just now"),
            (-61, "1970-04-26T17:47:41Z"),
        ] {
            let then = Timestamp::from_second(10_000_000 - seconds).unwrap();
            assert_eq!(ago(then, now), words);
        }
    }

    #[test]
    fn future_times_are_shown_in_the_largest_unit() {
        let now = Timestamp::from_second(10_000_000).unwrap();
        for (seconds, words) in
            [(-5, "now"), (59, "now"), (60, "in 1 min"), (3600, "in 1 h"), (172_799, "in 47 h"), (172_800, "in 2 d")]
        {
            assert_eq!(ahead(Timestamp::from_second(10_000_000 + seconds).unwrap(), now), words);
        }
    }
}
