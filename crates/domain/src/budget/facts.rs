//! What a person needs to know about money to decide a request.

use std::fmt;

use super::{CapPeriod, Committed, Excess};
use crate::money::Cents;

/// The part of a question that is about money.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BudgetFacts {
    pub cap: Cents,
    pub period: CapPeriod,
    /// The present cap of a live project that asks for a higher one.
    pub raised_from: Option<Cents>,
    pub committed: Committed,
    /// The limits that the request would exceed.
    pub excess: Vec<Excess>,
}

impl fmt::Display for BudgetFacts {
    /// Writes sentences: what is committed, and each limit that would be exceeded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Committed { month, this_month, renewed, .. } = &self.committed;
        write!(f, "{this_month} USD are committed in {month}, {renewed} USD of it by renewals.")?;
        self.excess.iter().try_for_each(|excess| write!(f, " Above a limit: {excess}."))
    }
}
