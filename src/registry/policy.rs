//! The limits over all providers together, as a human wrote them down.

use std::collections::BTreeMap;

use super::approval::{self, ApprovalRule, USUAL_TTL};
use super::error::{Fault, Problem};
use super::provider::Provider;
use super::wire::{self, Table, Value};
use crate::money::Cents;
use crate::name::ProviderKey;

/// What an absent limit means is "none of that kind". A key in both lists is denied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// For every provider whose entry does not say otherwise.
    pub approval: ApprovalRule,
    /// In minutes: how long a request waits for a human and, once granted, for its use.
    pub approval_ttl: u32,
    /// `None` allows every provider; an empty list allows none.
    pub allowed: Option<Vec<ProviderKey>>,
    pub denied: Vec<ProviderKey>,
    /// At least 1.
    pub max_live_projects: Option<u64>,
    /// The sum of the caps of all live projects stays at or below this.
    pub total_cap: Option<Cents>,
}

impl Policy {
    pub(super) const KEYS: &'static [&'static str] =
        &["allowed", "approval", "approval_ttl_minutes", "denied", "max_live_projects", "total_cap_usd"];

    pub(super) fn read(value: &Value<'_>, providers: &BTreeMap<ProviderKey, Provider>) -> Result<Self, Fault> {
        let table = Table::of(value)?;
        table.refuse_unknown_keys(Self::KEYS)?;
        let keys = |value| wire::list(value)?.map(|item| known_key(item, providers)).collect();
        Ok(Self {
            approval: table.optional("approval", ApprovalRule::read)?.unwrap_or_default(),
            approval_ttl: table.optional("approval_ttl_minutes", approval::ttl)?.unwrap_or(USUAL_TTL),
            allowed: table.optional("allowed", keys)?,
            denied: table.optional("denied", keys)?.unwrap_or_default(),
            max_live_projects: table.optional("max_live_projects", count)?,
            total_cap: table.optional("total_cap_usd", wire::cap)?,
        })
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            approval: ApprovalRule::default(),
            approval_ttl: USUAL_TTL,
            allowed: None,
            denied: Vec::new(),
            max_live_projects: None,
            total_cap: None,
        }
    }
}

/// A key that no provider has would protect from nothing, so it is refused.
fn known_key(value: &Value<'_>, providers: &BTreeMap<ProviderKey, Provider>) -> Result<ProviderKey, Fault> {
    wire::parsed(|text| {
        let key = ProviderKey::parse(text)?;
        if providers.contains_key(&key) {
            return Ok(key);
        }
        let meant = super::closest(providers, text).cloned();
        Err(Problem::UnknownProvider { meant, valid: providers.keys().cloned().collect() })
    })(value)
}

pub(super) fn count(value: &Value<'_>) -> Result<u64, Fault> {
    let number = u64::try_from(wire::integer(value)?).ok().filter(|number| *number >= 1);
    number.ok_or_else(|| Fault::at(value, Problem::LiveProjects))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{BUILTIN, Registry, RegistryError};

    /// The policy stands before everything else, on lines 1 and 2.
    fn policy(line: &str) -> Result<Policy, RegistryError> {
        let recipes = BUILTIN.replace("version = 1", "");
        let text = format!("version = 1\npolicy = {{ {line} }}\n{recipes}");
        Registry::parse(&text, "p.toml").map(|registry| registry.policy)
    }

    #[test]
    fn limits_are_read() {
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
        };
        assert_eq!(policy(line), Ok(expected));
        assert_eq!(policy("allowed = []").unwrap().allowed, Some(vec![]));
    }

    #[test]
    fn limits_that_would_not_limit_are_refused() {
        for (line, error) in [
            ("alowed = []", "2:12: unknown key; did you mean `allowed`?"),
            ("colour = 1", "2:12: unknown key"),
            ("allowed = 'llm'", "2:22: expected a list"),
            ("allowed = ['llm', 7]", "2:30: expected a text in quotes"),
            ("denied = ['serch']", "2:22: no provider has this key; did you mean `search`?"),
            ("denied = ['neon']", "2:22: no provider has this key; did you mean `postgres`?"),
            ("denied = ['nothing-like-it']", "2:22: no provider has this key"),
            (
                "denied = ['LLM']",
                "2:22: a provider key is 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit",
            ),
            ("denied = ['sk-canary-0123456789ab']", "2:22: a registry carries no credential, and this reads like one"),
            ("max_live_projects = 0", "2:32: the number of live projects is a whole number from 1 up"),
            ("max_live_projects = -1", "2:32: the number of live projects is a whole number from 1 up"),
            ("max_live_projects = 1.5", "2:32: expected a whole number"),
            ("max_live_projects = 9223372036854775808", "2:32: the number is out of range"),
            ("total_cap_usd = 0", "2:28: a cap is more than 0"),
            ("approval = 'sometimes'", "2:23: an approval is \"never\", \"above-default\" or \"always\""),
            (
                "approval_ttl_minutes = 10081",
                "2:35: the time for an approval is a whole number of minutes from 1 to 10080",
            ),
        ] {
            assert_eq!(policy(line).unwrap_err().to_string(), format!("p.toml:{error}"), "{line}");
        }
    }

    #[test]
    fn no_error_quotes_what_stands_in_a_policy() {
        for key in
            ["allowed", "approval", "approval_ttl_minutes", "denied", "max_live_projects", "total_cap_usd", "canary"]
        {
            for shape in ["'canary'", "['canary']", "canary", "[['canary']]", "{ canary = 1 }"] {
                let error = policy(&format!("{key} = {shape}")).unwrap_err();
                assert!(!format!("{error} {error:?}").contains("canary"), "{key} = {shape}: {error:?}");
            }
        }
    }
}
