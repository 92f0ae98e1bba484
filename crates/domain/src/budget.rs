//! Budgets: what a grant commits to a calendar month, and what stays committed when it ends.
//!
//! A budget bounds what may be spent in a month, not what is live. Months and days are UTC.

mod committed;
mod excess;
mod facts;
mod month;
mod terms;

pub use committed::{Added, Committed};
pub use excess::{Excess, RuleSource};
pub use facts::BudgetFacts;
pub use month::Month;
pub use terms::{CapPeriod, Terms};

/// The currency of every cap.
pub const CURRENCY: &str = "usd";
