//! The arguments of a call, as the audit may show them: parsed values, never a quote.

use domain::{
    approval::ApprovalId,
    lifetime::Lifetime,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
    secret::looks_sensitive,
};
use serde_json::{Map, Value, json};

/// The arguments of a call. A field that cannot be parsed is known by its own name only.
#[derive(Clone, Debug, Default)]
pub struct AuditFacts {
    kept: Map<String, Value>,
    unreadable: Vec<&'static str>,
    name: Option<ProjectName>,
}

impl AuditFacts {
    /// Adds the project that the call is about.
    #[must_use]
    pub fn project(mut self, name: &ProjectName) -> Self {
        self.name = Some(name.clone());
        self.fact(NAME, json!(name.as_str()))
    }

    /// Adds a key of the registry, unless it reads like a credential.
    #[must_use]
    pub fn provider(self, key: &ProviderKey) -> Self {
        if looks_sensitive(key.as_str()) { self.unreadable(PROVIDER) } else { self.fact(PROVIDER, json!(key.as_str())) }
    }

    #[must_use]
    pub fn cap(self, cap: Cents) -> Self {
        self.fact(CAP, json!(cap.cents()))
    }

    #[must_use]
    pub fn usage(self, usage: MicroUsd) -> Self {
        self.fact(USAGE, json!(usage.micro_usd()))
    }

    /// Adds a duration under the name that the channel has for it.
    #[must_use]
    pub fn lifetime(self, field: &'static str, lifetime: Lifetime) -> Self {
        self.fact(field, json!(lifetime.to_string()))
    }

    #[must_use]
    pub fn approval(self, id: &ApprovalId) -> Self {
        self.fact(APPROVAL, json!(id.to_string()))
    }

    /// Adds any other value that was parsed.
    #[must_use]
    pub fn fact(mut self, field: &'static str, value: Value) -> Self {
        self.kept.insert(field.to_owned(), value);
        self
    }

    /// Names a field whose value could not be parsed.
    #[must_use]
    pub fn unreadable(mut self, field: &'static str) -> Self {
        self.unreadable.push(field);
        self
    }

    pub(super) fn name(&self) -> Option<&ProjectName> {
        self.name.as_ref()
    }

    pub fn into_json(self) -> Value {
        let mut kept = self.kept;
        if !self.unreadable.is_empty() {
            kept.insert("unreadable".to_owned(), json!(self.unreadable));
        }
        Value::Object(kept)
    }
}

/// The fields that have a type of their own, as rows name them.
pub const APPROVAL: &str = "approval";
pub const CAP: &str = "cap_cents";
pub const NAME: &str = "name";
pub const PROVIDER: &str = "provider";
pub const USAGE: &str = "micro_usd";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsed_values_are_kept_and_unreadable_fields_named() {
        let name = ProjectName::parse("web").unwrap();
        let provider = ProviderKey::parse("search").unwrap();
        let facts = AuditFacts::default().project(&name).provider(&provider).cap(Cents::parse_usd("1.5").unwrap());
        assert_eq!(facts.name(), Some(&name));
        let kept = facts.unreadable("limit").into_json();
        assert_eq!(kept, json!({ "name": "web", "provider": "search", "cap_cents": 150, "unreadable": ["limit"] }));
    }

    #[test]
    fn provider_that_reads_like_a_key_is_not_quoted() {
        let key = ProviderKey::parse("sk-canary-0123456789abcdef0123").unwrap();
        assert_eq!(AuditFacts::default().provider(&key).into_json(), json!({ "unreadable": ["provider"] }));
    }
}
