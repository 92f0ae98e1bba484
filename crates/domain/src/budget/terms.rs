//! The terms of a grant, as far as a budget counts them.

use std::fmt;

use jiff::{Timestamp, civil::Date};

use super::month::{Month, day};
use crate::money::{Cents, MicroUsd};

/// The period for which a cap counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CapPeriod {
    /// Each UTC day anew.
    Day,
    /// Each calendar month (UTC) anew.
    Month,
    /// Once, over the project's whole life.
    #[default]
    Total,
}

impl CapPeriod {
    pub const ALL: [Self; 3] = [Self::Day, Self::Month, Self::Total];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == text)
    }

    /// Returns the part of a known usage that counts against later months, too.
    pub fn used_before(self, usage: Option<MicroUsd>) -> MicroUsd {
        match self {
            Self::Month => MicroUsd::ZERO,
            Self::Day | Self::Total => usage.unwrap_or_default(),
        }
    }

    /// Returns a cap of this period in words: `15 USD every month until torn down`.
    pub fn describe(self, cap: Cents) -> String {
        match self {
            Self::Day => format!("{cap} USD every day until torn down"),
            Self::Month => format!("{cap} USD every month until torn down"),
            Self::Total => format!("{cap} USD in total"),
        }
    }
}

impl fmt::Display for CapPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The terms of a grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    pub cap: Cents,
    pub period: CapPeriod,
    pub granted_at: Timestamp,
    /// When it is torn down by itself; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// The usage that was known when the month in question began. Zero for a cap of a month.
    pub used_before: MicroUsd,
}

impl Terms {
    /// Returns what the grant commits to a month in which it is live, as seen at `now`.
    ///
    /// A month's cap commits itself, a day's cap the UTC days on which it can live in that month, and a total cap what
    /// is left of it.
    pub fn commitment(&self, month: Month, now: Timestamp) -> Cents {
        match self.period {
            CapPeriod::Day => self.for_days(self.days(month, now)),
            CapPeriod::Month => self.cap,
            CapPeriod::Total => self.left(),
        }
    }

    /// Returns the most that the grant commits to any one month after `month`.
    pub fn coming(&self, month: Month, now: Timestamp) -> Cents {
        let end = self.expires_at.map(|expires_at| Month::of(expires_at.max(now)));
        if end.is_some_and(|end| end <= month) {
            return Cents::ZERO;
        }
        match self.period {
            CapPeriod::Day => self.for_days(self.most_days_after(month, end, now)),
            CapPeriod::Month => self.cap,
            CapPeriod::Total => self.left(),
        }
    }

    /// Returns what stays committed to a month when the project has ended: what may have been spent.
    ///
    /// `usage` is what its backend has reported for the cap's period; `None` where that is unknown. Nothing is released
    /// then, except the days of a daily cap that had not begun.
    pub fn after_end(&self, committed: Cents, month: Month, now: Timestamp, usage: Option<MicroUsd>) -> Cents {
        let used = usage.map(|usage| usage.saturating_sub(self.used_before).ceil_cents());
        let begun = match self.period {
            CapPeriod::Day => {
                let (from, to) = (self.first_day(month, now), day(now).min(month.last()));
                Some(self.for_days(days_between(from, to)))
            }
            CapPeriod::Month | CapPeriod::Total => None,
        };
        [used, begun].into_iter().flatten().fold(committed, Ord::min)
    }

    fn left(&self) -> Cents {
        self.cap.micro_usd().saturating_sub(self.used_before).ceil_cents()
    }

    fn for_days(&self, days: u64) -> Cents {
        Cents::sum_of(self.cap.cents().saturating_mul(days))
    }

    fn days(&self, month: Month, now: Timestamp) -> u64 {
        // An expired project lives until a process tears it down.
        let end = self.expires_at.map_or(month.last(), |expires_at| day(expires_at.max(now)));
        days_between(self.first_day(month, now), end.min(month.last()))
    }

    /// A clock that was ahead may have dated the grant after the month.
    fn first_day(&self, month: Month, now: Timestamp) -> Date {
        day(self.granted_at).min(day(now)).max(month.first())
    }

    fn most_days_after(&self, month: Month, end: Option<Month>, now: Timestamp) -> u64 {
        let mut most = 0;
        let mut next = month.next();
        // Of any two months in a row, one has 31 days.
        for _ in 0..LONGEST_SEARCH {
            most = most.max(self.days(next, now));
            if most == LONGEST_MONTH || end.is_some_and(|end| next >= end) {
                break;
            }
            next = next.next();
        }
        most
    }
}

fn days_between(from: Date, to: Date) -> u64 {
    let days = from.until(to).map_or(0, |span| i64::from(span.get_days()));
    u64::try_from(days.saturating_add(1)).unwrap_or_default()
}

/// In months.
const LONGEST_SEARCH: usize = 3;

/// In days.
const LONGEST_MONTH: u64 = 31;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn usd(dollars: u64) -> Cents {
        Cents::sum_of(dollars * 100)
    }

    fn terms(period: CapPeriod, granted_at: &str, expires_at: Option<&str>) -> Terms {
        Terms {
            cap: usd(10),
            period,
            granted_at: at(granted_at),
            expires_at: expires_at.map(at),
            used_before: MicroUsd::ZERO,
        }
    }

    #[test]
    fn daily_cap_commits_the_days_that_it_can_live() {
        let november = Month::parse("2026-11").unwrap();
        for (granted, expires, this_month, coming) in [
            ("2026-11-01T00:00:00Z", None, 300, 310),
            ("2026-11-30T23:59:59Z", None, 10, 310),
            ("2026-11-28T10:00:00Z", Some("2026-11-28T18:00:00Z"), 10, 0),
            ("2026-11-28T20:00:00Z", Some("2026-11-29T04:00:00Z"), 20, 0),
            ("2026-11-28T10:00:00Z", Some("2026-12-05T10:00:00Z"), 30, 50),
            ("2026-11-28T10:00:00Z", Some("2027-02-05T10:00:00Z"), 30, 310),
        ] {
            let terms = terms(CapPeriod::Day, granted, expires);
            assert_eq!(terms.commitment(november, at(granted)), usd(this_month), "{granted} {expires:?}");
            assert_eq!(terms.coming(november, at(granted)), usd(coming), "{granted} {expires:?}");
        }
    }

    #[test]
    fn expired_project_that_lives_on_commits_its_days() {
        let terms = terms(CapPeriod::Day, "2026-11-01T00:00:00Z", Some("2026-11-02T00:00:00Z"));
        let november = Month::parse("2026-11").unwrap();
        assert_eq!(terms.commitment(november, at("2026-11-01T00:00:00Z")), usd(20));
        assert_eq!(terms.commitment(november, at("2026-11-09T00:00:00Z")), usd(90));
        assert_eq!(terms.commitment(november.next(), at("2026-12-03T00:00:00Z")), usd(30));
    }

    #[test]
    fn grant_dated_after_the_month_commits_to_it() {
        let november = Month::parse("2026-11").unwrap();
        for (period, committed) in [(CapPeriod::Day, 30), (CapPeriod::Month, 10), (CapPeriod::Total, 10)] {
            let terms = terms(period, "2026-12-20T00:00:00Z", None);
            assert_eq!(terms.commitment(november, at("2026-11-28T00:00:00Z")), usd(committed), "{period}");
        }
    }

    #[test]
    fn total_cap_commits_what_is_left() {
        let terms =
            Terms { used_before: MicroUsd::new(3_000_001), ..terms(CapPeriod::Total, "2026-11-01T00:00:00Z", None) };
        let december = Month::parse("2026-12").unwrap();
        assert_eq!(terms.commitment(december, at("2026-12-01T00:00:00Z")), Cents::sum_of(700));
    }

    #[test]
    fn end_releases_what_was_certainly_not_used() {
        let (november, now) = (Month::parse("2026-11").unwrap(), at("2026-11-10T12:00:00Z"));
        let spent = |cents: u64| Some(MicroUsd::new(cents * 10_000));
        let monthly = terms(CapPeriod::Month, "2026-11-09T00:00:00Z", None);
        assert_eq!(monthly.after_end(usd(10), november, now, None), usd(10));
        assert_eq!(monthly.after_end(usd(10), november, now, spent(250)), Cents::sum_of(250));
        assert_eq!(monthly.after_end(usd(10), november, now, Some(MicroUsd::new(1))), Cents::sum_of(1));
        assert_eq!(monthly.after_end(usd(10), november, now, spent(5_000)), usd(10));
        let daily = terms(CapPeriod::Day, "2026-11-09T00:00:00Z", None);
        assert_eq!(daily.after_end(usd(220), november, now, None), usd(20));
        let total =
            Terms { used_before: MicroUsd::new(4_000_000), ..terms(CapPeriod::Total, "2026-10-09T00:00:00Z", None) };
        assert_eq!(total.after_end(usd(6), november, now, spent(700)), usd(3));
    }

    fn any_terms() -> impl Strategy<Value = Terms> {
        let day = 86_400_000_i64;
        let period = prop_oneof![Just(CapPeriod::Day), Just(CapPeriod::Month), Just(CapPeriod::Total)];
        let lifetime = prop::option::of(60_000..400 * day);
        (1_u64..50_000, period, 0..800 * day, lifetime, 0_u64..60_000).prop_map(
            |(cap, period, from, lifetime, used)| {
                let granted_at = Timestamp::from_millisecond(1_700_000_000_000 + from).unwrap();
                let expires_at = lifetime
                    .map(|lifetime| Timestamp::from_millisecond(granted_at.as_millisecond() + lifetime).unwrap());
                let used_before =
                    if period == CapPeriod::Total { MicroUsd::new(used * 10_000) } else { MicroUsd::ZERO };
                Terms { cap: Cents::sum_of(cap), period, granted_at, expires_at, used_before }
            },
        )
    }

    proptest! {
        /// What was checked when a project was granted covers every later month of its life.
        #[test]
        fn coming_covers_each_later_month(terms in any_terms(), months in 1_usize..15) {
            let (granted_at, mut month) = (terms.granted_at, Month::of(terms.granted_at));
            let coming = terms.coming(month, granted_at);
            for _ in 0..months {
                month = month.next();
                let begin = month.first().to_zoned_datetime(jiff::tz::TimeZone::UTC).unwrap().timestamp();
                if terms.expires_at.is_none_or(|end| end >= begin) {
                    prop_assert!(terms.commitment(month, begin) <= coming, "{month}");
                }
            }
        }

        /// A day's cap commits no day twice and leaves none out: over its life it is the cap times the days.
        #[test]
        fn daily_commitments_cover_the_life(terms in any_terms(), lived in 1_i64..200) {
            let terms = Terms { period: CapPeriod::Day, used_before: MicroUsd::ZERO, expires_at: None, ..terms };
            let end = Timestamp::from_millisecond(terms.granted_at.as_millisecond() + lived * 86_400_000).unwrap();
            let (mut month, mut sum) = (Month::of(terms.granted_at), 0);
            while month < Month::of(end) {
                sum += terms.commitment(month, terms.granted_at).cents();
                month = month.next();
            }
            sum += terms.after_end(terms.commitment(month, end), month, end, None).cents();
            prop_assert_eq!(sum, terms.cap.cents() * (u64::try_from(lived).unwrap() + 1));
        }

        /// The end of a project never raises a commitment, and never releases usage.
        #[test]
        fn end_keeps_usage_and_raises_nothing(
            terms in any_terms(), committed in 0_u64..2_000_000, usage in prop::option::of(0_u64..90_000_000_000)
        ) {
            let (month, now) = (Month::of(terms.granted_at), terms.granted_at);
            let committed = Cents::sum_of(committed);
            let left = terms.after_end(committed, month, now, usage.map(MicroUsd::new));
            prop_assert!(left <= committed);
            if let (Some(usage), CapPeriod::Month | CapPeriod::Total) = (usage, terms.period) {
                let used = MicroUsd::new(usage).saturating_sub(terms.used_before);
                prop_assert!(left == committed || left.micro_usd() >= used);
            }
        }
    }
}
