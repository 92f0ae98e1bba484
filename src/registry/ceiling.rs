//! The ceiling: a policy that is kept outside the workspace, where an agent that edits the workspace cannot reach it.
//!
//! It can only tighten. Whatever it leaves out stays as the registry has it, and of two words the stricter counts. Where
//! it names a receiver of alerts, that one counts and no other. A
//! name in it means a provider by what is *bought*: an entry that was renamed in the registry is still the same
//! service, and a name that the built-in registry has means that service and no other.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::approval::{self, ApprovalRule};
use super::error::Fault;
use super::policy::count;
use super::provider::Provider;
use super::wire::{self, Table, Value};
use super::{Alerts, Policy, Registry, RegistryError, version};
use crate::money::Cents;
use crate::name::ProviderKey;

/// Limits that no registry can lift.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ceiling {
    alerts: Option<Alerts>,
    approval: Option<ApprovalRule>,
    approval_ttl: Option<u32>,
    allowed: Option<Vec<ProviderKey>>,
    denied: Vec<ProviderKey>,
    max_live_projects: Option<u64>,
    total_cap: Option<Cents>,
    providers: BTreeMap<ProviderKey, ProviderCeiling>,
}

/// Limits for one provider.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct ProviderCeiling {
    approval: Option<ApprovalRule>,
    default_cap: Option<Cents>,
    max_cap: Option<Cents>,
}

impl Ceiling {
    /// Reads a whole policy file. `file` is what errors call the text's origin.
    ///
    /// # Errors
    /// [`RegistryError`] says where the text is wrong and why, and never quotes it.
    pub fn parse(text: &str, file: &str) -> Result<Self, RegistryError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::read(text).map_err(|fault| fault.in_file(file, text))
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let tree = DeTable::parse(text).map_err(|error| Fault::syntax(&error))?;
        let file = Table::whole_file(tree.get_ref());
        file.optional("version", version)?;
        file.refuse_unknown_keys(&["alerts", "policy", "providers", "version"])?;
        let mut ceiling = file.optional("policy", read_policy)?.unwrap_or_default();
        ceiling.alerts = file.optional("alerts", Alerts::read)?;
        ceiling.providers = file.optional("providers", read_providers)?.unwrap_or_default();
        Ok(ceiling)
    }

    fn over(&self, provider: &Provider, builtin: Option<&Registry>) -> ProviderCeiling {
        let named = self.providers.iter().filter(|(name, _)| touches(name, provider, builtin)).map(|(_, own)| own);
        let mut over = named.fold(ProviderCeiling::default(), |one, other| ProviderCeiling {
            approval: stricter(one.approval, other.approval),
            default_cap: least(one.default_cap, other.default_cap),
            max_cap: least(one.max_cap, other.max_cap),
        });
        over.approval = over.approval.or(self.approval);
        over
    }

    fn allows(&self, provider: &Provider, builtin: Option<&Registry>) -> bool {
        let allowed = self.allowed.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|name| means(name, provider, builtin)))
            && !self.denied.iter().any(|name| touches(name, provider, builtin))
    }
}

impl Registry {
    /// The registry with every word of it at least as strict as the ceiling's.
    #[must_use]
    pub fn under(self, ceiling: &Ceiling) -> Self {
        let Self { policy, mut providers, alerts } = self;
        let builtin = Self::builtin().ok();
        let usual = policy.approval;
        for provider in providers.values_mut() {
            let over = ceiling.over(provider, builtin.as_ref());
            provider.max_cap = lower(provider.max_cap, over.max_cap);
            provider.default_cap = lower(lower(provider.default_cap, over.default_cap), Some(provider.max_cap));
            let own = provider.approval.unwrap_or(usual);
            provider.approval = Some(over.approval.map_or(own, |over| over.stricter(own)));
        }
        let barred = providers.values().filter(|provider| !ceiling.allows(provider, builtin.as_ref()));
        let barred: Vec<_> = barred.map(|provider| provider.key.clone()).collect();
        let policy = Policy {
            approval: ceiling.approval.map_or(usual, |over| over.stricter(usual)),
            approval_ttl: ceiling.approval_ttl.map_or(policy.approval_ttl, |over| over.min(policy.approval_ttl)),
            denied: policy.denied.into_iter().chain(barred).collect(),
            max_live_projects: least(policy.max_live_projects, ceiling.max_live_projects),
            total_cap: least(policy.total_cap, ceiling.total_cap),
            ..policy
        };
        Self { alerts: ceiling.alerts.clone().or(alerts), policy, providers }
    }
}

/// Whether a name stands for this entry, where a match is a favour: by Stripe's name for the provider, or by the key,
/// provided that the entry buys what that key is known for.
fn means(name: &ProviderKey, provider: &Provider, builtin: Option<&Registry>) -> bool {
    let known = builtin.and_then(|builtin| builtin.get(name)).map(|known| known.service.provider());
    let theirs = provider.service.provider();
    name.as_str() == theirs || (*name == provider.key && known.is_none_or(|known| known == theirs))
}

/// The same where a match is a burden: the key alone is enough, and so is buying what that key is known for.
fn touches(name: &ProviderKey, provider: &Provider, builtin: Option<&Registry>) -> bool {
    let known = builtin.and_then(|builtin| builtin.get(name)).map(|known| known.service.provider());
    let theirs = provider.service.provider();
    *name == provider.key || name.as_str() == theirs || known == Some(theirs)
}

fn read_policy(value: &Value<'_>) -> Result<Ceiling, Fault> {
    let table = Table::of(value)?;
    table.refuse_unknown_keys(Policy::KEYS)?;
    // No registry is at hand here, and a name may be that of a provider in only some of them.
    let names = |value| wire::list(value)?.map(wire::parsed(ProviderKey::parse)).collect();
    Ok(Ceiling {
        alerts: None,
        approval: table.optional("approval", ApprovalRule::read)?,
        approval_ttl: table.optional("approval_ttl_minutes", approval::ttl)?,
        allowed: table.optional("allowed", names)?,
        denied: table.optional("denied", names)?.unwrap_or_default(),
        max_live_projects: table.optional("max_live_projects", count)?,
        total_cap: table.optional("total_cap_usd", wire::cap)?,
        providers: BTreeMap::new(),
    })
}

fn read_providers(value: &Value<'_>) -> Result<BTreeMap<ProviderKey, ProviderCeiling>, Fault> {
    let entries = Table::of(value)?.entries().into_iter();
    entries.map(|(name, entry)| Ok((wire::name(name, ProviderKey::parse)?, read_provider(entry)?))).collect()
}

fn read_provider(value: &Value<'_>) -> Result<ProviderCeiling, Fault> {
    let table = Table::of(value)?;
    table.refuse_unknown_keys(&["approval", "default_cap_usd", "max_cap_usd"])?;
    Ok(ProviderCeiling {
        approval: table.optional("approval", ApprovalRule::read)?,
        default_cap: table.optional("default_cap_usd", wire::cap)?,
        max_cap: table.optional("max_cap_usd", wire::cap)?,
    })
}

/// The smaller of two limits, either of which may be none.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn stricter(one: Option<ApprovalRule>, other: Option<ApprovalRule>) -> Option<ApprovalRule> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.stricter(other)),
        (one, other) => one.or(other),
    }
}

fn lower(cap: Cents, ceiling: Option<Cents>) -> Cents {
    ceiling.map_or(cap, |ceiling| ceiling.min(cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(registry: &str, ceiling: &str) -> Registry {
        let registry = Registry::parse(registry, "r").unwrap();
        registry.under(&Ceiling::parse(ceiling, "c").unwrap())
    }

    fn entry(key: &str, service: &str, words: &str) -> String {
        format!(
            "[providers.{key}]\nlabel = 'x'\nservice = '{service}'\nenv_var = 'X'\ndefault_cap_usd = 20\n\
             max_cap_usd = 50\ndocs = 'https://example.com'\n{words}\n"
        )
    }

    fn key(text: &str) -> ProviderKey {
        ProviderKey::parse(text).unwrap()
    }

    #[test]
    fn the_stricter_word_counts() {
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
    fn a_receiver_of_alerts_is_not_to_be_changed_from_within() {
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
    fn an_empty_ceiling_changes_no_limit() {
        let plain = Registry::builtin().unwrap();
        let mut same = Registry::builtin().unwrap().under(&Ceiling::default());
        same.providers.values_mut().for_each(|provider| provider.approval = None);
        assert_eq!(same, plain);
    }

    #[test]
    fn an_entry_that_was_renamed_is_still_what_it_buys() {
        let renamed = format!("version = 1\n{}", entry("harmless", "browserbase/project", ""));
        for ceiling in ["denied = ['browser']", "denied = ['browserbase']", "denied = ['harmless']"] {
            assert_eq!(under(&renamed, &format!("[policy]\n{ceiling}")).policy.denied, [key("harmless")], "{ceiling}");
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
    fn a_mistake_is_found_where_it_stands_and_not_quoted() {
        for (text, error) in [
            ("version = 2", "1:11: this version of the registry format is unknown; this program reads version 1"),
            ("[polcy]", "1:2: unknown key; did you mean `policy`?"),
            ("[policy]\napproval = 'canary'", "2:12: an approval is \"never\", \"above-default\" or \"always\""),
            ("[policy]\napproval = true", "2:12: expected a text in quotes"),
            (
                "[policy]\napproval_ttl_minutes = 0",
                "2:24: the time for an approval is a whole number of minutes from 1 to 10080",
            ),
            (
                "[policy]\ndenied = ['Canary']",
                "2:11: a provider key is 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit",
            ),
            ("[providers.a]\nlabel = 'canary'", "2:1: unknown key"),
            ("[providers.a]\nmax_cap_usd = 'canary'", "2:15: expected an amount in US dollars, such as 15 or 15.50"),
            ("[policy", "1:8: this is not valid TOML"),
        ] {
            let refused = Ceiling::parse(text, "p").unwrap_err();
            assert_eq!(refused.to_string(), format!("p:{error}"), "{text}");
            assert!(!format!("{refused:?}").to_lowercase().contains("canary"), "{text}");
        }
    }
}
