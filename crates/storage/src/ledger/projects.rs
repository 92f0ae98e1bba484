//! Projects: lookups, pages, and the sums of their caps.

use std::{collections::BTreeSet, path::Path};

use domain::{
    money::{Cents, MoneyClass},
    name::{EnvVar, ProjectName},
    project::Project,
    secret::Fingerprint,
};

use super::{
    Ledger, LedgerError,
    rows::{self, COLUMNS, Stored},
    scope::ScopedTx,
};
use crate::store::{Tx, Value, values};

/// Which projects a list includes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Visibility {
    All,
    Live,
}

/// A stretch of the list of projects, oldest first.
pub struct Page {
    pub projects: Vec<Project>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<i64>,
    pub live: u64,
    pub torn_down: u64,
}

/// The projects of the ledger.
#[derive(Clone, Copy)]
pub struct Projects<'a>(pub(super) &'a Ledger);

impl Projects<'_> {
    /// Returns the live project of that name.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn live(&self, name: &ProjectName) -> Result<Option<Project>, LedgerError> {
        self.0.read(|tx| Ok(named(tx, name)?.map(|stored| stored.project)))
    }

    /// Returns the newest project of that name, live or not.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest(&self, name: &ProjectName) -> Result<Option<Project>, LedgerError> {
        self.0.read(|tx| {
            let condition = "p.workspace = ?1 AND p.name = ?2 ORDER BY p.row DESC LIMIT 1";
            let found = many(tx, condition, &values![tx.workspace()?, name.as_str()])?;
            Ok(found.into_iter().next().map(|stored| stored.project))
        })
    }

    /// Returns at most `limit` projects after the place `after`, with the totals.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn page(&self, visibility: Visibility, after: i64, limit: u32) -> Result<Page, LedgerError> {
        let condition = match visibility {
            Visibility::All => "p.workspace = ?1 AND p.row > ?2 ORDER BY p.row LIMIT ?3".to_owned(),
            Visibility::Live => format!("p.workspace = ?1 AND p.row > ?2 AND p.{IS_LIVE} ORDER BY p.row LIMIT ?3"),
        };
        self.0.read(|tx| {
            let one_more = i64::from(limit) + 1;
            let workspace = tx.workspace()?;
            let mut found = many(tx, &condition, &values![workspace, after, one_more])?;
            let more = found.len() > limit as usize;
            found.truncate(limit as usize);
            let count = |condition: &str| -> Result<u64, LedgerError> {
                let sql = format!("SELECT count(*) FROM projects WHERE workspace = ?1 AND {condition}");
                Ok(tx.rows(&sql, &values![workspace])?.one()?.get(0)?)
            };
            Ok(Page {
                next: found.last().filter(|_| more).map(|stored| stored.row),
                live: count(IS_LIVE)?,
                torn_down: count("status = 'torn_down'")?,
                projects: projects(found),
            })
        })
    }

    /// Returns the number of live projects of all workspaces, and the sum of their caps, in that class of money.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn totals(&self, money: MoneyClass) -> Result<(u64, Cents), LedgerError> {
        self.0.read(|tx| ProvisionTx(tx).totals(money))
    }

    /// Returns every project of the workspace with an open journal entry, such as an exited process leaves, or with a
    /// kill that is not recorded.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unsettled(&self) -> Result<Vec<Project>, LedgerError> {
        let condition =
            "p.workspace = ?1 AND p.row IN (SELECT project FROM journal WHERE outcome IS NULL) ORDER BY p.row";
        let mut unsettled = self.0.read(|tx| Ok(projects(many(tx, condition, &values![tx.workspace()?])?)))?;
        let mut killed = self.0.halts().unrecorded()?;
        killed.retain(|project| unsettled.iter().all(|known| known.id != project.id));
        unsettled.append(&mut killed);
        Ok(unsettled)
    }

    /// Returns every live project of the workspace, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn all_live(&self) -> Result<Vec<Project>, LedgerError> {
        let condition = format!("p.workspace = ?1 AND p.{IS_LIVE} ORDER BY p.row");
        self.0.read(|tx| Ok(projects(many(tx, &condition, &values![tx.workspace()?])?)))
    }

    /// Returns every live project of all workspaces, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn all_live_everywhere(&self) -> Result<Vec<Project>, LedgerError> {
        let condition = format!("p.{IS_LIVE} ORDER BY p.row");
        self.0.read(|tx| Ok(projects(many(tx, &condition, &[])?)))
    }

    /// Returns the sum of the caps of a backend's live projects with one of Stripe's providers, such as the `supermemory`
    /// of `supermemory/memory`.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn committed_with(&self, backend: &str, provider: &str) -> Result<Cents, LedgerError> {
        let sql =
            format!("SELECT {SUM_OF_CAPS} FROM projects WHERE {IS_LIVE} AND backend = ?1 AND service_provider = ?2");
        self.0.read(|tx| rows::sum_of_caps(tx.rows(&sql, &values![backend, provider])?.one()?.get(0)?))
    }

    /// Returns Stripe's providers with which a backend has more than one live project.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn shared_providers(&self, backend: &str) -> Result<BTreeSet<String>, LedgerError> {
        let sql = format!(
            "SELECT service_provider FROM projects WHERE {IS_LIVE} AND backend = ?1 \
             GROUP BY service_provider HAVING count(*) > 1"
        );
        self.0.read(|tx| {
            let rows = tx.rows(&sql, &values![backend])?;
            Ok(rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?)
        })
    }
}

/// The transaction that is about to add a project, as far as the decision about it may look and act.
pub struct ProvisionTx<'a>(pub(super) &'a ScopedTx<'a>);

impl ProvisionTx<'_> {
    /// Returns the number of live projects of all workspaces, and the sum of their caps, in that class of money.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn totals(&self, money: MoneyClass) -> Result<(u64, Cents), LedgerError> {
        let sql = format!("SELECT count(*), {SUM_OF_CAPS} FROM projects WHERE {IS_LIVE} AND money = ?1");
        let rows = self.0.rows(&sql, &values![money.as_str()])?;
        let row = rows.one()?;
        Ok((row.get(0)?, rows::sum_of_caps(row.get(1)?)?))
    }

    /// Whether a live project of any workspace writes that variable of that file.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn holds(&self, env_file: &Path, variable: &EnvVar) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM deliveries WHERE held = 1 AND env_file = ?1 AND env_var = ?2";
        let found = self.0.rows(sql, &values![env_file.to_string_lossy(), variable.as_str()])?;
        Ok(!found.is_empty())
    }

    /// Whether a value may be overwritten: we delivered it, and no live project uses it any more.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn is_spent(&self, fingerprint: &Fingerprint) -> Result<bool, LedgerError> {
        let sql = format!(
            "SELECT max(CASE WHEN p.{IS_LIVE} AND c.key_version = p.key_version THEN 1 ELSE 0 END) \
             FROM credentials c JOIN projects p ON c.project = p.row WHERE c.fingerprint = ?1"
        );
        let in_use: Option<bool> = self.0.rows(&sql, &values![fingerprint.as_str()])?.one()?.get(0)?;
        Ok(in_use == Some(false))
    }
}

/// As the partial indices spell it, so that the database can use them.
pub(super) const IS_LIVE: &str = "status NOT IN ('failed', 'torn_down')";

/// Cast, because PostgreSQL's sum of integers is no integer.
const SUM_OF_CAPS: &str = "CAST(coalesce(sum(cap_cents), 0) AS BIGINT)";

pub(super) fn named(tx: &ScopedTx<'_>, name: &ProjectName) -> Result<Option<Stored>, LedgerError> {
    let condition = format!("p.workspace = ?1 AND p.name = ?2 AND p.{IS_LIVE}");
    Ok(many(tx, &condition, &values![tx.workspace()?, name.as_str()])?.into_iter().next())
}

pub(super) fn one(tx: &dyn Tx, condition: &str, value: &str) -> Result<Option<Stored>, LedgerError> {
    Ok(many(tx, condition, &values![value])?.into_iter().next())
}

fn many(tx: &dyn Tx, condition: &str, parameters: &[Value<'_>]) -> Result<Vec<Stored>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM projects p WHERE {condition}");
    tx.rows(&sql, parameters)?.iter().map(|row| rows::read(tx, &row)).collect()
}

fn projects(stored: Vec<Stored>) -> Vec<Project> {
    stored.into_iter().map(|stored| stored.project).collect()
}
