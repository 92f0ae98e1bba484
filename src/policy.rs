//! Whether a request is granted: pure, from what the registry says and what is live already.

use crate::{
    lease::Lease,
    money::Cents,
    name::ProviderKey,
    registry::{Policy, Provider},
};

/// Who is asking. Only a human may go above a default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asker {
    Agent,
    Human,
}

/// What is live already, read in the transaction that will add to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Committed {
    pub projects: u64,
    pub caps: Cents,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    Allowed { cap: Cents },
    NeedsApproval { asked: Cents, default: Cents, maximum: Cents },
    Refused(Rule),
}

/// The rule that refuses, whoever asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rule {
    #[error("a cap of {asked} USD is above the {maximum} USD that this provider may ever cost")]
    AboveMaximum { asked: Cents, maximum: Cents },
    #[error("{asked} is longer than the {maximum} that a project of this provider may live")]
    LeaseTooLong { asked: Lease, maximum: Lease },
    #[error("this provider is not allowed by the registry's policy")]
    NotAllowed,
    #[error("{live} projects are live, and the registry's policy allows {maximum}")]
    TooManyProjects { live: u64, maximum: u64 },
    #[error(
        "a cap of {asked} USD on top of the {committed} USD committed already is above the {total} USD that the registry's policy allows"
    )]
    TotalCap { asked: Cents, committed: Cents, total: Cents },
}

/// For how long: what is asked for, else the provider's default, else the longest that it may be; `None` is for ever.
///
/// # Errors
/// [`Rule::LeaseTooLong`].
pub fn lease(asked: Option<Lease>, provider: &Provider) -> Result<Option<Lease>, Rule> {
    match (asked, provider.max_lease) {
        (Some(asked), Some(maximum)) if asked > maximum => Err(Rule::LeaseTooLong { asked, maximum }),
        (Some(asked), _) => Ok(Some(asked)),
        (None, maximum) => Ok(provider.default_lease.or(maximum)),
    }
}

/// Decides. `wanted` of zero means the provider's default.
pub fn decide(wanted: Cents, asker: Asker, provider: &Provider, policy: &Policy, committed: Committed) -> Decision {
    let cap = if wanted.is_zero() { provider.default_cap } else { wanted };
    if let Some(rule) = broken_rule(cap, provider, policy, committed) {
        return Decision::Refused(rule);
    }
    if cap > provider.default_cap && asker == Asker::Agent {
        return Decision::NeedsApproval { asked: cap, default: provider.default_cap, maximum: provider.max_cap };
    }
    Decision::Allowed { cap }
}

fn broken_rule(cap: Cents, provider: &Provider, policy: &Policy, committed: Committed) -> Option<Rule> {
    if !allows(policy, &provider.key) {
        return Some(Rule::NotAllowed);
    }
    if cap > provider.max_cap {
        return Some(Rule::AboveMaximum { asked: cap, maximum: provider.max_cap });
    }
    let live = committed.projects;
    if let Some(maximum) = policy.max_live_projects.filter(|maximum| live >= *maximum) {
        return Some(Rule::TooManyProjects { live, maximum });
    }
    let total = policy.total_cap.filter(|total| committed.caps.saturating_add(cap) > *total)?;
    Some(Rule::TotalCap { asked: cap, committed: committed.caps, total })
}

fn allows(policy: &Policy, provider: &ProviderKey) -> bool {
    policy.allowed.as_ref().is_none_or(|allowed| allowed.contains(provider)) && !policy.denied.contains(provider)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    const PROVIDER: &str = "version = 1
        [providers.memory]
        label = 'Memory'
        service = 'a/b'
        env_var = 'MEMORY_KEY'
        docs = 'https://example.com'
        default_cap_usd = 25
        max_cap_usd = 100";

    fn usd(text: &str) -> Cents {
        Cents::parse_usd(text).unwrap()
    }

    fn ask(cap: &str, asker: Asker, policy: &str, committed: Committed) -> Decision {
        let registry = Registry::parse(&format!("{PROVIDER}\n[policy]\n{policy}"), "test").unwrap();
        let provider = registry.providers().next().unwrap();
        decide(usd(cap), asker, provider, &registry.policy, committed)
    }

    #[test]
    fn nothing_asked_is_the_default_and_less_is_as_asked() {
        let none = Committed::default();
        assert_eq!(ask("0", Asker::Agent, "", none), Decision::Allowed { cap: usd("25") });
        assert_eq!(ask("0.01", Asker::Agent, "", none), Decision::Allowed { cap: usd("0.01") });
        assert_eq!(ask("25", Asker::Agent, "", none), Decision::Allowed { cap: usd("25") });
    }

    #[test]
    fn only_a_human_goes_above_the_default_and_nobody_above_the_maximum() {
        let none = Committed::default();
        let (asked, default, maximum) = (usd("25.01"), usd("25"), usd("100"));
        assert_eq!(ask("25.01", Asker::Agent, "", none), Decision::NeedsApproval { asked, default, maximum });
        assert_eq!(ask("100", Asker::Human, "", none), Decision::Allowed { cap: maximum });
        for asker in [Asker::Agent, Asker::Human] {
            let refused = Decision::Refused(Rule::AboveMaximum { asked: usd("100.01"), maximum });
            assert_eq!(ask("100.01", asker, "", none), refused);
        }
    }

    #[test]
    fn limits_over_everything_count_what_is_live() {
        let committed = Committed { projects: 2, caps: usd("50") };
        let full = Decision::Refused(Rule::TooManyProjects { live: 2, maximum: 2 });
        assert_eq!(ask("1", Asker::Human, "max_live_projects = 2", committed), full);
        assert_eq!(ask("10", Asker::Agent, "total_cap_usd = 60", committed), Decision::Allowed { cap: usd("10") });
        let over = Rule::TotalCap { asked: usd("10.01"), committed: usd("50"), total: usd("60") };
        assert_eq!(ask("10.01", Asker::Agent, "total_cap_usd = 60", committed), Decision::Refused(over));
    }

    #[test]
    fn a_denial_wins() {
        let none = Committed::default();
        for policy in ["denied = ['memory']", "allowed = []", "allowed = ['memory']\ndenied = ['memory']"] {
            assert_eq!(ask("1", Asker::Human, policy, none), Decision::Refused(Rule::NotAllowed), "{policy}");
        }
        assert!(matches!(ask("1", Asker::Agent, "allowed = ['memory']", none), Decision::Allowed { .. }));
    }
}
