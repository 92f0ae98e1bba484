//! How long projects live, and whom they belong to while they do.

use rusqlite::{Connection, params};

use super::{
    Event, Ledger, LedgerError, audit,
    projects::{IS_LIVE, Tx},
    rows,
};
use crate::{clock::Timestamp, name::ProjectName, project::Project};

/// For how long a project is granted, and to whom.
#[derive(Clone, Debug, Default)]
pub struct LifetimeTerms {
    /// `None`: until somebody tears it down.
    pub expires_at: Option<Timestamp>,
    /// The host session that gives it back at its end.
    pub session: Option<String>,
}

impl Ledger {
    /// The names of the live projects whose time is up.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn expired(&self, now: Timestamp) -> Result<Vec<ProjectName>, LedgerError> {
        let sql = format!("SELECT name FROM projects WHERE {IS_LIVE} AND expires_at <= ?1 ORDER BY expires_at");
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([now.as_millisecond()])?;
            let mut names = Vec::new();
            while let Some(row) = rows.next()? {
                names.push(rows::parsed("name", ProjectName::parse(&row.get::<_, String>(0)?))?);
            }
            Ok(names)
        })
    }

    /// Gives a live project another end, with its audit row; `None` when there is none of that name.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn extend(&self, name: &ProjectName, until: Timestamp, event: &Event) -> Result<Option<Project>, LedgerError> {
        let sql = "UPDATE projects SET expires_at = ?2, updated_at = ?3 WHERE row = ?1";
        self.change(name, event, |connection, row| {
            let (until, now) = (until.as_millisecond(), event.at.as_millisecond());
            Ok(connection.prepare_cached(sql)?.execute(params![row, until, now])?)
        })
    }

    /// Takes a live project out of its session, which then leaves it alone, with its audit row. A lifetime of its own
    /// goes on.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn keep(&self, name: &ProjectName, event: &Event) -> Result<Option<Project>, LedgerError> {
        let sql = "UPDATE projects SET kept = 1, session = NULL, updated_at = ?2, \
            expires_at = CASE WHEN session = 'ended' THEN NULL ELSE expires_at END WHERE row = ?1";
        self.change(name, event, |connection, row| {
            Ok(connection.prepare_cached(sql)?.execute(params![row, event.at.as_millisecond()])?)
        })
    }

    /// Ends a session: what it provisioned and nobody keeps expires at that time, unless it does so sooner. How many
    /// those are.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn end_session(&self, session: &str, until: Timestamp, event: &Event) -> Result<usize, LedgerError> {
        let sql = format!(
            "UPDATE projects SET expires_at = min(ifnull(expires_at, ?2), ?2), session = 'ended' \
             WHERE {IS_LIVE} AND session = ?1 AND kept = 0"
        );
        self.write(|connection| {
            let ended = connection.prepare_cached(&sql)?.execute(params![session, until.as_millisecond()])?;
            if ended > 0 {
                audit::append(connection, event, None)?;
            }
            Ok(ended)
        })
    }

    /// The sessions that live projects belong to.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn sessions(&self) -> Result<Vec<String>, LedgerError> {
        let sql = format!(
            "SELECT DISTINCT session FROM projects WHERE {IS_LIVE} AND session IS NOT NULL AND session <> 'ended'"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn change(
        &self,
        name: &ProjectName,
        event: &Event,
        how: impl FnOnce(&Connection, i64) -> Result<usize, LedgerError>,
    ) -> Result<Option<Project>, LedgerError> {
        self.write(|connection| {
            let Some(stored) = Tx(connection).named(name)? else {
                return Ok(None);
            };
            how(connection, stored.row)?;
            audit::append(connection, event, Some(&stored.project))?;
            Ok(Tx(connection).named(name)?.map(|stored| stored.project))
        })
    }
}
