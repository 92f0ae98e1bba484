//! Decides whether a request is granted, from the registry and what is live already. No I/O.

use domain::{
    channel::Channel,
    diagnostic::{Diagnostic, Exit, PROGRAM},
    lifetime::Lifetime,
    money::Cents,
    name::ProviderKey,
    principal::Role,
};
use files::registry::{ApprovalRule, Policy, Provider};

/// The live projects and their caps, read in the transaction that will add to them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Committed {
    pub projects: u64,
    pub caps: Cents,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    Allowed {
        cap: Cents,
    },
    /// A person must approve `cap`. `without` is the cap that an agent gets without approval, if there is one.
    NeedsApproval {
        cap: Cents,
        without: Option<Cents>,
    },
    Refused(Rule),
}

/// The rule that refuses, for every principal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rule {
    #[error("a cap of {asked} USD exceeds the maximum of {maximum} USD for this provider")]
    AboveMaximum { asked: Cents, maximum: Cents },
    #[error("{asked} exceeds the maximum lifetime of {maximum} for this provider")]
    LifetimeTooLong { asked: Lifetime, maximum: Lifetime },
    #[error("this provider is not allowed by the registry's policy")]
    NotAllowed,
    #[error("{live} projects are live, and the registry's policy allows {maximum}")]
    TooManyProjects { live: u64, maximum: u64 },
    #[error(
        "a cap of {asked} USD on top of the {committed} USD committed already is above the {total} USD that the registry's policy allows"
    )]
    TotalCap { asked: Cents, committed: Cents, total: Cents },
}

impl Diagnostic for Rule {
    fn code(&self) -> &'static str {
        match self {
            Self::AboveMaximum { .. } => "cap_above_maximum",
            Self::LifetimeTooLong { .. } => "expiry_above_maximum",
            Self::NotAllowed => "provider_not_allowed",
            Self::TooManyProjects { .. } => "project_limit_reached",
            Self::TotalCap { .. } => "total_cap_reached",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::AboveMaximum { maximum, .. } => format!("ask for {maximum} USD or less"),
            Self::LifetimeTooLong { maximum, .. } => format!("ask for {maximum} or less"),
            Self::NotAllowed => channel.select(
                "read the resource stripe-projects://providers to see the other providers".to_owned(),
                format!("run `{PROGRAM} providers` to see the other providers"),
            ),
            Self::TooManyProjects { .. } | Self::TotalCap { .. } => channel.select(
                "call teardown for projects that are not needed any more, or ask the user to change the policy"
                    .to_owned(),
                "tear down projects that you do not need any more, or change the policy".to_owned(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Refused
    }
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

/// Decides on a request for the cap `wanted`. Zero means the provider's default.
pub fn decide(wanted: Cents, role: Role, provider: &Provider, policy: &Policy, committed: Committed) -> Decision {
    let cap = if wanted.is_zero() { provider.default_cap } else { wanted };
    if let Some(rule) = broken_rule(cap, provider, policy, committed) {
        return Decision::Refused(rule);
    }
    let above_default = cap > provider.unapproved_cap;
    match (role, provider.approval.unwrap_or(policy.approval)) {
        (Role::Agent, ApprovalRule::Always) => Decision::NeedsApproval { cap, without: None },
        (Role::Agent, ApprovalRule::AboveDefault) if above_default => {
            Decision::NeedsApproval { cap, without: Some(provider.unapproved_cap) }
        }
        _ => Decision::Allowed { cap },
    }
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
    use files::registry::{Registry, UserPolicy};
    use proptest::prelude::*;

    use super::*;

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

    fn ask(cap: &str, role: Role, policy: &str, committed: Committed) -> Decision {
        let registry = Registry::parse(&format!("{PROVIDER}\n[policy]\n{policy}"), "test").unwrap();
        let provider = registry.providers().next().unwrap();
        decide(usd(cap), role, provider, &registry.policy, committed)
    }

    #[test]
    fn a_lifetime_is_as_asked_up_to_the_longest_and_else_what_the_provider_says() {
        let lifetime = |asked: &str, entry: &str| {
            let registry = Registry::parse(&format!("{PROVIDER}\n{entry}"), "test").unwrap();
            let granted = lifetime(Lifetime::parse(asked).ok(), registry.providers().next().unwrap());
            granted.map(|lifetime| lifetime.map_or_else(|| "forever".to_owned(), |lifetime| lifetime.to_string()))
        };
        let granted = |words: &str| Ok(words.to_owned());
        let (default, maximum) = ("default_expires_in = '1h'", "max_expires_in = '8h'");
        let both = format!("{default}\n{maximum}");
        assert_eq!(lifetime("", ""), granted("forever"));
        assert_eq!(lifetime("30m", ""), granted("30m"));
        assert_eq!(lifetime("", default), granted("1h"));
        assert_eq!(lifetime("", maximum), granted("8h"));
        assert_eq!(lifetime("", &both), granted("1h"));
        assert_eq!(lifetime("7h", &both), granted("7h"));
        assert_eq!(lifetime("8h", &both), granted("8h"));
        let (asked, maximum) = (Lifetime::parse("481m").unwrap(), Lifetime::parse("8h").unwrap());
        assert_eq!(lifetime("481m", &both), Err(Rule::LifetimeTooLong { asked, maximum }));
    }

    #[test]
    fn nothing_asked_is_the_default_and_less_is_as_asked() {
        let none = Committed::default();
        assert_eq!(ask("0", Role::Agent, "", none), Decision::Allowed { cap: usd("25") });
        assert_eq!(ask("0.01", Role::Agent, "", none), Decision::Allowed { cap: usd("0.01") });
        assert_eq!(ask("25", Role::Agent, "", none), Decision::Allowed { cap: usd("25") });
    }

    #[test]
    fn person_may_exceed_the_default_and_none_the_maximum() {
        let none = Committed::default();
        let (cap, without, maximum) = (usd("25.01"), Some(usd("25")), usd("100"));
        assert_eq!(ask("25.01", Role::Agent, "", none), Decision::NeedsApproval { cap, without });
        assert_eq!(ask("100", Role::Person, "", none), Decision::Allowed { cap: maximum });
        for role in [Role::Agent, Role::Person] {
            let refused = Decision::Refused(Rule::AboveMaximum { asked: usd("100.01"), maximum });
            assert_eq!(ask("100.01", role, "", none), refused);
        }
    }

    #[test]
    fn limits_over_everything_count_what_is_live() {
        let committed = Committed { projects: 2, caps: usd("50") };
        let full = Decision::Refused(Rule::TooManyProjects { live: 2, maximum: 2 });
        assert_eq!(ask("1", Role::Person, "max_live_projects = 2", committed), full);
        assert_eq!(ask("10", Role::Agent, "total_cap_usd = 60", committed), Decision::Allowed { cap: usd("10") });
        let over = Rule::TotalCap { asked: usd("10.01"), committed: usd("50"), total: usd("60") };
        assert_eq!(ask("10.01", Role::Agent, "total_cap_usd = 60", committed), Decision::Refused(over));
    }

    #[test]
    fn a_denial_wins() {
        let none = Committed::default();
        for policy in ["denied = ['memory']", "allowed = []", "allowed = ['memory']\ndenied = ['memory']"] {
            assert_eq!(ask("1", Role::Person, policy, none), Decision::Refused(Rule::NotAllowed), "{policy}");
        }
        assert!(matches!(ask("1", Role::Agent, "allowed = ['memory']", none), Decision::Allowed { .. }));
    }

    #[test]
    fn the_word_on_approvals_binds_agents_and_never_lifts_a_rule() {
        let none = Committed::default();
        let always = "approval = 'always'";
        assert_eq!(ask("1", Role::Agent, always, none), Decision::NeedsApproval { cap: usd("1"), without: None });
        assert_eq!(ask("0", Role::Agent, always, none), Decision::NeedsApproval { cap: usd("25"), without: None });
        assert_eq!(ask("99", Role::Person, always, none), Decision::Allowed { cap: usd("99") });
        let never = "approval = 'never'";
        assert_eq!(ask("100", Role::Agent, never, none), Decision::Allowed { cap: usd("100") });
        for policy in [always, never] {
            for role in [Role::Agent, Role::Person] {
                let refused = ask("100.01", role, policy, none);
                assert!(matches!(refused, Decision::Refused(Rule::AboveMaximum { .. })), "{policy}");
            }
        }
    }

    #[test]
    fn an_entry_has_the_last_word_on_its_approvals() {
        let decide_with = |entry: &str, policy: &str| {
            let text = format!("{PROVIDER}\n{entry}\n[policy]\n{policy}");
            let registry = Registry::parse(&text, "test").unwrap();
            let provider = registry.providers().next().unwrap();
            decide(usd("30"), Role::Agent, provider, &registry.policy, Committed::default())
        };
        let free = decide_with("approval = 'never'", "approval = 'always'");
        assert_eq!(free, Decision::Allowed { cap: usd("30") });
        let asked = decide_with("approval = 'always'", "approval = 'never'");
        assert_eq!(asked, Decision::NeedsApproval { cap: usd("30"), without: None });
    }

    proptest! {
        /// The user's policy only tightens that of any workspace, and also applies alone.
        #[test]
        fn a_policy_above_only_tightens(
            registry in words(),
            user in words(),
            caps in caps(),
            cents in 0_u64..15_000,
            live in 0_u64..5,
            committed in 0_u64..30_000,
            human in any::<bool>(),
        ) {
            let registry = Registry::parse(&format!("{PROVIDER}\n{}\n[policy]\n{}", registry.1, registry.0), "r").unwrap();
            let above = format!("[policy]\n{}\n[providers.memory]\n{}{}", user.0, user.1, caps);
            let tight = registry.clone().under(&UserPolicy::parse(&above, "c").unwrap());
            let role = if human { Role::Person } else { Role::Agent };
            let committed = Committed { projects: live, caps: Cents::sum_of(committed) };
            let decided = |registry: &Registry, wanted: Cents| {
                decide(wanted, role, registry.providers().next().unwrap(), &registry.policy, committed)
            };
            let loose = decided(&registry, Cents::sum_of(cents));
            match decided(&tight, Cents::sum_of(cents)) {
                Decision::Allowed { cap } => {
                    prop_assert_eq!(decided(&registry, cap), Decision::Allowed { cap });
                    prop_assert!(cents == 0 || cap.cents() == cents);
                }
                Decision::NeedsApproval { cap, .. } => {
                    prop_assert!(!matches!(decided(&registry, cap), Decision::Refused(_)));
                    prop_assert!(!human);
                }
                Decision::Refused(_) => {}
            }
            if matches!(loose, Decision::Refused(_)) && cents > 0 {
                prop_assert!(matches!(decided(&tight, Cents::sum_of(cents)), Decision::Refused(_)));
            }
            // The same policy a second time changes nothing.
            let again = tight.clone().under(&UserPolicy::parse(&above, "c").unwrap());
            prop_assert_eq!(decided(&again, Cents::sum_of(cents)), decided(&tight, Cents::sum_of(cents)));
        }
    }

    /// Lines of a `[policy]`, and an `approval` for an entry.
    fn words() -> impl Strategy<Value = (String, String)> {
        let approval = prop_oneof![Just("never"), Just("above-default"), Just("always")];
        let line = |key: &'static str, value: BoxedStrategy<String>| {
            prop::option::of(value)
                .prop_map(move |value| value.map(|value| format!("{key} = {value}\n")).unwrap_or_default())
        };
        let quoted = approval.clone().prop_map(|word| format!("'{word}'")).boxed();
        let keys = prop_oneof![Just("[]"), Just("['memory']")].prop_map(str::to_owned).boxed();
        let policy = (
            line("approval", quoted.clone()),
            line("allowed", keys.clone()),
            line("denied", keys),
            line("max_live_projects", (1_u64..6).prop_map(|count| count.to_string()).boxed()),
            line("total_cap_usd", (1_u64..300).prop_map(|usd| usd.to_string()).boxed()),
        );
        let policy = policy.prop_map(|(a, b, c, d, e)| [a, b, c, d, e].concat());
        (policy, line("approval", quoted))
    }

    /// Caps for an entry of a user's policy.
    fn caps() -> impl Strategy<Value = String> {
        let cap = |key: &'static str| {
            prop::option::of(1_u64..120)
                .prop_map(move |usd| usd.map(|usd| format!("{key} = {usd}\n")).unwrap_or_default())
        };
        (cap("default_cap_usd"), cap("max_cap_usd")).prop_map(|(default, max)| default + &max)
    }
}
