//! The `[policy]` table as one file states it. What it omits is decided by the other files, or is built in.

use domain::{money::Cents, name::ProviderKey};
use toml::Spanned;

use super::approval::{self, ApprovalRule};
use super::error::{Problem, SpannedProblem};
use super::limit_source::{Written, greatest, least};
use super::wire::{self, Document};

/// The limits of one `[policy]` table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Limits {
    pub allowed: Option<Written<Vec<ProviderKey>>>,
    pub approval: Option<Written<ApprovalRule>>,
    /// In minutes.
    pub approval_ttl: Option<Written<u32>>,
    pub denied: Option<Written<Vec<ProviderKey>>>,
    pub max_forms_per_hour: Option<Written<u32>>,
    pub max_live_projects: Option<Written<u64>>,
    pub max_projects: Option<Written<u64>>,
    pub max_rotations_per_hour: Option<Written<u32>>,
    pub monthly_budget: Option<Written<Cents>>,
    pub monthly_max: Option<Written<Cents>>,
    pub total_cap: Option<Written<Cents>>,
}

impl Limits {
    /// Reads the table `policy`. `known` checks each key of a provider.
    pub(super) fn read(
        document: &Document<'_>,
        known: impl Fn(ProviderKey) -> Result<ProviderKey, Problem>,
    ) -> Result<Self, SpannedProblem> {
        let Some(table) = document.get("policy") else { return Ok(Self::default()) };
        let table: wire::Policy = wire::read(table)?;
        let key = |text: &str| ProviderKey::parse(text).map_err(Problem::from).and_then(&known);
        let keys = |names: &Vec<_>| names.iter().map(|name| wire::parse(name, key)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            allowed: document.written(table.allowed.as_ref(), |names| keys(names.get_ref()))?,
            approval: document.written(table.approval.as_ref(), ApprovalRule::read)?,
            approval_ttl: document.written(table.approval_ttl_minutes.as_ref(), approval::ttl)?,
            denied: document.written(table.denied.as_ref(), |names| keys(names.get_ref()))?,
            max_forms_per_hour: document.written(table.max_forms_per_hour.as_ref(), per_hour)?,
            max_live_projects: document.written(table.max_live_projects.as_ref(), projects)?,
            max_projects: document.written(table.max_projects.as_ref(), projects)?,
            max_rotations_per_hour: document.written(table.max_rotations_per_hour.as_ref(), per_hour)?,
            monthly_budget: document.written(table.monthly_budget_usd.as_ref(), |usd| document.amount(usd))?,
            monthly_max: document.written(table.monthly_max_usd.as_ref(), |usd| document.amount(usd))?,
            total_cap: document.written(table.total_cap_usd.as_ref(), |usd| document.cap(usd))?,
        })
    }

    /// Returns the stricter of each two limits, with the lists of providers compared by key.
    #[must_use]
    pub(super) fn stricter(self, other: &Self) -> Self {
        let other = other.clone();
        let kept = |key: &ProviderKey, list: &Written<Vec<_>>| list.value.contains(key);
        let allowed = match (self.allowed, other.allowed) {
            (Some(mut one), Some(other)) => {
                one.value.retain(|key| kept(key, &other));
                Some(one)
            }
            (one, other) => one.or(other),
        };
        let denied = match (self.denied, other.denied) {
            (Some(mut one), Some(other)) => {
                one.value.extend(other.value);
                Some(one)
            }
            (one, other) => one.or(other),
        };
        Self {
            allowed,
            approval: greatest(self.approval, other.approval),
            approval_ttl: least(self.approval_ttl, other.approval_ttl),
            denied,
            max_forms_per_hour: least(self.max_forms_per_hour, other.max_forms_per_hour),
            max_live_projects: least(self.max_live_projects, other.max_live_projects),
            max_projects: least(self.max_projects, other.max_projects),
            max_rotations_per_hour: least(self.max_rotations_per_hour, other.max_rotations_per_hour),
            monthly_budget: least(self.monthly_budget, other.monthly_budget),
            monthly_max: least(self.monthly_max, other.monthly_max),
            total_cap: least(self.total_cap, other.total_cap),
        }
    }
}

fn projects(count: &Spanned<i64>) -> Result<u64, SpannedProblem> {
    match u64::try_from(*count.get_ref()) {
        Ok(number @ 1..) => Ok(number),
        _ => Err(SpannedProblem::at(count, Problem::LiveProjects)),
    }
}

/// Reads a number for one hour; 0 allows none.
fn per_hour(count: &Spanned<i64>) -> Result<u32, SpannedProblem> {
    u32::try_from(*count.get_ref()).map_err(|_| SpannedProblem::at(count, Problem::PerHour))
}
