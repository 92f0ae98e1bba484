//! A limit that a request would exceed, in words for a form and a refusal.

use std::fmt;

use super::Month;
use crate::money::Cents;

/// The rule that sets a limit: its key, and where it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleSource {
    /// The key of the limit, such as `monthly_budget_usd`.
    pub key: &'static str,
    /// A place such as `policy.toml:3`, where it is known.
    pub place: Option<String>,
}

impl fmt::Display for RuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "`{}`, {place}", self.key),
            None => write!(f, "`{}`", self.key),
        }
    }
}

/// A limit that a request would exceed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Excess {
    LiveProjects {
        live: u64,
        limit: u64,
        source: RuleSource,
    },
    MonthlyBudget {
        /// The month, or `None` for the months after it, in which a daily cap commits more.
        month: Option<Month>,
        needed: Cents,
        /// The part of `needed` that is committed already.
        committed: Cents,
        limit: Cents,
        source: RuleSource,
    },
    ProviderCaps {
        provider: String,
        needed: Cents,
        limit: Cents,
        source: RuleSource,
    },
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LiveProjects { live, limit, source } => {
                write!(f, "{live} projects are live, and the limit is {limit} ({source})")
            }
            Self::MonthlyBudget { month, needed, committed, limit, source } => {
                match month {
                    Some(month) => write!(f, "{needed} USD would be committed in {month}")?,
                    None => write!(f, "{needed} USD would be committed in a later month")?,
                }
                write!(f, ", {committed} USD of it already; the limit is {limit} USD a month ({source})")
            }
            Self::ProviderCaps { provider, needed, limit, source } => {
                write!(
                    f,
                    "the live caps with {provider} would be {needed} USD in sum; the limit is {limit} USD ({source})"
                )
            }
        }
    }
}
