//! Decisions: what is allowed, asked and refused.

use domain::budget::Month;
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
    decide(&request(usd(cap), role, CapPeriod::Month), provider, &registry.policy, &committed)
}

fn request(wanted: Cents, role: Role, period: CapPeriod) -> CapRequest {
    let at: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    CapRequest { wanted, role, period, at, expires_at: None }
}

fn nothing() -> Committed {
    Committed::none(Month::parse("2026-11").unwrap())
}

fn live(projects: u64, caps: Cents) -> Committed {
    Committed { projects, caps, this_month: caps, coming: caps, ..nothing() }
}

fn asked(cap: &str, without: Option<&str>) -> Decision {
    Decision::NeedsApproval { cap: usd(cap), without: without.map(usd), excess: Vec::new() }
}

/// The registry of these tests has its policy on line 9.
fn at_line(line: u32, key: &'static str) -> RuleSource {
    RuleSource { key, place: Some(format!("test:{line}")) }
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
    let none = nothing();
    assert_eq!(ask("0", Role::Agent, "", none), Decision::Allowed { cap: usd("25") });
    assert_eq!(ask("0.01", Role::Agent, "", none), Decision::Allowed { cap: usd("0.01") });
    assert_eq!(ask("25", Role::Agent, "", none), Decision::Allowed { cap: usd("25") });
}

#[test]
fn person_may_exceed_the_default_and_none_the_maximum() {
    let none = nothing();
    let maximum = usd("100");
    assert_eq!(ask("25.01", Role::Agent, "", none), asked("25.01", Some("25")));
    assert_eq!(ask("100", Role::Person, "", none), Decision::Allowed { cap: maximum });
    for role in [Role::Agent, Role::Person] {
        let refused = Decision::Refused(Rule::AboveMaximum { asked: usd("100.01"), maximum });
        assert_eq!(ask("100.01", role, "", none), refused);
    }
}

#[test]
fn limits_over_everything_count_what_is_live() {
    let committed = live(2, usd("50"));
    let source_of = at_line(10, "max_projects");
    let full = Decision::Refused(Rule::TooManyProjects { live: 2, maximum: 2, source_of });
    assert_eq!(ask("1", Role::Person, "max_projects = 2", committed), full);
    assert_eq!(ask("10", Role::Agent, "total_cap_usd = 60", committed), Decision::Allowed { cap: usd("10") });
    let source_of = at_line(10, "total_cap_usd");
    let over = Rule::TotalCap { asked: usd("10.01"), committed: usd("50"), total: usd("60"), source_of };
    assert_eq!(ask("10.01", Role::Agent, "total_cap_usd = 60", committed), Decision::Refused(over));
}

#[test]
fn monthly_budget_asks_an_agent_and_monthly_max_refuses() {
    let committed = Committed { this_month: usd("90"), ..live(1, usd("40")) };
    let limit = |line, key, limit: &str| Excess::MonthlyBudget {
        month: Some(committed.month),
        needed: usd("100.01"),
        committed: usd("90"),
        limit: usd(limit),
        source: at_line(line, key),
    };
    let budget = "approval = 'never'\nmonthly_budget_usd = 100";
    assert_eq!(ask("10", Role::Agent, budget, committed), Decision::Allowed { cap: usd("10") });
    let excess = vec![limit(11, "monthly_budget_usd", "100")];
    let asked = Decision::NeedsApproval { cap: usd("10.01"), without: Some(usd("10")), excess };
    assert_eq!(ask("10.01", Role::Agent, budget, committed), asked);
    assert_eq!(ask("10.01", Role::Person, budget, committed), Decision::Allowed { cap: usd("10.01") });
    let refused = Decision::Refused(Rule::BudgetExhausted(limit(10, "monthly_max_usd", "100")));
    for role in [Role::Agent, Role::Person] {
        assert_eq!(ask("10.01", role, "monthly_max_usd = 100", committed), refused);
    }
}

#[test]
fn daily_cap_is_judged_by_its_fullest_month() {
    let registry = Registry::parse(&format!("{PROVIDER}\n[policy]\nmonthly_budget_usd = 31"), "test").unwrap();
    let provider = registry.providers().next().unwrap();
    let decided = |cap: &str, expires_at: Option<&str>| {
        let expires_at = expires_at.map(|time| time.parse().unwrap());
        let daily = CapRequest { expires_at, ..request(usd(cap), Role::Agent, CapPeriod::Day) };
        decide(&daily, provider, &registry.policy, &nothing())
    };
    assert_eq!(decided("1", None), Decision::Allowed { cap: usd("1") });
    let Decision::NeedsApproval { without, excess, .. } = decided("1.01", None) else { panic!() };
    assert_eq!(without, Some(usd("1")));
    assert!(matches!(excess[..], [Excess::MonthlyBudget { month: None, needed, .. }] if needed == usd("31.31")));
    // Ten days of November, and none of December.
    assert_eq!(decided("3.10", Some("2026-11-30T23:00:00Z")), Decision::Allowed { cap: usd("3.10") });
}

#[test]
fn live_projects_and_caps_of_a_provider_ask_and_a_policy_refuses() {
    let committed = Committed { provider_caps: usd("80"), ..live(2, usd("80")) };
    let excess = |decision| match decision {
        Decision::NeedsApproval { excess, .. } => excess,
        other => panic!("{other:?}"),
    };
    let source = at_line(10, "max_live_projects");
    let many = excess(ask("1", Role::Agent, "max_live_projects = 2", committed));
    assert_eq!(many, [Excess::LiveProjects { live: 2, limit: 2, source }]);
    let of_provider = excess(ask("20.01", Role::Agent, "monthly_budget_usd = 1000", committed));
    assert!(matches!(of_provider[..], [Excess::ProviderCaps { needed, .. }] if needed == usd("100.01")));
    assert_eq!(ask("20.01", Role::Person, "", committed), Decision::Allowed { cap: usd("20.01") });

    let registry = Registry::parse(PROVIDER, "test").unwrap();
    let tight = registry.under(&UserPolicy::parse("[providers.memory]\nmax_cap_usd = 90", "c").unwrap());
    let provider = tight.providers().next().unwrap();
    let decided = |cap| decide(&request(usd(cap), Role::Person, CapPeriod::Month), provider, &tight.policy, &committed);
    assert_eq!(decided("10"), Decision::Allowed { cap: usd("10") });
    assert!(matches!(decided("10.01"), Decision::Refused(Rule::BudgetExhausted(Excess::ProviderCaps { .. }))));
}

#[test]
fn agent_always_asks_for_a_raise() {
    let registry = Registry::parse(&format!("{PROVIDER}\n[policy]\napproval = 'never'"), "test").unwrap();
    let provider = registry.providers().next().unwrap();
    let one = Added { projects: 0, caps: usd("1"), this_month: usd("1"), coming: usd("1") };
    let decided = |cap, role| decide_raise(usd(cap), &one, role, provider, &registry.policy, &nothing());
    assert_eq!(decided("2", Role::Agent), asked("2", None));
    assert_eq!(decided("2", Role::Person), Decision::Allowed { cap: usd("2") });
    assert!(matches!(decided("101", Role::Person), Decision::Refused(Rule::AboveMaximum { .. })));
}

#[test]
fn a_denial_wins() {
    let none = nothing();
    for policy in ["denied = ['memory']", "allowed = []", "allowed = ['memory']\ndenied = ['memory']"] {
        assert_eq!(ask("1", Role::Person, policy, none), Decision::Refused(Rule::NotAllowed), "{policy}");
    }
    assert!(matches!(ask("1", Role::Agent, "allowed = ['memory']", none), Decision::Allowed { .. }));
}

#[test]
fn the_word_on_approvals_binds_agents_and_never_lifts_a_rule() {
    let none = nothing();
    let always = "approval = 'always'";
    assert_eq!(ask("1", Role::Agent, always, none), asked("1", None));
    assert_eq!(ask("0", Role::Agent, always, none), asked("25", None));
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
        decide(&request(usd("30"), Role::Agent, CapPeriod::Month), provider, &registry.policy, &nothing())
    };
    let free = decide_with("approval = 'never'", "approval = 'always'");
    assert_eq!(free, Decision::Allowed { cap: usd("30") });
    let always = decide_with("approval = 'always'", "approval = 'never'");
    assert_eq!(always, asked("30", None));
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
        period in prop_oneof![Just(CapPeriod::Day), Just(CapPeriod::Month), Just(CapPeriod::Total)],
    ) {
        let registry = Registry::parse(&format!("{PROVIDER}\n{}\n[policy]\n{}", registry.1, registry.0), "r").unwrap();
        let above = format!("[policy]\n{}\n[providers.memory]\n{}{}", user.0, user.1, caps);
        let tight = registry.clone().under(&UserPolicy::parse(&above, "c").unwrap());
        let role = if human { Role::Person } else { Role::Agent };
        let committed = Committed { provider_caps: Cents::sum_of(committed / 2), ..self::live(live, Cents::sum_of(committed)) };
        let decided = |registry: &Registry, wanted: Cents| {
            let provider = registry.providers().next().unwrap();
            decide(&request(wanted, role, period), provider, &registry.policy, &committed)
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
        line("max_projects", (1_u64..6).prop_map(|count| count.to_string()).boxed()),
        line("monthly_budget_usd", (1_u64..300).prop_map(|usd| usd.to_string()).boxed()),
        line("monthly_max_usd", (1_u64..300).prop_map(|usd| usd.to_string()).boxed()),
        line("total_cap_usd", (1_u64..300).prop_map(|usd| usd.to_string()).boxed()),
    );
    let policy = policy.prop_map(|(a, b, c, d, e, f, g, h)| [a, b, c, d, e, f, g, h].concat());
    (policy, line("approval", quoted))
}

/// Caps for an entry of a user's policy.
fn caps() -> impl Strategy<Value = String> {
    let cap = |key: &'static str| {
        prop::option::of(1_u64..120).prop_map(move |usd| usd.map(|usd| format!("{key} = {usd}\n")).unwrap_or_default())
    };
    (cap("default_cap_usd"), cap("max_cap_usd")).prop_map(|(default, max)| default + &max)
}
