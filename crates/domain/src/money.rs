//! Amounts of money: whole cents for caps, whole micro-USD for usage.
//!
//! Decimals are parsed digit by digit and never pass through a float. JSON output is the only use of floats, through
//! [`Cents::usd`] and [`MicroUsd::usd`].

use std::fmt;

use crate::channel::Channel;
use crate::diagnostic::{Diagnostic, Exit};

/// Whether money is real or simulated. The two are counted apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum MoneyClass {
    Real,
    Simulated,
}

impl MoneyClass {
    pub const ALL: [Self; 2] = [Self::Real, Self::Simulated];

    /// Returns the class of a backend's bills.
    pub fn of_backend(backend: &str) -> Self {
        if backend == "simulated" { Self::Simulated } else { Self::Real }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Simulated => "simulated",
        }
    }
}

/// A cap, in US cents. At most [`Cents::MAX`].
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cents(u64);

impl Cents {
    /// One million dollars: above any plausible cap, far below overflow.
    pub const MAX: Self = Self(100_000_000);
    pub const ZERO: Self = Self(0);

    /// Creates an amount; `None` above [`Cents::MAX`].
    pub fn new(cents: u64) -> Option<Self> {
        (cents <= Self::MAX.0).then_some(Self(cents))
    }

    /// Parses dollars: `15`, `15.5`, `15.50`.
    ///
    /// # Errors
    /// [`MoneyError`] for anything that is not a whole, non-negative number of cents within range.
    pub fn parse_usd(text: &str) -> Result<Self, MoneyError> {
        let cents = parse_decimal(text, 2)?;
        Self::new(cents).ok_or(MoneyError::TooLarge)
    }

    pub fn cents(self) -> u64 {
        self.0
    }

    /// Creates a sum of caps, which may exceed [`Cents::MAX`].
    pub const fn sum_of(cents: u64) -> Self {
        Self(cents)
    }

    /// Adds, saturating at `u64::MAX` cents.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Subtracts `other`, stopping at zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn micro_usd(self) -> MicroUsd {
        MicroUsd(self.0.saturating_mul(10_000))
    }

    /// Returns dollars for JSON output.
    #[expect(clippy::cast_precision_loss, reason = "an f64 holds every integer up to 2^53 exactly; a cap stays below")]
    #[expect(clippy::float_arithmetic, reason = "JSON has no other number for dollars")]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 100.0
    }
}

impl fmt::Display for Cents {
    /// Writes `25` or `25.50`, without sign or currency.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (dollars, 0) => write!(f, "{dollars}"),
            (dollars, cents) => write!(f, "{dollars}.{cents:02}"),
        }
    }
}

/// Usage in millionths of a US dollar, fine enough for a single token.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct MicroUsd(u64);

impl MicroUsd {
    pub const ZERO: Self = Self(0);

    pub const fn new(micro_usd: u64) -> Self {
        Self(micro_usd)
    }

    /// Parses dollars with up to six decimals: `0.000125`.
    ///
    /// # Errors
    /// [`MoneyError`] for anything that is not a whole, non-negative number of micro-USD within range.
    pub fn parse_usd(text: &str) -> Result<Self, MoneyError> {
        let micro_usd = parse_decimal(text, 6)?;
        (micro_usd <= Cents::MAX.micro_usd().0).then_some(Self(micro_usd)).ok_or(MoneyError::TooLarge)
    }

    pub fn micro_usd(self) -> u64 {
        self.0
    }

    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Rounds up to whole cents.
    #[must_use]
    pub fn ceil_cents(self) -> Cents {
        Cents(self.0.div_ceil(10_000))
    }

    /// Subtracts `spent`, stopping at zero.
    #[must_use]
    pub fn saturating_sub(self, spent: Self) -> Self {
        Self(self.0.saturating_sub(spent.0))
    }

    /// Returns dollars for JSON output.
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 micro-USD, nine billion dollars")]
    #[expect(clippy::float_arithmetic, reason = "JSON has no other number for dollars")]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1_000_000.0
    }
}

impl fmt::Display for MicroUsd {
    /// Writes `0`, `1.50` or `0.004512`: at least two decimals unless whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if fraction == 0 {
            return write!(f, "{dollars}");
        }
        let digits = format!("{fraction:06}");
        let trimmed = digits.trim_end_matches('0');
        write!(f, "{dollars}.{trimmed:0<2}")
    }
}

/// The text is not an amount. The text is not quoted, because it may be a pasted key or card number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MoneyError {
    #[error("the amount is negative")]
    Negative,
    #[error("the amount is not a plain decimal number of US dollars, such as 15 or 15.50")]
    NotANumber,
    #[error("the amount is above 1000000 USD")]
    TooLarge,
    #[error("the amount has more decimals than can be billed")]
    TooPrecise,
}

impl Diagnostic for MoneyError {
    fn code(&self) -> &'static str {
        "invalid_amount"
    }

    fn hint(&self, _: Channel) -> String {
        match self {
            Self::Negative => "give 0 for the provider's default, or a positive amount",
            Self::NotANumber => "write dollars as 15 or 15.50, without a sign or a currency",
            Self::TooLarge => "give a smaller amount",
            Self::TooPrecise => "round a cap to whole cents, usage to millionths of a dollar",
        }
        .to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Parses `text` as a whole number of `10^-decimals`; extra trailing zeros are accepted.
fn parse_decimal(text: &str, decimals: usize) -> Result<u64, MoneyError> {
    if let Some(positive) = text.strip_prefix('-') {
        parse_decimal(positive, decimals)?;
        return Err(MoneyError::Negative);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(MoneyError::NotANumber);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals {
        return Err(MoneyError::TooPrecise);
    }
    format!("{whole}{fraction:0<decimals$}").parse().map_err(|_| MoneyError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_parse_exactly() {
        for (text, cents) in [("0", 0), ("15", 1500), ("15.5", 1550), ("15.50", 1550), ("0.07", 7), ("12.500", 1250)] {
            assert_eq!(Cents::parse_usd(text).map(Cents::cents), Ok(cents), "{text}");
        }
        assert_eq!(MicroUsd::parse_usd("0.000125").map(MicroUsd::micro_usd), Ok(125));
    }

    #[test]
    fn unbillable_amounts_are_refused() {
        use MoneyError::{Negative, NotANumber, TooLarge, TooPrecise};
        for (text, why) in [
            ("-1", Negative),
            ("-0.001", TooPrecise),
            ("-x", NotANumber),
            ("-", NotANumber),
            ("", NotANumber),
            ("1e3", NotANumber),
            ("NaN", NotANumber),
            (".5", NotANumber),
            ("1.", NotANumber),
            ("+1", NotANumber),
            (" 1", NotANumber),
            ("١", NotANumber),
            ("0.001", TooPrecise),
            ("1000000.01", TooLarge),
            ("99999999999999999999999", TooLarge),
        ] {
            assert_eq!(Cents::parse_usd(text), Err(why), "{text}");
        }
    }

    #[test]
    fn json_shows_dollars() {
        for (cents, usd) in [(0, "0.0"), (7, "0.07"), (1_550, "15.5"), (Cents::MAX.cents(), "1000000.0")] {
            assert_eq!(format!("{:?}", Cents::sum_of(cents).usd()), usd);
        }
        for (micro_usd, usd) in [(0, "0.0"), (125, "0.000125"), (1_500_000, "1.5")] {
            assert_eq!(format!("{:?}", MicroUsd::new(micro_usd).usd()), usd);
        }
    }

    #[test]
    fn sums_and_differences_saturate() {
        let (most, three, five) = (MicroUsd::new(u64::MAX), MicroUsd::new(3), MicroUsd::new(5));
        assert_eq!(three.saturating_add(five), MicroUsd::new(8));
        assert_eq!(most.saturating_add(five), most);
        assert_eq!(five.saturating_sub(three), MicroUsd::new(2));
        assert_eq!(three.saturating_sub(five), MicroUsd::ZERO);
        assert_eq!(Cents::sum_of(3).saturating_add(Cents::sum_of(5)), Cents::sum_of(8));
        assert_eq!(Cents::sum_of(u64::MAX).saturating_add(Cents::sum_of(5)), Cents::sum_of(u64::MAX));
    }

    #[test]
    fn amounts_display_as_prices() {
        assert_eq!(Cents::parse_usd("25").unwrap().to_string(), "25");
        assert_eq!(Cents::parse_usd("25.5").unwrap().to_string(), "25.50");
        for (micro_usd, shown) in [(0, "0"), (1_500_000, "1.50"), (4_512, "0.004512"), (25_000_000, "25")] {
            assert_eq!(MicroUsd::new(micro_usd).to_string(), shown);
        }
    }
}
