//! The rules that refuse a request, for every principal.

use domain::{
    budget::{Excess, RuleSource},
    channel::Channel,
    diagnostic::{Diagnostic, Exit, PROGRAM},
    lifetime::Lifetime,
    money::Cents,
};

/// The rule that refuses, for every principal.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rule {
    #[error("a cap of {asked} USD exceeds the maximum of {maximum} USD for this provider")]
    AboveMaximum { asked: Cents, maximum: Cents },
    #[error("the budget does not permit it: {0}")]
    BudgetExhausted(Excess),
    #[error("{asked} exceeds the maximum lifetime of {maximum} for this provider")]
    LifetimeTooLong { asked: Lifetime, maximum: Lifetime },
    #[error("this provider is not allowed by the registry's policy")]
    NotAllowed,
    #[error("{live} projects are live, and the policy allows {maximum} ({source_of})")]
    TooManyProjects { live: u64, maximum: u64, source_of: RuleSource },
    #[error(
        "a cap of {asked} USD on top of the {committed} USD committed already is above the {total} USD that the policy allows \
         ({source_of})"
    )]
    TotalCap { asked: Cents, committed: Cents, total: Cents, source_of: RuleSource },
}

impl Diagnostic for Rule {
    fn code(&self) -> &'static str {
        match self {
            Self::AboveMaximum { .. } => "cap_above_maximum",
            Self::BudgetExhausted(_) => "budget_exhausted",
            Self::LifetimeTooLong { .. } => "expiry_above_maximum",
            Self::NotAllowed => "provider_not_allowed",
            Self::TooManyProjects { .. } => "project_limit_reached",
            Self::TotalCap { .. } => "total_cap_reached",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::AboveMaximum { maximum, .. } => format!("ask for {maximum} USD or less"),
            Self::BudgetExhausted(Excess::MonthlyBudget { limit, committed, .. }) => {
                let left = limit.saturating_sub(*committed);
                let less = if left.is_zero() {
                    "wait for the next month".to_owned()
                } else {
                    format!("ask for a cap that commits {left} USD or less")
                };
                format!("{less}, or {}", channel.person("change the policy"))
            }
            Self::BudgetExhausted(Excess::LiveProjects { .. } | Excess::ProviderCaps { .. })
            | Self::TooManyProjects { .. }
            | Self::TotalCap { .. } => channel.select(
                "call teardown for projects that are not needed any more, or ask the user to change the policy"
                    .to_owned(),
                "tear down projects that you do not need any more, or change the policy".to_owned(),
            ),
            Self::LifetimeTooLong { maximum, .. } => format!("ask for {maximum} or less"),
            Self::NotAllowed => channel.select(
                "read the resource stripe-projects://providers to see the other providers".to_owned(),
                format!("run `{PROGRAM} providers` to see the other providers"),
            ),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Refused
    }
}
