//! The `[policy]` table: the limits over all providers together.

use std::collections::BTreeMap;

use domain::{money::Cents, name::ProviderKey};
use toml::Spanned;

use super::approval::{self, ApprovalRule, DEFAULT_TTL, LONGEST_TTL};
use super::error::{Problem, SpannedProblem};
use super::wire::{self, Document};

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
    /// A person must approve more live projects than this. At least 1.
    pub max_live_projects: Option<u64>,
    /// More live projects than this are refused. At least 1.
    pub max_projects: Option<u64>,
    /// A person must approve what commits more than this to a calendar month.
    pub monthly_budget: Option<Cents>,
    /// What commits more than this to a calendar month is refused.
    pub monthly_max: Option<Cents>,
    /// The sum of the caps of all live projects stays at or below this.
    pub total_cap: Option<Cents>,
    /// Limits on the sum of the live caps with one provider, by the key of its entry; more is refused.
    pub provider_totals: BTreeMap<ProviderKey, Cents>,
    /// Where a limit is written, such as `policy.toml:3`, by its key.
    pub sources: BTreeMap<String, String>,
}

impl Policy {
    /// Reads the table `policy`. `absent` has the values of absent keys; `known` checks each key of a provider.
    pub(super) fn read(
        document: &Document<'_>,
        absent: Self,
        known: impl Fn(ProviderKey) -> Result<ProviderKey, Problem>,
    ) -> Result<Self, SpannedProblem> {
        let Some(table) = document.get("policy") else { return Ok(absent) };
        let table: wire::Policy = wire::read(table)?;
        let key = |text: &str| ProviderKey::parse(text).map_err(Problem::from).and_then(&known);
        let keys = |names: &Vec<_>| names.iter().map(|name| wire::parse(name, key)).collect::<Result<Vec<_>, _>>();
        let count = |count: Option<&Spanned<i64>>| {
            let count = count.map(|count| match u64::try_from(*count.get_ref()) {
                Ok(number @ 1..) => Ok(number),
                _ => Err(SpannedProblem::at(count, Problem::LiveProjects)),
            });
            count.transpose()
        };
        let approval_ttl = table.approval_ttl_minutes.as_ref().map(approval::ttl).transpose()?;
        Ok(Self {
            approval: ApprovalRule::from_wire(table.approval.as_ref())?.unwrap_or(absent.approval),
            approval_ttl: approval_ttl.unwrap_or(absent.approval_ttl),
            allowed: table.allowed.as_ref().map(keys).transpose()?,
            denied: table.denied.as_ref().map(keys).transpose()?.unwrap_or_default(),
            max_live_projects: count(table.max_live_projects.as_ref())?,
            max_projects: count(table.max_projects.as_ref())?,
            monthly_budget: document.optional_cap(table.monthly_budget_usd.as_ref())?,
            monthly_max: document.optional_cap(table.monthly_max_usd.as_ref())?,
            total_cap: document.optional_cap(table.total_cap_usd.as_ref())?,
            provider_totals: BTreeMap::new(),
            sources: BTreeMap::new(),
        })
    }

    /// Returns the limits that apply where no policy outside the workspace names them.
    pub(super) fn built_in() -> Self {
        Self {
            max_live_projects: Some(BUILT_IN_LIVE_PROJECTS),
            monthly_budget: Some(BUILT_IN_MONTHLY_BUDGET),
            ..Self::unlimited()
        }
    }

    /// Returns the policy that limits nothing.
    pub(super) fn unlimited() -> Self {
        Self { approval: ApprovalRule::Never, approval_ttl: LONGEST_TTL, ..Self::default() }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            approval: ApprovalRule::default(),
            approval_ttl: DEFAULT_TTL,
            allowed: None,
            denied: Vec::new(),
            max_live_projects: None,
            max_projects: None,
            monthly_budget: None,
            monthly_max: None,
            total_cap: None,
            provider_totals: BTreeMap::new(),
            sources: BTreeMap::new(),
        }
    }
}

const BUILT_IN_LIVE_PROJECTS: u64 = 10;

/// 100 USD.
const BUILT_IN_MONTHLY_BUDGET: Cents = Cents::sum_of(10_000);

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
            max_projects = 4, monthly_budget_usd = 50, monthly_max_usd = 60.5, \
            approval = 'always', approval_ttl_minutes = 5";
        let expected = Policy {
            approval: ApprovalRule::Always,
            approval_ttl: 5,
            allowed: Some(vec![key("llm"), key("search")]),
            denied: vec![key("email")],
            max_live_projects: Some(3),
            max_projects: Some(4),
            monthly_budget: Cents::new(5_000),
            monthly_max: Cents::new(6_050),
            total_cap: Cents::new(9_950),
            ..Policy::default()
        };
        assert_eq!(policy(line), Ok(expected));
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
            ("total_cap_usd = 0", "2:28: a cap must be above 0"),
            ("max_projects = 0", "2:27: the number of live projects must be at least 1"),
            ("monthly_budget_usd = 0", "2:33: a cap must be above 0"),
            ("monthly_max_usd = -1", "2:30: the amount is negative"),
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
        for key in [
            "allowed",
            "approval",
            "approval_ttl_minutes",
            "denied",
            "max_live_projects",
            "max_projects",
            "monthly_budget_usd",
            "monthly_max_usd",
            "total_cap_usd",
            "canary",
        ] {
            for shape in ["'canary'", "['canary']", "canary", "[['canary']]", "{ canary = 1 }"] {
                let error = policy(&format!("{key} = {shape}")).unwrap_err();
                assert!(!format!("{error} {error:?}").contains("canary"), "{key} = {shape}: {error:?}");
            }
        }
    }
}
