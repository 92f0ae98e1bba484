//! What is committed already, and what a grant adds to it.

use super::{Month, Terms};
use crate::{clock::Timestamp, money::Cents};

/// The commitments of one class of money, over all workspaces, read in the transaction that adds to them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Committed {
    pub month: Month,
    /// Live projects.
    pub projects: u64,
    /// The sum of the caps of the live projects.
    pub caps: Cents,
    /// The sum of the caps of the live projects with the provider in question, by Stripe's name of it.
    pub provider_caps: Cents,
    /// What is committed to the month: live projects, and what ended ones may have spent.
    pub this_month: Cents,
    /// The part of it that comes from grants of earlier months.
    pub renewed: Cents,
    /// The most that the live projects commit to any one later month.
    pub coming: Cents,
}

impl Committed {
    /// Returns the commitments of a ledger without projects.
    pub fn none(month: Month) -> Self {
        let zero = Cents::ZERO;
        Self { month, projects: 0, caps: zero, provider_caps: zero, this_month: zero, renewed: zero, coming: zero }
    }
}

/// What a new project, or a raised cap, adds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Added {
    pub projects: u64,
    pub caps: Cents,
    pub this_month: Cents,
    pub coming: Cents,
}

impl Added {
    /// Returns what a new project adds at the time of its grant.
    pub fn by_project(terms: &Terms, month: Month) -> Self {
        let now = terms.granted_at;
        Self {
            projects: 1,
            caps: terms.cap,
            this_month: terms.commitment(month, now),
            coming: terms.coming(month, now),
        }
    }

    /// Returns what a live project adds whose cap becomes `raised`.
    pub fn by_raise(before: &Terms, raised: Cents, month: Month, now: Timestamp) -> Self {
        let after = Terms { cap: raised, ..*before };
        Self {
            projects: 0,
            caps: raised.saturating_sub(before.cap),
            this_month: after.commitment(month, now).saturating_sub(before.commitment(month, now)),
            coming: after.coming(month, now).saturating_sub(before.coming(month, now)),
        }
    }
}
