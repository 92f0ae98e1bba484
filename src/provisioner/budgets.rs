//! Budgets: what is committed and used, the limits, and what a person releases.

use std::sync::Arc;

use domain::{
    budget::{Committed, Month},
    clock::Timestamp,
    money::{Cents, MicroUsd, MoneyClass},
    name::ProjectName,
};
use files::registry::{
    Policy,
    policy_file::{self, PolicyWriteError},
};
use serde_json::json;
use storage::ledger::{LedgerError, ProjectCommitment, Verdict};

use super::{Ports, Principal};
use crate::error::Error;

/// Shows budgets, writes their limits, and releases commitments.
pub struct Budgets {
    pub(super) ports: Arc<Ports>,
}

/// The present month: its commitments by class of money, and the limits on each.
#[derive(Clone, Debug)]
pub struct BudgetState {
    pub month: Month,
    pub classes: Vec<BudgetClass>,
    pub monthly_budget: Limit<Cents>,
    pub monthly_max: Limit<Cents>,
    pub max_live_projects: Limit<u64>,
    pub max_projects: Limit<u64>,
}

/// The commitments of one class of money.
#[derive(Clone, Debug)]
pub struct BudgetClass {
    pub money: MoneyClass,
    pub committed: Committed,
    /// The known usage in the month.
    pub used: MicroUsd,
    /// How many projects have an unknown usage.
    pub unknown: usize,
}

/// A limit, if there is one, and where it is written.
#[derive(Clone, Debug)]
pub struct Limit<T> {
    pub value: Option<T>,
    pub place: Option<String>,
}

/// Limits to write into the user's policy; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BudgetLimits {
    pub monthly_budget: Option<Cents>,
    pub monthly_max: Option<Cents>,
    pub max_live_projects: Option<u64>,
}

/// The commitments of a month, by project.
#[derive(Clone, Debug)]
pub struct Spend {
    pub month: Month,
    pub projects: Vec<ProjectCommitment>,
}

impl Budgets {
    /// Returns the present month.
    pub fn state(&self) -> Result<BudgetState, Error> {
        let Policy { monthly_budget, monthly_max, max_live_projects, max_projects, sources, .. } =
            self.ports.registry()?.policy;
        let place = |key: &str| sources.get(key).cloned();
        let spend = self.spend(None)?;
        let classes = MoneyClass::ALL.into_iter().map(|money| self.class(money, &spend)).collect::<Result<_, _>>()?;
        Ok(BudgetState {
            month: spend.month,
            classes,
            monthly_budget: Limit { value: monthly_budget, place: place("monthly_budget_usd") },
            monthly_max: Limit { value: monthly_max, place: place("monthly_max_usd") },
            max_live_projects: Limit { value: max_live_projects, place: place("max_live_projects") },
            max_projects: Limit { value: max_projects, place: place("max_projects") },
        })
    }

    /// Writes limits into the user's policy file, and keeps every other byte of it.
    ///
    /// # Errors
    /// [`Error::NoPolicyFolder`]; [`Error::UserPolicy`] for a file that cannot be read; [`Error::File`].
    pub fn set(&self, limits: &BudgetLimits, principal: &Principal) -> Result<BudgetState, Error> {
        let path = self.ports.policy_files.own().ok_or(Error::NoPolicyFolder)?;
        let keys = [
            ("monthly_budget_usd", limits.monthly_budget.map(|limit| limit.to_string())),
            ("monthly_max_usd", limits.monthly_max.map(|limit| limit.to_string())),
            ("max_live_projects", limits.max_live_projects.map(|limit| limit.to_string())),
        ];
        let keys: Vec<(&str, String)> =
            keys.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
        if self.ports.ledger.exists() {
            let detail = keys.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
            let event = self.ports.event(principal, "budget", Verdict::Intended, serde_json::Value::Object(detail));
            self.ports.ledger.audit().note(&event, None)?;
        }
        policy_file::set_limits(path, &keys).map_err(|error| match error {
            PolicyWriteError::File(error) => Error::File(error),
            PolicyWriteError::Policy(error) => Error::UserPolicy(error),
        })?;
        self.state()
    }

    /// Returns what each project commits to a month; without a month, to the present one.
    pub fn spend(&self, month: Option<Month>) -> Result<Spend, Error> {
        let now = self.ports.clock.now();
        if !self.ports.ledger.exists() {
            return Ok(Spend { month: month.unwrap_or_else(|| Month::of(now)), projects: Vec::new() });
        }
        let budget = self.ports.ledger.budget();
        let month = month.map_or_else(|| budget.month(now), Ok)?;
        Ok(Spend { month, projects: budget.projects(month, now)? })
    }

    /// Releases what ended projects of that name leave committed to the present month beyond their known usage.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; [`Error::NothingToRelease`].
    pub fn release(&self, name: &ProjectName, principal: &Principal) -> Result<Spend, Error> {
        if !self.ports.ledger.exists() || self.ports.ledger.projects().newest(name)?.is_none() {
            return Err(Error::ProjectNotFound { torn_down: false });
        }
        let event = self.ports.event(principal, "spend --release", Verdict::Done, json!({}));
        let released = self.ports.ledger.budget().release(name, &event)?;
        if released.is_zero() {
            return Err(Error::NothingToRelease { name: name.clone() });
        }
        self.ports.reconcile_limits(principal)?;
        self.spend(None)
    }

    /// Returns the present time and the highest time seen, if purchases are stopped by the difference.
    pub fn clock_behind(&self) -> Result<Option<(Timestamp, Timestamp)>, Error> {
        if !self.ports.ledger.exists() {
            return Ok(None);
        }
        match self.ports.ledger.budget().purchase_time(self.ports.clock.now()) {
            Ok(_) => Ok(None),
            Err(LedgerError::ClockBehind { now, seen }) => Ok(Some((now, seen))),
            Err(error) => Err(error.into()),
        }
    }

    /// Accepts the clock's time, although a later one was recorded. Commitments stay.
    pub fn reset_clock(&self, principal: &Principal) -> Result<(), Error> {
        let event = self.ports.event(principal, "accept the clock", Verdict::Done, json!({}));
        Ok(self.ports.ledger.budget().reset_clock(&event)?)
    }

    fn class(&self, money: MoneyClass, spend: &Spend) -> Result<BudgetClass, Error> {
        let committed = if self.ports.ledger.exists() {
            self.ports.ledger.budget().committed(money, "", self.ports.clock.now())?
        } else {
            Committed::none(spend.month)
        };
        let of_class: Vec<_> = spend.projects.iter().filter(|listed| listed.project.money() == money).collect();
        let used = of_class.iter().filter_map(|listed| listed.used).fold(MicroUsd::ZERO, MicroUsd::saturating_add);
        let unknown = of_class.iter().filter(|listed| listed.used.is_none()).count();
        Ok(BudgetClass { money, committed, used, unknown })
    }
}
