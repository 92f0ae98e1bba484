//! The limits over all providers together, after every file that counts.

use std::collections::BTreeMap;

use domain::{money::Cents, name::ProviderKey};

use super::UserPolicy;
use super::approval::{ApprovalRule, DEFAULT_TTL, LONGEST_TTL};
use super::limit_source::{Sources, Written};
use super::limits::Limits;

/// The limits over all providers. An absent one does not limit; a key in both lists is denied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// For every provider whose entry has no rule of its own.
    pub approval: ApprovalRule,
    /// In minutes: how long a request waits for a decision and, once approved, for its use.
    pub approval_ttl: u32,
    /// `None` allows every provider; an empty list allows none.
    pub allowed: Option<Vec<ProviderKey>>,
    pub denied: Vec<ProviderKey>,
    /// The forms that a workspace may show in an hour. A policy can only lower it.
    pub max_forms_per_hour: u32,
    /// At least 1. A person may allow more.
    pub max_live_projects: Option<u64>,
    /// At least 1. Nothing allows more.
    pub max_projects: Option<u64>,
    /// The rotations of one project by an agent in an hour. A policy can only lower it.
    pub max_rotations_per_hour: u32,
    /// What a calendar month (UTC) may commit. A person may allow more.
    pub monthly_budget: Option<Cents>,
    /// What a calendar month (UTC) may commit. Nothing allows more.
    pub monthly_max: Option<Cents>,
    /// The sum of the caps of all live projects stays at or below this.
    pub total_cap: Option<Cents>,
    /// Limits on the sum of the live caps with one provider, by the key of its entry. Only policies have them.
    pub provider_totals: BTreeMap<ProviderKey, Cents>,
    /// The lines of these limits, such as `policy.toml:3`, by their keys.
    pub sources: Sources,
}

impl Policy {
    /// Returns the limits of policy files alone, for where no registry can be read.
    pub fn of_files(policies: &[UserPolicy]) -> Self {
        let limits = policies.iter().fold(Limits::default(), |limits, policy| limits.stricter(&policy.limits));
        Self::effective(&limits, &Limits::default())
    }

    /// Returns the limits of the files outside the workspace, tightened by the workspace's own.
    ///
    /// A built-in value applies to a key that no file outside the workspace names. The lists of providers are those of
    /// `inside`: every other file judges each provider alone.
    pub(super) fn effective(outside: &Limits, inside: &Limits) -> Self {
        let builtin = Self::default();
        let unlimited = Self {
            approval: outside.approval.as_ref().map_or(builtin.approval, |_| ApprovalRule::Never),
            approval_ttl: outside.approval_ttl.as_ref().map_or(builtin.approval_ttl, |_| LONGEST_TTL),
            max_live_projects: builtin.max_live_projects.filter(|_| outside.max_live_projects.is_none()),
            monthly_budget: builtin.monthly_budget.filter(|_| outside.monthly_budget.is_none()),
            ..builtin
        };
        let mut policy = unlimited;
        policy.tighten(outside);
        policy.tighten(inside);
        for (key, list) in [("allowed", &inside.allowed), ("denied", &inside.denied)] {
            if let Some(list) = list {
                policy.sources.set(key, &list.source);
            }
        }
        policy.allowed = inside.allowed.as_ref().map(|list| list.value.clone());
        policy.denied = inside.denied.as_ref().map(|list| list.value.clone()).unwrap_or_default();
        policy
    }

    /// Tightens these limits by those of a policy file, except for its lists of providers.
    pub(super) fn tighten(&mut self, by: &Limits) {
        let sources = &mut self.sources;
        if let Some(rule) = by.approval.as_ref().filter(|rule| rule.value > self.approval) {
            self.approval = rule.value;
            sources.set("approval", &rule.source);
        }
        lower(&mut self.approval_ttl, by.approval_ttl.as_ref(), "approval_ttl_minutes", sources);
        lower(&mut self.max_forms_per_hour, by.max_forms_per_hour.as_ref(), "max_forms_per_hour", sources);
        let rotations = by.max_rotations_per_hour.as_ref();
        lower(&mut self.max_rotations_per_hour, rotations, "max_rotations_per_hour", sources);
        limit(&mut self.max_live_projects, by.max_live_projects.as_ref(), "max_live_projects", sources);
        limit(&mut self.max_projects, by.max_projects.as_ref(), "max_projects", sources);
        limit(&mut self.monthly_budget, by.monthly_budget.as_ref(), "monthly_budget_usd", sources);
        limit(&mut self.monthly_max, by.monthly_max.as_ref(), "monthly_max_usd", sources);
        limit(&mut self.total_cap, by.total_cap.as_ref(), "total_cap_usd", sources);
    }
}

/// Lowers a value to a smaller one that is written, and notes its line.
pub(super) fn lower<T: Copy + Ord>(value: &mut T, by: Option<&Written<T>>, key: &'static str, sources: &mut Sources) {
    if let Some(written) = by.filter(|written| written.value < *value) {
        *value = written.value;
        sources.set(key, &written.source);
    }
}

/// As [`lower`], for a value that may be absent.
fn limit<T: Copy + Ord>(value: &mut Option<T>, by: Option<&Written<T>>, key: &'static str, sources: &mut Sources) {
    if let Some(written) = by.filter(|written| value.is_none_or(|value| written.value < value)) {
        *value = Some(written.value);
        sources.set(key, &written.source);
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            approval: ApprovalRule::default(),
            approval_ttl: DEFAULT_TTL,
            allowed: None,
            denied: Vec::new(),
            max_forms_per_hour: 6,
            max_live_projects: Some(10),
            max_projects: None,
            max_rotations_per_hour: 6,
            monthly_budget: Cents::new(10_000),
            monthly_max: None,
            total_cap: None,
            provider_totals: BTreeMap::new(),
            sources: Sources::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{BUILTIN, Registry, RegistryError};

    /// Puts the table on line 2.
    fn policy(line: &str) -> Result<Policy, RegistryError> {
        let providers = BUILTIN.replace("version = 1", "");
        let text = format!("version = 1\npolicy = {{ {line} }}\n{providers}");
        Registry::parse(&text, "p.toml").map(|registry| registry.policy)
    }

    #[test]
    fn policy_with_limits_is_read() {
        assert_eq!(policy(""), Ok(Policy::default()));
        let key = |text| ProviderKey::parse(text).unwrap();
        let line = "allowed = ['llm', 'search'], denied = ['email'], max_live_projects = 3, total_cap_usd = 99.5, \
            approval = 'always', approval_ttl_minutes = 5";
        let expected = Policy {
            approval: ApprovalRule::Always,
            approval_ttl: 5,
            allowed: Some(vec![key("llm"), key("search")]),
            denied: vec![key("email")],
            max_live_projects: Some(3),
            total_cap: Cents::new(9_950),
            ..Policy::default()
        };
        let read = policy(line).unwrap();
        assert_eq!(read.sources.get("total_cap_usd").cloned(), Some("p.toml:2".to_owned()));
        assert_eq!(Policy { sources: Sources::default(), ..read }, expected);
        assert_eq!(policy("allowed = []").unwrap().allowed, Some(vec![]));
    }

    #[test]
    fn invalid_limit_is_refused_with_its_place() {
        for (line, error) in [
            ("alowed = []", "2:12: unknown key; did you mean `allowed`?"),
            ("colour = 1", "2:12: unknown key"),
            ("allowed = 'llm'", "2:22: expected an array"),
            ("allowed = ['llm', 7]", "2:30: expected a quoted string"),
            ("denied = ['serch']", "2:22: no provider has this key; did you mean `search`?"),
            ("denied = ['neon']", "2:22: no provider has this key; did you mean `postgres`?"),
            ("denied = ['nothing-like-it']", "2:22: no provider has this key"),
            (
                "denied = ['LLM']",
                "2:22: a provider key is 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit",
            ),
            (
                "denied = ['sk-canary-0123456789ab']",
                "2:22: this looks like a credential, which this file must not contain",
            ),
            ("max_live_projects = 0", "2:32: the number of live projects must be at least 1"),
            ("max_live_projects = -1", "2:32: the number of live projects must be at least 1"),
            ("max_live_projects = 1.5", "2:32: expected a whole number"),
            ("max_live_projects = 9223372036854775808", "2:32: the number is out of range"),
            ("monthly_budget_usd = -1", "2:33: the amount is negative"),
            ("max_projects = 0", "2:27: the number of live projects must be at least 1"),
            ("max_forms_per_hour = -1", "2:33: the number for an hour is a whole number from 0"),
            ("total_cap_usd = 0", "2:28: a cap must be above 0"),
            ("approval = 'sometimes'", "2:23: an approval rule is \"never\", \"above-default\" or \"always\""),
            (
                "approval_ttl_minutes = 10081",
                "2:35: the lifetime of an approval is a whole number of minutes from 1 to 10080",
            ),
        ] {
            assert_eq!(policy(line).unwrap_err().to_string(), format!("p.toml:{error}"), "{line}");
        }
    }

    #[test]
    fn error_quotes_no_value() {
        for key in KEYS {
            for shape in ["'canary'", "['canary']", "canary", "[['canary']]", "{ canary = 1 }"] {
                let error = policy(&format!("{key} = {shape}")).unwrap_err();
                assert!(!format!("{error} {error:?}").contains("canary"), "{key} = {shape}: {error:?}");
            }
        }
    }

    const KEYS: [&str; 12] = [
        "allowed",
        "approval",
        "approval_ttl_minutes",
        "canary",
        "denied",
        "max_forms_per_hour",
        "max_live_projects",
        "max_projects",
        "max_rotations_per_hour",
        "monthly_budget_usd",
        "monthly_max_usd",
        "total_cap_usd",
    ];
}
