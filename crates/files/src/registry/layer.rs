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
        policies.iter().rev().fold(registry.under(&own), Registry::under)
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

#[cfg(test)]
mod tests {
    use domain::money::Cents;

    use super::*;

    fn key(text: &str) -> ProviderKey {
        ProviderKey::parse(text).unwrap()
    }

    fn layer(origin: Origin, text: &str) -> Layer {
        Layer::parse(origin, &format!("version = 1\n{text}\n[providers]\n{ENTRY}"), "r", &Layer::builtin().unwrap())
            .unwrap()
    }

    fn combined(workspace: &str, policies: &[&str]) -> Registry {
        let policies: Vec<_> = policies.iter().map(|text| UserPolicy::parse(text, "p").unwrap()).collect();
        Layer::builtin().unwrap().combined(layer(Origin::Workspace, workspace), &policies)
    }

    const ENTRY: &str =
        "a = { label = 'A', service = 'a/x', env_var = 'A', default_cap_usd = 5, docs = 'https://a.b' }";

    #[test]
    fn built_in_value_applies_to_keys_that_no_policy_names() {
        let built_in = (Cents::new(10_000), Some(10), ApprovalRule::AboveDefault);
        let values = |policy: &Policy| (policy.monthly_budget, policy.max_live_projects, policy.approval);
        let loose = "policy = { monthly_budget_usd = 900, max_live_projects = 90, approval = 'never' }";
        for (workspace, policies, expected) in [
            ("", &[][..], built_in),
            (loose, &[], built_in),
            (loose, &["", "version = 1"], built_in),
            ("", &["[policy]\ntotal_cap_usd = 5"], built_in),
            ("", &["[policy]\nmonthly_budget_usd = 900"], (Cents::new(90_000), built_in.1, built_in.2)),
            ("", &["[policy]\nmax_live_projects = 90"], (built_in.0, Some(90), built_in.2)),
            ("", &["[policy]\napproval = 'never'"], (built_in.0, built_in.1, ApprovalRule::Never)),
            (
                "policy = { monthly_budget_usd = 7, max_live_projects = 3, approval = 'always' }",
                &["[policy]\nmonthly_budget_usd = 900\nmax_live_projects = 90\napproval = 'never'"],
                (Cents::new(700), Some(3), ApprovalRule::Always),
            ),
            (
                "",
                &["[policy]\nmonthly_budget_usd = 900", "[policy]\nmonthly_budget_usd = 0\napproval = 'always'"],
                (Cents::new(0), built_in.1, ApprovalRule::Always),
            ),
        ] {
            let registry = combined(workspace, policies);
            assert_eq!(values(&registry.policy), expected, "{workspace} {policies:?}");
            let approval = registry.get(&key("a")).unwrap().approval;
            assert_eq!(approval, Some(expected.2), "{workspace} {policies:?}");
        }
    }

    #[test]
    fn strictest_of_several_policies_wins_in_any_order() {
        let one = "[policy]\nallowed = ['search', 'browser']\ndenied = ['llm']\napproval = 'never'\n\
            approval_ttl_minutes = 9\nmonthly_max_usd = 50\nmax_projects = 4\n\
            [providers.search]\nmax_cap_usd = 8\napproval = 'always'";
        let two = "[policy]\nallowed = ['browserbase', 'exa', 'tts']\ndenied = ['tts']\napproval = 'above-default'\n\
            approval_ttl_minutes = 90\nmonthly_max_usd = 20\nmax_projects = 40\nmax_rotations_per_hour = 2\n\
            [providers.exa]\nmax_cap_usd = 6\n";
        for policies in [[one, two], [two, one]] {
            let registry = combined("", &policies);
            let policy = &registry.policy;
            let allowed: Vec<_> =
                registry.providers().filter(|provider| registry.allows(provider)).map(|one| one.key.as_str()).collect();
            assert_eq!(allowed, ["browser", "search"]);
            assert_eq!((policy.approval, policy.approval_ttl), (ApprovalRule::AboveDefault, 9));
            assert_eq!((policy.monthly_max, policy.max_projects), (Cents::new(2_000), Some(4)));
            assert_eq!((policy.max_rotations_per_hour, policy.max_forms_per_hour), (2, 6));
            let search = registry.get(&key("search")).unwrap();
            assert_eq!((search.max_cap, search.approval), (Cents::new(600).unwrap(), Some(ApprovalRule::Always)));
            assert_eq!(policy.provider_totals.get(&key("search")), Cents::new(600).as_ref());
        }
    }

    #[test]
    fn hourly_limits_are_only_lowered() {
        for (written, forms) in [("60", 6), ("6", 6), ("1", 1), ("0", 0)] {
            let text = format!("[policy]\nmax_forms_per_hour = {written}\nmax_rotations_per_hour = {written}");
            let policy = combined("", &[&text]).policy;
            assert_eq!((policy.max_forms_per_hour, policy.max_rotations_per_hour), (forms, forms), "{written}");
        }
    }

    #[test]
    fn sources_name_the_line_of_each_limit() {
        let registry = combined("", &["[policy]\ntotal_cap_usd = 5\n[providers.search]\nmax_cap_usd = 4"]);
        let total = registry.policy.sources.get("total_cap_usd").map(String::as_str);
        assert_eq!((total, registry.policy.sources.get("monthly_budget_usd")), (Some("p:2"), None));
        let search = registry.get(&key("search")).unwrap();
        assert_eq!(search.sources.get("max_cap_usd").map(String::as_str), Some("p:4"));
    }
}
