//! Project lifetimes: whole minutes, hours or days, such as `30m`, `8h` or `7d`.

use std::fmt;

use crate::channel::Channel;
use crate::diagnostic::{Diagnostic, Exit};

/// A lifetime in seconds, from one minute to 365 days.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Lifetime(u32);

impl Lifetime {
    /// Parses a number with the unit `m`, `h` or `d`.
    pub fn parse(text: &str) -> Result<Self, LifetimeError> {
        let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(LifetimeError)?;
        let seconds = match unit {
            "m" => MINUTE,
            "h" => 60 * MINUTE,
            "d" => DAY,
            _ => return Err(LifetimeError),
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = digits.parse().ok().filter(|_| is_number).ok_or(LifetimeError)?;
        let length = number.checked_mul(seconds).filter(|length| (MINUTE..=LONGEST).contains(length));
        length.map(Self).ok_or(LifetimeError)
    }

    pub fn milliseconds(self) -> i64 {
        i64::from(self.0) * 1000
    }
}

/// Uses the largest unit that divides it.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds.is_multiple_of(DAY) => write!(f, "{}d", seconds / DAY),
            seconds if seconds.is_multiple_of(60 * MINUTE) => write!(f, "{}h", seconds / (60 * MINUTE)),
            seconds => write!(f, "{}m", seconds / MINUTE),
        }
    }
}

/// The text is not a lifetime. The text is not quoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a duration is a whole number of minutes, hours or days from 1m to 365d")]
pub struct LifetimeError;

impl Diagnostic for LifetimeError {
    fn code(&self) -> &'static str {
        "invalid_duration"
    }

    fn hint(&self, _: Channel) -> String {
        "write 30m, 8h or 7d".to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Seconds, as the constants below.
const MINUTE: u32 = 60;
const DAY: u32 = 24 * 60 * MINUTE;
const LONGEST: u32 = 365 * DAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_parse_and_other_texts_are_refused() {
        for (text, milliseconds, shown) in [
            ("1m", 60_000, "1m"),
            ("30m", 1_800_000, "30m"),
            ("90m", 5_400_000, "90m"),
            ("8h", 28_800_000, "8h"),
            ("24h", 86_400_000, "1d"),
            ("365d", 31_536_000_000, "365d"),
        ] {
            let lifetime = Lifetime::parse(text).unwrap();
            assert_eq!((lifetime.milliseconds(), lifetime.to_string().as_str()), (milliseconds, shown), "{text}");
        }
        for text in [
            "",
            "m",
            "8",
            "0m",
            "-1h",
            "+1h",
            "1.5h",
            "366d",
            "99999999999d",
            "8 h",
            "8H",
            "1w",
            "é",
            "1é",
            "sk_live_1h",
        ] {
            assert_eq!(Lifetime::parse(text), Err(LifetimeError), "{text}");
        }
    }
}
