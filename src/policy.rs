//! Decides whether a request is granted, from the registry and what is live already. No I/O.

mod rule;
#[cfg(test)]
mod tests;

use domain::{
    budget::{Added, CapPeriod, Committed, Excess, RuleSource, Terms},
    clock::Timestamp,
    lifetime::Lifetime,
    money::{Cents, MicroUsd},
    name::ProviderKey,
    principal::Role,
};
use files::registry::{ApprovalRule, Policy, Provider};
pub use rule::Rule;

/// A request for a new project's cap.
#[derive(Clone, Copy, Debug)]
pub struct CapRequest {
    /// Zero is the provider's default.
    pub wanted: Cents,
    pub role: Role,
    pub period: CapPeriod,
    pub at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// The answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    Allowed {
        cap: Cents,
    },
    /// A person must approve `cap`. `without` is the cap that an agent gets without approval, if there is one.
    NeedsApproval {
        cap: Cents,
        without: Option<Cents>,
        /// The limits that it would exceed.
        excess: Vec<Excess>,
    },
    Refused(Rule),
}

/// Returns the requested lifetime, else the provider's default, else its maximum. `None` is unlimited.
///
/// # Errors
/// [`Rule::LifetimeTooLong`].
pub fn lifetime(asked: Option<Lifetime>, provider: &Provider) -> Result<Option<Lifetime>, Rule> {
    match (asked, provider.max_lifetime) {
        (Some(asked), Some(maximum)) if asked > maximum => Err(Rule::LifetimeTooLong { asked, maximum }),
        (Some(asked), _) => Ok(Some(asked)),
        (None, maximum) => Ok(provider.default_lifetime.or(maximum)),
    }
}

/// Decides on a request for a new project.
pub fn decide(request: &CapRequest, provider: &Provider, policy: &Policy, committed: &Committed) -> Decision {
    let cap = if request.wanted.is_zero() { provider.default_cap } else { request.wanted };
    let added = request.added(cap, committed);
    if let Some(rule) = broken_rule(cap, &added, provider, policy, committed) {
        return Decision::Refused(rule);
    }
    let excess = excess(&added, provider, policy, committed);
    let above_default = cap > provider.unapproved_cap;
    let rule = provider.approval.unwrap_or(policy.approval);
    let asks = rule == ApprovalRule::Always || (rule == ApprovalRule::AboveDefault && above_default);
    let needs_person = asks || !excess.is_empty();
    if request.role != Role::Agent || !needs_person {
        return Decision::Allowed { cap };
    }
    let most = if rule == ApprovalRule::Never { provider.max_cap } else { provider.unapproved_cap };
    let without = request.free_cap(most, provider, policy, committed).filter(|_| rule != ApprovalRule::Always);
    Decision::NeedsApproval { cap, without, excess }
}

/// Decides on a higher cap for a live project. Only a person raises a cap, so an agent always needs approval.
pub fn decide_raise(
    cap: Cents,
    added: &Added,
    role: Role,
    provider: &Provider,
    policy: &Policy,
    committed: &Committed,
) -> Decision {
    if let Some(rule) = broken_rule(cap, added, provider, policy, committed) {
        return Decision::Refused(rule);
    }
    match role {
        Role::Agent => {
            Decision::NeedsApproval { cap, without: None, excess: excess(added, provider, policy, committed) }
        }
        Role::Person | Role::System => Decision::Allowed { cap },
    }
}

impl CapRequest {
    fn added(&self, cap: Cents, committed: &Committed) -> Added {
        let terms = Terms {
            cap,
            period: self.period,
            granted_at: self.at,
            expires_at: self.expires_at,
            used_before: MicroUsd::ZERO,
        };
        Added::by_project(&terms, committed.month)
    }

    /// Returns the highest cap up to `most` that no limit refuses or asks about.
    fn free_cap(&self, most: Cents, provider: &Provider, policy: &Policy, committed: &Committed) -> Option<Cents> {
        let is_free = |cents: u64| {
            let cap = Cents::sum_of(cents);
            let added = self.added(cap, committed);
            broken_rule(cap, &added, provider, policy, committed).is_none()
                && excess(&added, provider, policy, committed).is_empty()
        };
        // A higher cap never exceeds fewer limits.
        let (mut free, mut not_free) = (0, most.cents().saturating_add(1));
        while not_free - free > 1 {
            let middle = free + (not_free - free) / 2;
            if is_free(middle) { free = middle } else { not_free = middle }
        }
        (free > 0).then(|| Cents::sum_of(free))
    }
}

/// Returns the limit that refuses, for every principal.
fn broken_rule(cap: Cents, added: &Added, provider: &Provider, policy: &Policy, committed: &Committed) -> Option<Rule> {
    if !allows(policy, &provider.key) {
        return Some(Rule::NotAllowed);
    }
    if cap > provider.max_cap {
        return Some(Rule::AboveMaximum { asked: cap, maximum: provider.max_cap });
    }
    let live = committed.projects;
    if let Some(maximum) = policy.max_projects.filter(|maximum| live.saturating_add(added.projects) > *maximum) {
        return Some(Rule::TooManyProjects { live, maximum, source_of: source(policy, "max_projects") });
    }
    if let Some(total) = policy.total_cap.filter(|total| committed.caps.saturating_add(added.caps) > *total) {
        let source_of = source(policy, "total_cap_usd");
        return Some(Rule::TotalCap { asked: cap, committed: committed.caps, total, source_of });
    }
    let total = policy.provider_totals.get(&provider.key).copied();
    let excess = provider_excess(added, provider, total, source(policy, "max_cap_usd"), committed)
        .or_else(|| monthly_excess(added, policy.monthly_max, &source(policy, "monthly_max_usd"), committed));
    excess.map(Rule::BudgetExhausted)
}

/// Returns the limits above which a person is asked.
fn excess(added: &Added, provider: &Provider, policy: &Policy, committed: &Committed) -> Vec<Excess> {
    let live = committed.projects;
    let too_many = policy.max_live_projects.filter(|limit| added.projects > 0 && live >= *limit);
    let too_many =
        too_many.map(|limit| Excess::LiveProjects { live, limit, source: source(policy, "max_live_projects") });
    let monthly = monthly_excess(added, policy.monthly_budget, &source(policy, "monthly_budget_usd"), committed);
    let registry = RuleSource { key: "max_cap_usd", place: None };
    let of_provider = provider_excess(added, provider, provider.caps_in_sum, registry, committed);
    [monthly, too_many, of_provider].into_iter().flatten().collect()
}

/// Compares this month, and the fullest later one, with a monthly limit.
fn monthly_excess(added: &Added, limit: Option<Cents>, source: &RuleSource, committed: &Committed) -> Option<Excess> {
    let limit = limit?;
    let this_month = (Some(committed.month), added.this_month, committed.this_month);
    let later = (None, added.coming, committed.coming);
    let exceeded = |(month, added, committed): (_, Cents, Cents)| {
        let needed = committed.saturating_add(added);
        let is_above = needed > limit && !added.is_zero();
        is_above.then(|| Excess::MonthlyBudget { month, needed, committed, limit, source: source.clone() })
    };
    exceeded(this_month).or_else(|| exceeded(later))
}

fn provider_excess(
    added: &Added,
    provider: &Provider,
    limit: Option<Cents>,
    source: RuleSource,
    committed: &Committed,
) -> Option<Excess> {
    let needed = committed.provider_caps.saturating_add(added.caps);
    let limit = limit.filter(|limit| needed > *limit)?;
    let provider = provider.service.provider().to_owned();
    Some(Excess::ProviderCaps { provider, needed, limit, source })
}

fn source(policy: &Policy, key: &'static str) -> RuleSource {
    RuleSource { key, place: policy.sources.get(key).cloned() }
}

fn allows(policy: &Policy, provider: &ProviderKey) -> bool {
    policy.allowed.as_ref().is_none_or(|allowed| allowed.contains(provider)) && !policy.denied.contains(provider)
}
