//! A policy file: limits that are kept outside the workspace, where an agent cannot edit them.
//!
//! It can only tighten: of two settings the stricter one wins, and a setting that it omits stays as in the other files.
//! It means a provider by the service that is *bought*: an entry that is renamed in the registry is still the same
//! service, and a key of the built-in registry means that service only.

use std::collections::BTreeMap;

use domain::{money::Cents, name::ProviderKey};

use super::approval::ApprovalRule;
use super::error::SpannedProblem;
use super::limit_source::{Source, Written, greatest, least};
use super::limits::Limits;
use super::policy::lower;
use super::provider::Provider;
use super::wire::{self, Document};
use super::{Alerts, Origin, Registry, RegistryError};

/// The limits of one policy file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserPolicy {
    pub(super) alerts: Option<Alerts>,
    pub(super) limits: Limits,
    providers: BTreeMap<ProviderKey, ProviderLimits>,
}

/// Limits for one provider.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct ProviderLimits {
    approval: Option<Written<ApprovalRule>>,
    default_cap: Option<Written<Cents>>,
    max_cap: Option<Written<Cents>>,
}

impl ProviderLimits {
    fn read(table: &wire::Value<'_>, document: &Document<'_>) -> Result<Self, SpannedProblem> {
        let table: wire::ProviderLimits = wire::read(table)?;
        Ok(Self {
            approval: document.written(table.approval.as_ref(), ApprovalRule::read)?,
            default_cap: document.written(table.default_cap_usd.as_ref(), |usd| document.cap(usd))?,
            max_cap: document.written(table.max_cap_usd.as_ref(), |usd| document.cap(usd))?,
        })
    }
}

impl UserPolicy {
    /// Parses a policy file. Errors name `file` and quote no value of it.
    ///
    /// # Errors
    /// [`RegistryError`] with the place and the rule.
    pub fn parse(text: &str, file: &str) -> Result<Self, RegistryError> {
        Self::parse_of(Origin::Owner, text, file)
    }

    /// As [`Self::parse`]. A file of a workspace cannot name the receiver of alerts.
    pub(super) fn parse_of(origin: Origin, text: &str, file: &str) -> Result<Self, RegistryError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::read(origin, text, file).map_err(|problem| problem.in_file(file, text))
    }

    /// Returns the policy of an owner's registry, which judges providers as a policy file does.
    pub(super) fn of_registry(limits: Limits) -> Self {
        // Its rule for approvals is part of its entries already.
        Self { limits: Limits { approval: None, ..limits }, ..Self::default() }
    }

    fn read(origin: Origin, text: &str, file: &str) -> Result<Self, SpannedProblem> {
        let document = Document::parse::<wire::UserPolicyKeys>(text, file)?;
        // Any key is accepted: only some registries may have that provider.
        let limits = Limits::read(&document, Ok)?;
        let alerts = Alerts::of(origin, &document)?;
        let mut providers = BTreeMap::new();
        for (name, entry) in document.get("providers").map(wire::entries).transpose()?.unwrap_or_default() {
            providers.insert(wire::parse(&name, ProviderKey::parse)?, ProviderLimits::read(entry, &document)?);
        }
        Ok(Self { alerts, limits, providers })
    }

    /// Returns when this file wants a person to be asked about a provider, if it says.
    pub(super) fn approval_of(&self, provider: &Provider, builtin: Option<&Registry>) -> Option<ApprovalRule> {
        self.limits_for(provider, builtin).approval.map(|rule| rule.value)
    }

    /// Combines all entries that apply to a provider.
    fn limits_for(&self, provider: &Provider, builtin: Option<&Registry>) -> ProviderLimits {
        let named = self.providers.iter().filter(|(name, _)| may_mean(name, provider, builtin)).map(|(_, own)| own);
        let mut limits = named.cloned().fold(ProviderLimits::default(), |one, other| ProviderLimits {
            approval: greatest(one.approval, other.approval),
            default_cap: least(one.default_cap, other.default_cap),
            max_cap: least(one.max_cap, other.max_cap),
        });
        limits.approval = limits.approval.or_else(|| self.limits.approval.clone());
        limits
    }

    /// Returns the list that keeps a provider from being used, if one does.
    fn denial(&self, provider: &Provider, builtin: Option<&Registry>) -> Option<(&'static str, &Source)> {
        let means = |list: &Written<Vec<_>>| list.value.iter().any(|name| means(name, provider, builtin));
        let may_mean = |list: &Written<Vec<_>>| list.value.iter().any(|name| may_mean(name, provider, builtin));
        let denied = self.limits.denied.as_ref().filter(|list| may_mean(list));
        let not_allowed = self.limits.allowed.as_ref().filter(|list| !means(list));
        let denied = denied.map(|list| ("denied", &list.source));
        denied.or(not_allowed.map(|list| ("allowed", &list.source)))
    }
}

impl Registry {
    /// Returns the registry with every setting at least as strict as in a policy file.
    #[must_use]
    pub fn under(mut self, user: &UserPolicy) -> Self {
        let builtin = Self::builtin().ok();
        for provider in self.providers.values_mut() {
            let limits = user.limits_for(provider, builtin.as_ref());
            let own = provider.approval.unwrap_or(self.policy.approval);
            let rule = limits.approval.map(|rule| (rule.value, rule.source)).filter(|(rule, _)| *rule > own);
            provider.approval = Some(rule.as_ref().map_or(own, |(rule, _)| *rule));
            let sources = &mut provider.sources;
            if let Some((_, source)) = &rule {
                sources.set("approval", source);
            }
            if let Some(total) = &limits.max_cap {
                let totals = &mut self.policy.provider_totals;
                let lowest = totals.get(&provider.key).map_or(total.value, |other| total.value.min(*other));
                totals.insert(provider.key.clone(), lowest);
                self.policy.sources.set("max_cap_usd", &total.source);
            }
            lower(&mut provider.max_cap, limits.max_cap.as_ref(), "max_cap_usd", sources);
            lower(&mut provider.default_cap, limits.default_cap.as_ref(), "default_cap_usd", sources);
            lower(&mut provider.default_cap, limits.max_cap.as_ref(), "default_cap_usd", sources);
            provider.unapproved_cap = provider.unapproved_cap.min(provider.default_cap);
            if let Some((key, source)) = user.denial(provider, builtin.as_ref()) {
                provider.sources.set(key, source);
                self.policy.denied.push(provider.key.clone());
            }
        }
        self.policy.tighten(&user.limits);
        self.alerts = user.alerts.clone().or(self.alerts);
        self
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
        same.providers.values_mut().for_each(|provider| provider.approval = None); // the rule of the policy, written out
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
