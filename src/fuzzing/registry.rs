//! The registry and the user's policy: an error quotes nothing, and the policy only tightens.

use files::registry::{BUILTIN, Registry, UserPolicy};

use super::{assert_quotes_nothing, plant_credentials};

/// Takes a registry and, after a line of dashes, a user's policy. Without that line the text is both.
///
/// # Panics
/// If an error quotes the text, or the policy loosens anything.
pub fn registry(bytes: &[u8]) {
    let text = plant_credentials(bytes);
    let (registry, policy) = text.split_once("\n---\n").unwrap_or((&text, &text));
    let read = Registry::parse(registry, "providers.toml");
    let over = UserPolicy::parse(policy, "policy.toml");
    for error in [read.as_ref().err(), over.as_ref().err()].into_iter().flatten() {
        assert_quotes_nothing(&format!("{error} {error:?}"));
        assert!(error.line > 0 && error.column > 0, "lines and columns are counted from 1");
    }
    if let (Ok(registry), Ok(policy)) = (read.or_else(|_| Registry::parse(BUILTIN, "providers.toml")), over) {
        assert_only_tighter(&registry, &registry.clone().under(&policy));
        let once = registry.under(&policy);
        assert!(sorted(once.clone().under(&policy)) == sorted(once), "the same policy twice is another policy");
    }
}

fn assert_only_tighter(before: &Registry, after: &Registry) {
    assert!(before.providers().map(|provider| &provider.key).eq(after.providers().map(|provider| &provider.key)));
    for (before, after) in before.providers().zip(after.providers()) {
        assert!(after.default_cap <= before.default_cap, "a default was raised");
        assert!(after.max_cap <= before.max_cap, "a maximum was raised");
        assert!(after.default_cap <= after.max_cap, "a default is above its maximum");
        let rule = after.approval.unwrap_or_default();
        assert!(before.approval.is_none_or(|before| rule.stricter(before) == rule), "approval was loosened");
        assert!(before.service == after.service && before.deliveries == after.deliveries, "an entry was changed");
    }
    let (before, after) = (&before.policy, &after.policy);
    assert!(after.approval.stricter(before.approval) == after.approval, "approval was loosened");
    assert!(after.approval_ttl <= before.approval_ttl, "an approval lasts longer");
    assert!(before.denied.iter().all(|key| after.denied.contains(key)), "a denied provider is allowed");
    assert!(is_at_most(after.max_live_projects, before.max_live_projects), "more projects may live");
    assert!(is_at_most(after.max_projects, before.max_projects), "more projects may live");
    assert!(is_at_most(after.monthly_budget, before.monthly_budget), "more may be committed");
    assert!(is_at_most(after.monthly_max, before.monthly_max), "more may be committed");
    assert!(is_at_most(after.total_cap, before.total_cap), "more may be spent");
}

/// Sorts the denied providers and removes duplicates.
fn sorted(mut registry: Registry) -> Registry {
    registry.policy.denied.sort();
    registry.policy.denied.dedup();
    registry
}

fn is_at_most<T: PartialOrd>(after: Option<T>, before: Option<T>) -> bool {
    before.is_none_or(|before| after.is_some_and(|after| after <= before))
}
