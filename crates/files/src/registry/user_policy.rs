//! The user's policy: limits that are kept outside the workspace, where an agent cannot edit them.
//!
//! It can only tighten: of two settings the stricter one wins, and a setting that it omits stays as in the registry. Its
//! receiver of alerts replaces the one of the registry. It means a provider by the service that is *bought*: an entry
//! that is renamed in the registry is still the same service, and a key of the built-in registry means that service only.

use std::collections::BTreeMap;

use domain::{money::Cents, name::ProviderKey};

use super::approval::ApprovalRule;
use super::error::SpannedProblem;
use super::provider::Provider;
use super::wire::{self, Document};
use super::{Alerts, Policy, Registry, RegistryError};

/// Limits that no registry can loosen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserPolicy {
    alerts: Option<Alerts>,
    limits: Policy,
    providers: BTreeMap<ProviderKey, ProviderLimits>,
}

/// Limits for one provider.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct ProviderLimits {
    approval: Option<ApprovalRule>,
    default_cap: Option<Cents>,
    max_cap: Option<Cents>,
}

impl ProviderLimits {
    fn read(table: &wire::Value<'_>, document: &Document<'_>) -> Result<Self, SpannedProblem> {
        let table: wire::ProviderLimits = wire::read(table)?;
        Ok(Self {
            approval: ApprovalRule::from_wire(table.approval.as_ref())?,
            default_cap: document.optional_cap(table.default_cap_usd.as_ref())?,
            max_cap: document.optional_cap(table.max_cap_usd.as_ref())?,
        })
    }
}

impl UserPolicy {
    /// Returns the policy of a user who has written none: the built-in limits alone.
    pub fn none() -> Self {
        Self { alerts: None, limits: Policy::unlimited(), providers: BTreeMap::new() }
    }

    /// Parses a policy file. Errors name `file` and quote no value of it.
    ///
    /// # Errors
    /// [`RegistryError`] with the place and the rule.
    pub fn parse(text: &str, file: &str) -> Result<Self, RegistryError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::read(text).map_err(|problem| problem.in_file(file, text))
    }

    fn read(text: &str) -> Result<Self, SpannedProblem> {
        let document = Document::parse::<wire::UserPolicyKeys>(text)?;
        // Any key is accepted: only some registries may have that provider.
        let limits = Policy::read(&document, Policy::unlimited(), Ok)?;
        let alerts = document.get("alerts").map(Alerts::read).transpose()?;
        let mut providers = BTreeMap::new();
        for (name, entry) in document.get("providers").map(wire::entries).transpose()?.unwrap_or_default() {
            providers.insert(wire::parse(&name, ProviderKey::parse)?, ProviderLimits::read(entry, &document)?);
        }
        Ok(Self { alerts, limits, providers })
    }

    /// Combines all entries that apply to a provider.
    fn limits_for(&self, provider: &Provider, builtin: Option<&Registry>) -> ProviderLimits {
        let named = self.providers.iter().filter(|(name, _)| may_mean(name, provider, builtin)).map(|(_, own)| own);
        let mut limits = named.fold(ProviderLimits::default(), |one, other| ProviderLimits {
            approval: one.approval.max(other.approval),
            default_cap: least(one.default_cap, other.default_cap),
            max_cap: least(one.max_cap, other.max_cap),
        });
        limits.approval = limits.approval.or(Some(self.limits.approval));
        limits
    }

    fn allows(&self, provider: &Provider, builtin: Option<&Registry>) -> bool {
        let allowed = self.limits.allowed.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|name| means(name, provider, builtin)))
            && !self.limits.denied.iter().any(|name| may_mean(name, provider, builtin))
    }
}

impl Registry {
    /// Returns the registry with every setting at least as strict as in the user's policy.
    #[must_use]
    pub fn under(self, user: &UserPolicy) -> Self {
        let Self { policy, mut providers, alerts } = self;
        let builtin = Self::builtin().ok();
        let mut provider_totals = policy.provider_totals;
        for provider in providers.values_mut() {
            let limits = user.limits_for(provider, builtin.as_ref());
            let total = least(provider_totals.get(&provider.key).copied(), limits.max_cap);
            provider_totals.extend(total.map(|total| (provider.key.clone(), total)));
            provider.max_cap = lower(provider.max_cap, limits.max_cap);
            provider.default_cap = lower(lower(provider.default_cap, limits.default_cap), Some(provider.max_cap));
            let own = provider.approval.unwrap_or(policy.approval);
            provider.approval = limits.approval.max(Some(own));
        }
        let denied = providers.values().filter(|provider| !user.allows(provider, builtin.as_ref()));
        let denied: Vec<_> = denied.map(|provider| provider.key.clone()).collect();
        let (limits, fallback) = (&user.limits, Policy::built_in());
        let policy = Policy {
            approval: limits.approval.stricter(policy.approval),
            approval_ttl: limits.approval_ttl.min(policy.approval_ttl),
            denied: policy.denied.into_iter().chain(denied).collect(),
            max_live_projects: least(policy.max_live_projects, limits.max_live_projects.or(fallback.max_live_projects)),
            max_projects: least(policy.max_projects, limits.max_projects),
            monthly_budget: least(policy.monthly_budget, limits.monthly_budget.or(fallback.monthly_budget)),
            monthly_max: least(policy.monthly_max, limits.monthly_max),
            total_cap: least(policy.total_cap, limits.total_cap),
            allowed: policy.allowed,
            provider_totals,
            sources: policy.sources,
        };
        Self { alerts: user.alerts.clone().or(alerts), policy, providers }
    }
}

/// Returns whether a name certainly means this entry, for a list that allows.
///
/// It does by Stripe's name of the provider, or by the key if the built-in registry buys the same under that key.
fn means(name: &ProviderKey, provider: &Provider, builtin: Option<&Registry>) -> bool {
    let known = builtin.and_then(|builtin| builtin.get(name)).map(|known| known.service.provider());
    let theirs = provider.service.provider();
    name.as_str() == theirs || (*name == provider.key && known.is_none_or(|known| known == theirs))
}

/// Returns whether a name may mean this entry, for a limit: the key alone is enough, and so is the same service.
fn may_mean(name: &ProviderKey, provider: &Provider, builtin: Option<&Registry>) -> bool {
    let known = builtin.and_then(|builtin| builtin.get(name)).map(|known| known.service.provider());
    let theirs = provider.service.provider();
    *name == provider.key || name.as_str() == theirs || known == Some(theirs)
}

/// Returns the smaller limit, or the only one.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn lower(cap: Cents, limit: Option<Cents>) -> Cents {
    limit.map_or(cap, |limit| limit.min(cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(registry: &str, user_policy: &str) -> Registry {
        let registry = Registry::parse(registry, "r").unwrap();
        registry.under(&UserPolicy::parse(user_policy, "c").unwrap())
    }

    fn entry(key: &str, service: &str, more: &str) -> String {
        format!(
            "[providers.{key}]\nlabel = 'x'\nservice = '{service}'\nenv_var = 'X'\ndefault_cap_usd = 20\n\
             max_cap_usd = 50\ndocs = 'https://example.com'\n{more}\n"
        )
    }

    fn key(text: &str) -> ProviderKey {
        ProviderKey::parse(text).unwrap()
    }

    #[test]
    fn stricter_setting_wins() {
        let registry = format!(
            "version = 1\n[policy]\napproval = 'never'\napproval_ttl_minutes = 60\nmax_live_projects = 3\n\
             total_cap_usd = 30\ndenied = ['b']\n{}{}",
            entry("a", "aa/x", ""),
            entry("b", "bb/x", "approval = 'always'")
        );
        let both = under(
            &registry,
            "[policy]\napproval = 'above-default'\napproval_ttl_minutes = 5\nmax_live_projects = 9\n\
             total_cap_usd = 10\nallowed = ['b']\n[providers.a]\nmax_cap_usd = 15\n[providers.b]\napproval = 'never'",
        );
        let policy = &both.policy;
        assert_eq!((policy.approval, policy.approval_ttl), (ApprovalRule::AboveDefault, 5));
        assert_eq!((policy.max_live_projects, policy.total_cap), (Some(3), Cents::new(1_000)));
        assert_eq!(policy.denied, [key("b"), key("a")]);
        let (a, b) = (both.get(&key("a")).unwrap(), both.get(&key("b")).unwrap());
        assert_eq!((a.default_cap.cents(), a.max_cap.cents()), (1_500, 1_500));
        assert_eq!((a.approval, b.approval), (Some(ApprovalRule::AboveDefault), Some(ApprovalRule::Always)));
    }

    #[test]
    fn registry_cannot_replace_the_users_receiver() {
        let registry = |url: &str| format!("version = 1\n[alerts]\nurl = '{url}'\n{}", entry("a", "aa/x", ""));
        let pinned = "[alerts]\nurl = 'https://alerts.example.com/ours'";
        for inside in ["https://evil.example.com/", "https://alerts.example.com/other"] {
            let alerts = under(&registry(inside), pinned).alerts.unwrap();
            assert_eq!((alerts.url.as_str(), alerts.allow_hosts.len()), ("https://alerts.example.com/ours", 0));
            assert_eq!(under(&registry(inside), "").alerts.unwrap().url, inside);
        }
        assert_eq!(
            under(&format!("version = 1\n{}", entry("a", "aa/x", "")), pinned).alerts.unwrap().allow_hosts.len(),
            0
        );
    }

    #[test]
    fn empty_policy_changes_no_limit() {
        let plain = Registry::builtin().unwrap();
        let mut same = Registry::builtin().unwrap().under(&UserPolicy::parse("", "c").unwrap());
        same.providers.values_mut().for_each(|provider| provider.approval = None);
        assert_eq!(same, plain);
    }

    #[test]
    fn renamed_entry_is_matched_by_its_service() {
        let renamed = format!("version = 1\n{}", entry("harmless", "browserbase/project", ""));
        for policy in ["denied = ['browser']", "denied = ['browserbase']", "denied = ['harmless']"] {
            assert_eq!(under(&renamed, &format!("[policy]\n{policy}")).policy.denied, [key("harmless")], "{policy}");
        }
        let capped = under(&renamed, "[providers.browser]\nmax_cap_usd = 1");
        assert_eq!(capped.get(&key("harmless")).unwrap().max_cap.cents(), 100);

        let disguised = format!("version = 1\n{}", entry("search", "browserbase/project", ""));
        let search_only = "[policy]\nallowed = ['search']";
        assert_eq!(under(&disguised, search_only).policy.denied, [key("search")]);
        let honest = format!("version = 1\n{}", entry("search", "exa/api", ""));
        assert!(under(&honest, search_only).policy.denied.is_empty());
    }

    #[test]
    fn invalid_policy_is_refused_with_its_place() {
        for (text, error) in [
            ("version = 2", "1:11: unknown version of the file format; this program reads version 1"),
            ("[polcy]", "1:2: unknown key; did you mean `policy`?"),
            ("[policy]\napproval = 'canary'", "2:12: an approval rule is \"never\", \"above-default\" or \"always\""),
            ("[policy]\napproval = true", "2:12: expected a quoted string"),
            (
                "[policy]\napproval_ttl_minutes = 0",
                "2:24: the lifetime of an approval is a whole number of minutes from 1 to 10080",
            ),
            (
                "[policy]\ndenied = ['Canary']",
                "2:11: a provider key is 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit",
            ),
            ("[providers.a]\nlabel = 'canary'", "2:1: unknown key"),
            ("[providers.a]\nmax_cap_usd = 'canary'", "2:15: expected an amount in US dollars, such as 15 or 15.50"),
            ("[policy", "1:8: invalid TOML"),
        ] {
            let refused = UserPolicy::parse(text, "p").unwrap_err();
            assert_eq!(refused.to_string(), format!("p:{error}"), "{text}");
            assert!(!format!("{refused:?}").to_lowercase().contains("canary"), "{text}");
        }
    }
}
