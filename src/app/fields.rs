//! Parses the arguments of one call, each of them once.

use domain::{
    approval::ApprovalId,
    lifetime::Lifetime,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
};
use serde_json::Value;

use super::{Action, Command, Rejected};
use crate::{
    error::Error,
    provisioner::{APPROVAL, AuditFacts, CAP, NAME, PROVIDER, USAGE},
};

/// The arguments of a call that have been read so far.
///
/// Every method returns the parsed value, or remembers the first error and names the field as unreadable.
#[derive(Debug)]
pub struct Fields {
    action: Action,
    facts: AuditFacts,
    error: Option<Error>,
}

impl Fields {
    pub fn new(action: Action) -> Self {
        Self { action, facts: AuditFacts::default(), error: None }
    }

    pub fn name(&mut self, text: &str) -> Option<ProjectName> {
        self.read(NAME, ProjectName::parse(text), AuditFacts::project)
    }

    pub fn provider(&mut self, text: &str) -> Option<ProviderKey> {
        self.read(PROVIDER, ProviderKey::parse(text), AuditFacts::provider)
    }

    pub fn cap(&mut self, text: &str) -> Option<Cents> {
        self.read(CAP, Cents::parse_usd(text), |facts, cap| facts.cap(*cap))
    }

    /// Reads a limit, which is never zero.
    pub fn limit(&mut self, text: &str) -> Option<Cents> {
        let limit = self.unlisted(Cents::parse_usd(text))?;
        if limit.is_zero() { self.unlisted(Err(Error::LimitZero)) } else { Some(limit) }
    }

    pub fn usage(&mut self, text: &str) -> Option<MicroUsd> {
        self.read(USAGE, MicroUsd::parse_usd(text), |facts, usage| facts.usage(*usage))
    }

    pub fn lifetime(&mut self, field: &'static str, text: &str) -> Option<Lifetime> {
        self.read(field, Lifetime::parse(text), |facts, lifetime| facts.lifetime(field, *lifetime))
    }

    pub fn approval(&mut self, text: &str) -> Option<ApprovalId> {
        self.read(APPROVAL, ApprovalId::parse(text), AuditFacts::approval)
    }

    /// Reads a value that the audit does not show.
    pub fn unlisted<T>(&mut self, parsed: Result<T, impl Into<Error>>) -> Option<T> {
        parsed.map_err(|error| self.fail(error)).ok()
    }

    /// Adds a fact whose value needs no parsing.
    pub fn fact(&mut self, field: &'static str, value: Value) {
        self.keep(|facts| facts.fact(field, value));
    }

    /// Ends the reading: `command` is made only if every field was parsed.
    ///
    /// # Errors
    /// [`Rejected`] with the first error.
    pub fn finish(self, command: Option<Command>) -> Result<Command, Rejected> {
        let Self { action, facts, error } = self;
        match (command, error) {
            (Some(command), None) => Ok(command),
            // Without an error every field was parsed, so the second case never ends up with the substitute.
            (_, error) => Err(Rejected { action, facts, error: Box::new(error.unwrap_or(Error::UnknownTool)) }),
        }
    }

    fn read<T>(
        &mut self,
        field: &'static str,
        parsed: Result<T, impl Into<Error>>,
        fact: impl FnOnce(AuditFacts, &T) -> AuditFacts,
    ) -> Option<T> {
        match parsed {
            Ok(value) => {
                self.keep(|facts| fact(facts, &value));
                Some(value)
            }
            Err(error) => {
                self.fail(error);
                self.keep(|facts| facts.unreadable(field));
                None
            }
        }
    }

    fn fail(&mut self, error: impl Into<Error>) {
        self.error.get_or_insert_with(|| error.into());
    }

    fn keep(&mut self, change: impl FnOnce(AuditFacts) -> AuditFacts) {
        self.facts = change(std::mem::take(&mut self.facts));
    }
}

#[cfg(test)]
mod tests {
    use domain::diagnostic::Diagnostic as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn unparsable_fields_are_named_and_not_quoted() {
        let canary = "sk-canary-0123456789abcdef0123";
        let mut fields = Fields::new(Action::Provision);
        assert_eq!(fields.name(canary), None);
        fields.cap(canary);
        fields.usage(canary);
        fields.lifetime("expires_in", canary);
        fields.approval(canary);
        fields.fact("all", json!(true));
        let rejected = fields.finish(None).unwrap_err();
        assert_eq!(rejected.error.code(), "invalid_name");
        let unreadable = ["name", "cap_cents", "micro_usd", "expires_in", "approval"];
        assert_eq!(rejected.facts.into_json(), json!({ "all": true, "unreadable": unreadable }));
    }
}
