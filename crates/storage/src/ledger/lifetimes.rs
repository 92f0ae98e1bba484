//! Expiry times of projects, and the host sessions they belong to.

use domain::{clock::Timestamp, name::ProjectName, project::Project};

use super::{
    Event, Ledger, LedgerError,
    audit::chain,
    projects::{IS_LIVE, named},
    rows,
    scope::ScopedTx,
};
use crate::store::{Tx as _, values};

/// How long a project is granted for, and to which session.
#[derive(Clone, Debug, Default)]
pub struct LifetimeTerms {
    /// `None`: until it is torn down.
    pub expires_at: Option<Timestamp>,
    /// The host session that tears it down at its end.
    pub session: Option<String>,
}

/// The lifetimes of projects.
#[derive(Clone, Copy)]
pub struct Lifetimes<'a>(pub(super) &'a Ledger);

impl Lifetimes<'_> {
    /// Returns the names of the live projects that have expired.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn expired(&self, now: Timestamp) -> Result<Vec<ProjectName>, LedgerError> {
        let sql = format!(
            "SELECT name FROM projects WHERE workspace = ?1 AND {IS_LIVE} AND expires_at <= ?2 ORDER BY expires_at"
        );
        self.0.read(|tx| {
            let rows = tx.rows(&sql, &values![tx.workspace()?, now.as_millisecond()])?;
            rows.iter().map(|row| rows::parsed("name", ProjectName::parse(row.get(0)?))).collect()
        })
    }

    /// Sets a live project's expiry time, with its audit row; `None` when no live project has that name.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn extend(&self, name: &ProjectName, until: Timestamp, event: &Event) -> Result<Option<Project>, LedgerError> {
        let sql = "UPDATE projects SET expires_at = ?2, updated_at = ?3 WHERE row = ?1";
        self.change(name, event, |tx, row| {
            Ok(tx.run(sql, &values![row, until.as_millisecond(), event.at.as_millisecond()])?)
        })
    }

    /// Detaches a live project from its session, which then does not tear it down, with its audit row. A lifetime of its
    /// own goes on.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn keep(&self, name: &ProjectName, event: &Event) -> Result<Option<Project>, LedgerError> {
        let sql = "UPDATE projects SET kept = 1, session = NULL, updated_at = ?2, \
            expires_at = CASE WHEN session = 'ended' THEN NULL ELSE expires_at END WHERE row = ?1";
        self.change(name, event, |tx, row| Ok(tx.run(sql, &values![row, event.at.as_millisecond()])?))
    }

    /// Ends a session: its projects that are not kept expire at `until`, or sooner if they already did. Returns their
    /// number.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn end_session(&self, session: &str, until: Timestamp, event: &Event) -> Result<u64, LedgerError> {
        let sql = format!(
            "UPDATE projects SET expires_at = CASE WHEN expires_at < ?2 THEN expires_at ELSE ?2 END, \
             session = 'ended' WHERE workspace = ?3 AND {IS_LIVE} AND session = ?1 AND kept = 0"
        );
        self.0.write(|tx| {
            let ended = tx.run(&sql, &values![session, until.as_millisecond(), tx.workspace()?])?;
            if ended > 0 {
                chain::append(tx, event, None)?;
            }
            Ok(ended)
        })
    }

    /// Returns the sessions of live projects that have not ended.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn sessions(&self) -> Result<Vec<String>, LedgerError> {
        let sql = format!(
            "SELECT DISTINCT session FROM projects WHERE workspace = ?1 AND {IS_LIVE} AND session IS NOT NULL \
             AND session <> 'ended'"
        );
        self.0.read(|tx| {
            let rows = tx.rows(&sql, &values![tx.workspace()?])?;
            Ok(rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?)
        })
    }

    fn change(
        self,
        name: &ProjectName,
        event: &Event,
        update: impl Fn(&ScopedTx<'_>, i64) -> Result<u64, LedgerError>,
    ) -> Result<Option<Project>, LedgerError> {
        self.0.write(|tx| {
            let Some(stored) = named(tx, name)? else {
                return Ok(None);
            };
            update(tx, stored.row)?;
            chain::append(tx, event, Some(&stored.project))?;
            Ok(named(tx, name)?.map(|stored| stored.project))
        })
    }
}
