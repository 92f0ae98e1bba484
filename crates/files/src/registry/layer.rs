//! One registry file, and how several become one registry: built-in, the owner's, the workspace's.
//!
//! A later file replaces entries of an earlier one by their keys and adds others. A workspace's file cannot direct a key,
//! agree to terms or loosen a limit: the keys that would are errors, and its limits count where they are stricter.

use std::collections::BTreeMap;

use domain::name::ProviderKey;

use super::approval::ApprovalRule;
use super::error::{Problem, SpannedProblem};
use super::limits::Limits;
use super::wire::{self, Document};
use super::{Alerts, BUILTIN, Origin, Policy, Provider, Registry, RegistryError, UserPolicy, closest};

/// The content of one registry file.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    alerts: Option<Alerts>,
    limits: Limits,
    providers: BTreeMap<ProviderKey, Provider>,
}

impl Layer {
    /// Parses a file whose policy may name its own providers and those of `below`.
    pub(super) fn parse(origin: Origin, text: &str, file: &str, below: &Self) -> Result<Self, RegistryError> {
        // Some editors write a byte order mark. No column counts it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::read(origin, text, file, below).map_err(|problem| problem.in_file(file, text))
    }

    pub(super) fn builtin() -> Result<Self, RegistryError> {
        Self::parse(Origin::Owner, BUILTIN, "built-in providers.toml", &Self::default())
    }

    /// Returns this file alone as the registry.
    pub(super) fn into_registry(self) -> Registry {
        // Its own lists of providers apply as they are.
        let Self { alerts, limits, providers } = self;
        let lists = Limits { allowed: limits.allowed.clone(), denied: limits.denied.clone(), ..Limits::default() };
        Registry { alerts, policy: Policy::effective(&limits, &lists), providers }
    }

    /// Returns this file, extended by a later one of the same origin.
    pub(super) fn extended_by(mut self, later: Self) -> Self {
        self.providers.extend(later.providers);
        Self { alerts: later.alerts.or(self.alerts), limits: self.limits.stricter(&later.limits), ..self }
    }

    /// Combines the owner's files with the workspace's and with all policies.
    pub(super) fn combined(self, workspace: Self, policies: &[UserPolicy]) -> Registry {
        let outside = policies.iter().fold(self.limits.clone(), |limits, policy| limits.stricter(&policy.limits));
        let policy = Policy::effective(&outside, &workspace.limits);
        let builtin = Registry::builtin().ok();
        let own_approval = self.limits.approval.as_ref().map(|rule| rule.value);
        let inside_approval = workspace.limits.approval.as_ref().map(|rule| rule.value);
        let mut providers = self.providers.clone();
        let written = |provider: &Provider| {
            policies.iter().filter_map(|policy| policy.approval_of(provider, builtin.as_ref())).max()
        };
        for provider in providers.values_mut() {
            let outside = written(provider).max(provider.approval.or(own_approval)).unwrap_or_default();
            provider.approval = Some(outside.stricter(inside_approval.unwrap_or(ApprovalRule::Never)));
        }
        for (key, mut entry) in workspace.providers {
            let service = entry.service.clone();
            let twins = self.providers.values().filter(|owned| owned.service == service);
            let inside = entry.approval.or(inside_approval).unwrap_or(ApprovalRule::Never);
            entry.approval = None;
            twins.for_each(|owned| entry.limited_by(owned));
            let outside = written(&entry).max(entry.approval.or(own_approval)).unwrap_or_default();
            entry.approval = Some(outside.stricter(inside));
            providers.insert(key, entry);
        }
        let registry = Registry { alerts: self.alerts, policy, providers };
        let own = UserPolicy::of_registry(self.limits);
        // The first file that names a receiver of alerts decides, so it is applied last.
        policies.iter().rev().fold(registry.under(&own), |registry, policy| registry.under(policy))
    }

    fn read(origin: Origin, text: &str, file: &str, below: &Self) -> Result<Self, SpannedProblem> {
        let document = Document::parse::<wire::RegistryKeys>(text, file)?;
        let alerts = Alerts::of(origin, &document)?;
        let mut providers = BTreeMap::new();
        if let Some(table) = document.get("providers") {
            for (name, entry) in wire::entries(table)? {
                let key = wire::parse(&name, ProviderKey::parse)?;
                let provider = Provider::read(key.clone(), entry, &document)?;
                if origin == Origin::Workspace && provider.has_accepted_terms() {
                    return Err(SpannedProblem::at(terms(entry), Problem::OwnerOnly { key: "terms_accepted" }));
                }
                providers.insert(key, provider);
            }
            if providers.is_empty() {
                return Err(SpannedProblem::at(table, Problem::NoProviders));
            }
        }
        // A key without a provider would have no effect, so it is refused.
        let limits = Limits::read(&document, |key| {
            let known: BTreeMap<_, _> = below.providers.iter().chain(&providers).map(own).collect();
            let meant = || closest(&known, key.as_str()).cloned();
            let unknown = || Problem::UnknownProvider { meant: meant(), valid: known.keys().cloned().collect() };
            if known.contains_key(&key) { Ok(key) } else { Err(unknown()) }
        })?;
        Ok(Self { alerts, limits, providers })
    }
}

fn own((key, provider): (&ProviderKey, &Provider)) -> (ProviderKey, Provider) {
    (key.clone(), provider.clone())
}

/// Returns the place of `terms_accepted` in an entry that has it.
fn terms<'b, 'a>(entry: &'b wire::Value<'a>) -> &'b wire::Value<'a> {
    wire::member(entry, "terms_accepted").unwrap_or(entry)
}
