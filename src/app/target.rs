//! What a command about projects is done to.

use domain::name::ProjectName;
use serde_json::json;

use crate::provisioner::AuditFacts;

/// A project, or all live ones.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    All,
    /// All live ones of every workspace.
    Everywhere,
    Project(ProjectName),
}

impl Target {
    pub(super) fn facts(&self) -> AuditFacts {
        match self {
            Self::All => AuditFacts::default().fact("all", json!(true)),
            Self::Everywhere => everywhere_fact(AuditFacts::default().fact("all", json!(true)), true),
            Self::Project(name) => AuditFacts::default().project(name),
        }
    }
}

/// Adds the flag only where it is set, so that the rows of other calls stay as they are.
pub(super) fn everywhere_fact(facts: AuditFacts, everywhere: bool) -> AuditFacts {
    if everywhere { facts.fact("everywhere", json!(true)) } else { facts }
}
