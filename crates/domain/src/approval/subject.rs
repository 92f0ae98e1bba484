//! What an approval covers, and the lines that show all of it.

use crate::{
    budget::CapPeriod,
    lifetime::Lifetime,
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
};

/// Everything that an approval covers. Approving one subject approves no other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    pub name: ProjectName,
    pub provider: ProviderKey,
    pub service: ServiceRef,
    pub cap: Cents,
    pub shown: SubjectFacts,
    /// A hash of all of this, of the whole registry entry and of what else acts.
    pub digest: String,
}

/// The rest of a subject that a person sees.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SubjectFacts {
    pub backend: String,
    pub env_file: String,
    /// The provider's label in the registry.
    pub label: String,
    /// `None`: until it is torn down.
    pub lifetime: Option<Lifetime>,
    /// Whether the service can bill.
    pub paid: bool,
    /// The period for which the cap counts.
    pub period: CapPeriod,
    /// The present cap, where the request is for a higher one.
    pub raised_from: Option<Cents>,
    /// Whether an existing value of the variable is replaced.
    pub replaces: bool,
    pub variables: Vec<EnvVar>,
    pub workspace: String,
}

impl Subject {
    /// Returns the whole subject in a few lines, for a form and for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let Self { name, provider, service, cap, shown, .. } = self;
        let (dollars, cents) = (cap.cents() / 100, cap.cents() % 100);
        let end = match shown.lifetime {
            Some(lifetime) => format!("until torn down, which happens by itself after {lifetime}"),
            None => "until torn down".to_owned(),
        };
        let each = match shown.period {
            CapPeriod::Day => " every day",
            CapPeriod::Month => " every month",
            CapPeriod::Total => " in total,",
        };
        let raised = shown.raised_from.map(|before| format!("raised from {before} USD to ")).unwrap_or_default();
        let billed = if shown.paid { "It is billed, up to that cap." } else { "Its plan is free." };
        let variables: Vec<_> = shown.variables.iter().map(EnvVar::as_str).collect();
        let replaces = if shown.replaces { ", replacing existing values" } else { "" };
        vec![
            format!("Project: `{name}` on {provider} ({}; {service})", shown.label),
            format!("Cap: {raised}{dollars}.{cents:02} USD{each} {end}. {billed}"),
            format!("Variables: {} in {}{replaces}", variables.join(", "), shown.env_file),
            format!("Workspace: {} ({} backend)", shown.workspace, shown.backend),
        ]
    }
}
