//! When an agent needs a person's approval.

use toml::Spanned;

use super::error::{Problem, SpannedProblem};
use super::wire::{self, Text};

/// The requests of an agent that need a person's approval. None of them allows anything above a maximum.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum ApprovalRule {
    /// Nothing.
    Never,
    /// A cap above the provider's default.
    #[default]
    AboveDefault,
    /// Every provision.
    Always,
}

impl ApprovalRule {
    pub(super) fn read(rule: &Text) -> Result<Self, SpannedProblem> {
        wire::parse(rule, |text| match text {
            "above-default" => Ok(Self::AboveDefault),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(Problem::Approval),
        })
    }

    /// Returns the rule of the two that asks a person more often.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Reads how long a request waits for a decision and an approval for its use: whole minutes, up to a week.
pub(super) fn ttl(minutes: &Spanned<i64>) -> Result<u32, SpannedProblem> {
    let fits = u32::try_from(*minutes.get_ref()).ok().filter(|minutes| (1..=LONGEST_TTL).contains(minutes));
    fits.ok_or_else(|| SpannedProblem::at(minutes, Problem::ApprovalTtl))
}

/// In minutes.
pub(super) const DEFAULT_TTL: u32 = 30;

/// In minutes.
pub(super) const LONGEST_TTL: u32 = 7 * 24 * 60;
