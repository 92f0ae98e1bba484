//! A calendar month in UTC.

use std::fmt;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// A calendar month in UTC, such as `2026-11`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Month {
    first: Date,
}

impl Month {
    /// Returns the month of a time.
    pub fn of(at: Timestamp) -> Self {
        Self { first: day(at).first_of_month() }
    }

    /// Parses `2026-11`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let first = format!("{text}-01").parse::<Date>().ok().filter(|_| is_plain)?;
        Some(Self { first })
    }

    /// Returns the month after this one; the calendar's last month follows itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self { first: self.last().tomorrow().unwrap_or(self.first) }
    }

    pub(super) fn first(self) -> Date {
        self.first
    }

    pub(super) fn last(self) -> Date {
        self.first.last_of_month()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

/// Returns the UTC day of a time.
pub(super) fn day(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn month_begins_and_ends_in_utc() {
        let month = |time: &str| Month::of(time.parse().unwrap()).to_string();
        assert_eq!(month("2026-11-30T23:59:59.999Z"), "2026-11");
        assert_eq!(month("2026-12-01T00:00:00Z"), "2026-12");
        assert_eq!(month("2026-12-01T01:00:00+02:00"), "2026-11");
        assert_eq!(Month::parse("2026-12").unwrap().next(), Month::parse("2027-01").unwrap());
    }

    #[test]
    fn months_parse_back_and_order_as_text() {
        let months: Vec<Month> = ["2026-02", "2026-10", "2027-01"].map(|text| Month::parse(text).unwrap()).to_vec();
        assert!(months.is_sorted() && months.iter().map(ToString::to_string).is_sorted());
        for text in ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "+026-11", "sk_live_0123"] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
    }
}
