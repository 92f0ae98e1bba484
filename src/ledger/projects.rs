//! What the ledger answers about projects.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Ledger, LedgerError,
    rows::{self, COLUMNS, Stored},
};
use crate::{
    money::Cents,
    name::{EnvVar, ProjectName},
    project::Project,
    secret::Fingerprint,
    sqlite::DatabaseError,
};

/// Whether the dead are shown too.
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

impl Ledger {
    /// The live project of that name.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn live(&self, name: &ProjectName) -> Result<Option<Project>, LedgerError> {
        self.read(|connection| Ok(Tx(connection).named(name)?.map(|stored| stored.project)))
    }

    /// The newest project of that name, live or not.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest(&self, name: &ProjectName) -> Result<Option<Project>, LedgerError> {
        self.read(|connection| {
            let found = one(connection, "p.name = ?1 ORDER BY p.row DESC LIMIT 1", name.as_str())?;
            Ok(found.map(|stored| stored.project))
        })
    }

    /// At most `limit` projects after the place `after`, and how many there are.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn page(&self, visibility: Visibility, after: i64, limit: u32) -> Result<Page, LedgerError> {
        let condition = match visibility {
            Visibility::All => "p.row > ?1 ORDER BY p.row LIMIT ?2".to_owned(),
            Visibility::Live => format!("p.row > ?1 AND p.{IS_LIVE} ORDER BY p.row LIMIT ?2"),
        };
        self.read(|connection| {
            let one_more = i64::from(limit) + 1;
            let mut found = many(connection, &condition, params![after, one_more])?;
            let more = found.len() > limit as usize;
            found.truncate(limit as usize);
            let count = |condition: &str| -> Result<u64, LedgerError> {
                let sql = format!("SELECT count(*) FROM projects WHERE {condition}");
                Ok(connection.prepare_cached(&sql)?.query_row([], |row| row.get::<_, u32>(0)).map(u64::from)?)
            };
            Ok(Page {
                next: found.last().filter(|_| more).map(|stored| stored.row),
                live: count(IS_LIVE)?,
                torn_down: count("status = 'torn_down'")?,
                projects: found.into_iter().map(|stored| stored.project).collect(),
            })
        })
    }

    /// How many projects are live, and the sum of their caps.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn totals(&self) -> Result<(u64, Cents), LedgerError> {
        self.read(|connection| Tx(connection).totals())
    }

    /// Every project with a journal entry still open: what a dead process may have left.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unsettled(&self) -> Result<Vec<Project>, LedgerError> {
        self.read(|connection| {
            let condition = "p.row IN (SELECT project FROM journal WHERE outcome IS NULL) ORDER BY p.row";
            Ok(many(connection, condition, [])?.into_iter().map(|stored| stored.project).collect())
        })
    }

    /// Which of these fingerprints are of credentials that we delivered, ever.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn ours(&self, fingerprints: &[Fingerprint]) -> Result<Vec<Fingerprint>, LedgerError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT 1 FROM credentials WHERE fingerprint = ?1")?;
            let mut known = Vec::new();
            for fingerprint in fingerprints {
                if statement.exists([fingerprint.as_str()])? {
                    known.push(fingerprint.clone());
                }
            }
            Ok(known)
        })
    }

    /// The fingerprint of a project's current key, when it has one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn current_fingerprint(&self, project: &Project) -> Result<Option<Fingerprint>, LedgerError> {
        let sql = "SELECT fingerprint FROM credentials c JOIN projects p ON c.project = p.row \
            WHERE p.id = ?1 AND c.key_version = p.key_version AND c.position = 0";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let found: Option<String> = statement.query_row([project.id.as_str()], |row| row.get(0)).optional()?;
            Ok(found.map(Fingerprint::from_stored))
        })
    }

    /// Every live project, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn all_live(&self) -> Result<Vec<Project>, LedgerError> {
        self.read(|connection| {
            let condition = format!("p.{IS_LIVE} ORDER BY p.row");
            Ok(many(connection, &condition, [])?.into_iter().map(|stored| stored.project).collect())
        })
    }

    /// The fingerprints of a project's current credentials, in the order of its deliveries.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn current_fingerprints(&self, project: &Project) -> Result<Vec<Fingerprint>, LedgerError> {
        let sql = "SELECT fingerprint FROM credentials c JOIN projects p ON c.project = p.row \
            WHERE p.id = ?1 AND c.key_version = p.key_version ORDER BY c.position";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([project.id.as_str()], |row| row.get(0))?;
            Ok(rows.map(|row| row.map(Fingerprint::from_stored)).collect::<Result<_, _>>()?)
        })
    }
}

/// The live projects, seen from inside the transaction that is about to add one.
pub struct Tx<'a>(pub(super) &'a Connection);

impl Tx<'_> {
    /// How many there are and the sum of their caps.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn totals(&self) -> Result<(u64, Cents), LedgerError> {
        let sql = format!("SELECT count(*), ifnull(sum(cap_cents), 0) FROM projects WHERE {IS_LIVE}");
        let (count, cents): (u32, i64) =
            self.0.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let cents = u64::try_from(cents).map_err(|_| DatabaseError::Unreadable { column: "cap_cents" })?;
        Ok((u64::from(count), Cents::sum_of(cents)))
    }

    /// Whether a live project of ours writes that variable of that file.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn holds(&self, env_file: &Path, variable: &EnvVar) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM deliveries WHERE held = 1 AND env_file = ?1 AND env_var = ?2";
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.exists(params![env_file.to_string_lossy(), variable.as_str()])?)
    }

    /// Whether a value may make room for a new one: we delivered it, and no live project uses it any more.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn is_spent(&self, fingerprint: &Fingerprint) -> Result<bool, LedgerError> {
        let sql = format!(
            "SELECT max(p.{IS_LIVE} AND c.key_version = p.key_version) \
             FROM credentials c JOIN projects p ON c.project = p.row WHERE c.fingerprint = ?1"
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        let in_use: Option<bool> = statement.query_row([fingerprint.as_str()], |row| row.get(0))?;
        Ok(in_use == Some(false))
    }

    pub(super) fn named(&self, name: &ProjectName) -> Result<Option<Stored>, LedgerError> {
        one(self.0, &format!("p.name = ?1 AND p.{IS_LIVE}"), name.as_str())
    }
}

/// As the partial indices spell it, so that SQLite can use them.
pub(super) const IS_LIVE: &str = "status NOT IN ('failed', 'torn_down')";

pub(super) fn one(connection: &Connection, condition: &str, value: &str) -> Result<Option<Stored>, LedgerError> {
    Ok(many(connection, condition, [value])?.into_iter().next())
}

fn many(connection: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Stored>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM projects p WHERE {condition}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(rows::read(connection, row)?);
    }
    Ok(found)
}
