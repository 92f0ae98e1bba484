//! Views of budgets and commitments.

use domain::money::{Cents, MicroUsd, MoneyClass};
use serde::Serialize;

use crate::provisioner::{BudgetState, Limit, Spend};

/// The present month, for `budget`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BudgetView {
    /// The calendar month in UTC, such as `2026-11`.
    pub month: String,
    /// Real money first, then simulated. Each has the limits for itself.
    pub classes: Vec<BudgetClassView>,
    /// Above these a person is asked; null: no limit.
    pub monthly_budget_usd: Option<f64>,
    pub max_live_projects: Option<u64>,
    /// Above these every request is refused; null: no limit.
    pub monthly_max_usd: Option<f64>,
    pub max_projects: Option<u64>,
    /// Where each limit is written, such as `policy.toml:3`, as far as that is known.
    pub sources: Vec<SourceView>,
}

/// The commitments of one class of money.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BudgetClassView {
    /// `real` or `simulated`
    pub money: &'static str,
    /// What live projects may spend this month, and what ended ones used or may have used.
    pub committed_usd: f64,
    /// The part of it that comes from grants of earlier months.
    pub renewals_usd: f64,
    /// The known usage.
    pub used_usd: f64,
    /// How many projects have an unknown usage.
    pub usage_unknown_count: usize,
    /// What an agent can still get without a person; null: no limit.
    pub left_usd: Option<f64>,
    pub live_count: u64,
}

/// The place of a limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceView {
    pub key: &'static str,
    pub place: String,
}

/// The commitments of a month, for `spend`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpendView {
    /// The calendar month in UTC, such as `2026-11`.
    pub month: String,
    /// Oldest first.
    pub projects: Vec<SpentView>,
    /// The sum of `committed_usd` where `simulated` is false.
    pub committed_usd: f64,
    /// The same where `simulated` is true.
    pub simulated_committed_usd: f64,
}

/// What one project commits to a month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpentView {
    /// The folder of its workspace; null: it is not registered.
    pub workspace: Option<String>,
    pub name: String,
    pub provider: String,
    pub project_id: String,
    pub status: String,
    pub backend: String,
    pub simulated: bool,
    pub spend_cap_usd: f64,
    /// `total`, `month` or `day`
    pub cap_per: String,
    /// What it may spend this month, or used or may have used before it ended.
    pub committed_usd: f64,
    /// The part of it that comes from a grant of an earlier month.
    pub renewals_usd: f64,
    /// The last known usage in the month; null: unknown
    pub used_usd: Option<f64>,
}

impl From<&BudgetState> for BudgetView {
    fn from(state: &BudgetState) -> Self {
        let classes = state.classes.iter().map(|class| {
            let committed = &class.committed;
            let left = state.monthly_budget.value.map(|budget| budget.saturating_sub(committed.this_month));
            BudgetClassView {
                money: class.money.as_str(),
                committed_usd: committed.this_month.usd(),
                renewals_usd: committed.renewed.usd(),
                used_usd: class.used.usd(),
                usage_unknown_count: class.unknown,
                left_usd: left.map(Cents::usd),
                live_count: committed.projects,
            }
        });
        let sources = [
            source("monthly_budget_usd", &state.monthly_budget),
            source("max_live_projects", &state.max_live_projects),
            source("monthly_max_usd", &state.monthly_max),
            source("max_projects", &state.max_projects),
        ];
        Self {
            month: state.month.to_string(),
            classes: classes.collect(),
            monthly_budget_usd: state.monthly_budget.value.map(Cents::usd),
            max_live_projects: state.max_live_projects.value,
            monthly_max_usd: state.monthly_max.value.map(Cents::usd),
            max_projects: state.max_projects.value,
            sources: sources.into_iter().flatten().collect(),
        }
    }
}

impl From<&Spend> for SpendView {
    fn from(spend: &Spend) -> Self {
        let sum = |money: MoneyClass| {
            let of_class = spend.projects.iter().filter(|listed| listed.project.money() == money);
            of_class.fold(Cents::ZERO, |sum, listed| sum.saturating_add(listed.committed)).usd()
        };
        let projects = spend.projects.iter().map(|listed| {
            let project = &listed.project;
            SpentView {
                workspace: listed.workspace.clone(),
                name: project.name.to_string(),
                provider: project.provider.to_string(),
                project_id: project.id.as_str().to_owned(),
                status: project.status.to_string(),
                backend: project.backend.clone(),
                simulated: project.money() == MoneyClass::Simulated,
                spend_cap_usd: project.cap.usd(),
                cap_per: project.cap_period.to_string(),
                committed_usd: listed.committed.usd(),
                renewals_usd: listed.renewed.usd(),
                used_usd: listed.used.map(MicroUsd::usd),
            }
        });
        Self {
            month: spend.month.to_string(),
            projects: projects.collect(),
            committed_usd: sum(MoneyClass::Real),
            simulated_committed_usd: sum(MoneyClass::Simulated),
        }
    }
}

fn source<T>(key: &'static str, limit: &Limit<T>) -> Option<SourceView> {
    limit.place.clone().map(|place| SourceView { key, place })
}
