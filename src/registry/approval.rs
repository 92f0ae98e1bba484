//! When an agent needs a human's yes.

use super::error::{Fault, Problem};
use super::wire::{self, Value};

/// What needs a human's yes when an agent asks. No word here lets anything above a maximum through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ApprovalRule {
    /// A cap above the provider's default.
    #[default]
    AboveDefault,
    /// Every provision.
    Always,
    /// Nothing.
    Never,
}

impl ApprovalRule {
    pub(super) fn read(value: &Value<'_>) -> Result<Self, Fault> {
        wire::parsed(|text| match text {
            "above-default" => Ok(Self::AboveDefault),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(Problem::Approval),
        })(value)
    }

    /// The one of two that asks a human more often.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        if self.rank() >= other.rank() { self } else { other }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::AboveDefault => 1,
            Self::Always => 2,
        }
    }
}

/// How long a request waits for a human and, once granted, for its use: whole minutes, up to a week.
pub(super) fn ttl(value: &Value<'_>) -> Result<u32, Fault> {
    let minutes = u32::try_from(wire::integer(value)?).ok().filter(|minutes| (1..=LONGEST_TTL).contains(minutes));
    minutes.ok_or_else(|| Fault::at(value, Problem::ApprovalTtl))
}

/// In minutes, where nobody says another.
pub(super) const USUAL_TTL: u32 = 30;

const LONGEST_TTL: u32 = 7 * 24 * 60;
