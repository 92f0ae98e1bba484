//! What the audit may keep of what a principal said: what could be parsed, as it was parsed, and never a quote.

use serde_json::{Map, Value, json};

use crate::{
    approval::ApprovalId,
    lifetime::Lifetime,
    money::{Cents, MicroUsd},
    name::ProjectName,
};

/// The arguments of a call. A field that cannot be parsed is known by its own name only.
#[derive(Clone, Debug, Default)]
pub struct AuditFacts {
    kept: Map<String, Value>,
    unreadable: Vec<&'static str>,
    name: Option<ProjectName>,
}

impl AuditFacts {
    /// The project that the call is about.
    #[must_use]
    pub fn project(mut self, text: Option<&str>) -> Self {
        self.name = text.and_then(|text| ProjectName::parse(text).ok());
        let name = self.name.as_ref().map(|name| json!(name.as_str()));
        self.fact("name", name)
    }

    /// A key of the registry. It has the alphabet of a name, and a name that reads like a credential is none.
    #[must_use]
    pub fn provider(self, text: Option<&str>) -> Self {
        let key = text.and_then(|text| ProjectName::parse(text).ok());
        self.fact("provider", key.map(|key| json!(key.as_str())))
    }

    #[must_use]
    pub fn cap(self, text: Option<&str>) -> Self {
        let cents = text.and_then(|text| Cents::parse_usd(text).ok());
        self.fact("cap_cents", cents.map(|cents| json!(cents.cents())))
    }

    #[must_use]
    pub fn usage(self, text: &str) -> Self {
        let usage = MicroUsd::parse_usd(text).ok();
        self.fact("micro_usd", usage.map(|usage| json!(usage.micro_usd())))
    }

    /// `field` is what the door calls it.
    #[must_use]
    pub fn lifetime(self, field: &'static str, text: Option<&str>) -> Self {
        let lifetime = text.and_then(|text| Lifetime::parse(text).ok());
        self.fact(field, lifetime.map(|lifetime| json!(lifetime.to_string())))
    }

    #[must_use]
    pub fn approval(self, text: &str) -> Self {
        let id = ApprovalId::parse(text).ok();
        self.fact("approval", id.map(|id| json!(id.to_string())))
    }

    /// Anything else that was parsed; `None` where it could not be.
    #[must_use]
    pub fn fact(mut self, field: &'static str, parsed: Option<Value>) -> Self {
        match parsed {
            Some(value) => drop(self.kept.insert(field.to_owned(), value)),
            None => self.unreadable.push(field),
        }
        self
    }

    pub(super) fn name(&self) -> Option<&ProjectName> {
        self.name.as_ref()
    }

    pub(super) fn into_json(self) -> Value {
        let mut kept = self.kept;
        if !self.unreadable.is_empty() {
            kept.insert("unreadable".to_owned(), json!(self.unreadable));
        }
        Value::Object(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_parsed_is_named_and_not_quoted() {
        let canary = "sk-canary-0123456789abcdef0123";
        let said = AuditFacts::default().project(Some(canary)).provider(Some(canary)).cap(Some(canary)).usage(canary);
        let said = said.lifetime("expires_in", Some(canary)).approval(canary);
        assert_eq!(said.name(), None);
        let kept = said.fact("limit", None).fact("all", Some(json!(true))).into_json();
        let unreadable = ["name", "provider", "cap_cents", "micro_usd", "expires_in", "approval", "limit"];
        assert_eq!(kept, json!({ "all": true, "unreadable": unreadable }));
    }

    #[test]
    fn what_can_is_kept_as_it_was_parsed() {
        let said = AuditFacts::default().project(Some("web")).provider(Some("search")).cap(Some("1.5"));
        assert_eq!(said.name().map(ProjectName::as_str), Some("web"));
        assert_eq!(said.into_json(), json!({ "name": "web", "provider": "search", "cap_cents": 150 }));
    }
}
