//! What a backend must remember between two processes, and what it must know of our projects to set its limits.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, params};

use super::{Ledger, LedgerError, projects::IS_LIVE};
use crate::{money::Cents, sqlite::DatabaseError};

impl Ledger {
    /// What was noted under that key, if anything.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn get_note(&self, backend: &str, key: &str) -> Result<Option<String>, LedgerError> {
        let sql = "SELECT value FROM notes WHERE backend = ?1 AND key = ?2";
        self.read(|connection| {
            Ok(connection.prepare_cached(sql)?.query_row(params![backend, key], |row| row.get(0)).optional()?)
        })
    }

    /// Every note whose key begins like that: the rest of the key, and the value.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn list_notes(&self, backend: &str, prefix: &str) -> Result<Vec<(String, String)>, LedgerError> {
        let sql = "SELECT substr(key, length(?2) + 1), value FROM notes \
            WHERE backend = ?1 AND substr(key, 1, length(?2)) = ?2 ORDER BY key";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![backend, prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Notes something, in the place of what was noted there before. Durable on return.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn put_note(&self, backend: &str, key: &str, value: &str) -> Result<(), LedgerError> {
        let sql = "INSERT INTO notes VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value";
        self.write(|connection| {
            connection.prepare_cached(sql)?.execute(params![backend, key, value])?;
            Ok(())
        })
    }

    /// Notes something unless something is noted there already; what is noted there now. Of two processes that are
    /// the first, one is.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn put_note_if_absent(&self, backend: &str, key: &str, value: &str) -> Result<String, LedgerError> {
        self.write(|connection| {
            let sql = "INSERT OR IGNORE INTO notes VALUES (?1, ?2, ?3)";
            connection.prepare_cached(sql)?.execute(params![backend, key, value])?;
            let sql = "SELECT value FROM notes WHERE backend = ?1 AND key = ?2";
            Ok(connection.prepare_cached(sql)?.query_row(params![backend, key], |row| row.get(0))?)
        })
    }

    /// The sum of the caps of the live projects that a backend holds with one of Stripe's providers, the `supermemory`
    /// of `supermemory/memory`.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn committed_with(&self, backend: &str, provider: &str) -> Result<Cents, LedgerError> {
        let sql = format!(
            "SELECT ifnull(sum(cap_cents), 0) FROM projects WHERE {IS_LIVE} AND backend = ?1 AND {PROVIDER} = ?2"
        );
        self.read(|connection| {
            let cents: i64 =
                connection.prepare_cached(&sql)?.query_row(params![backend, provider], |row| row.get(0))?;
            let cents = u64::try_from(cents).map_err(|_| DatabaseError::Unreadable { column: "cap_cents" })?;
            Ok(Cents::sum_of(cents))
        })
    }

    /// Stripe's providers with which a backend holds more than one live project.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn shared_providers(&self, backend: &str) -> Result<BTreeSet<String>, LedgerError> {
        let sql = format!(
            "SELECT {PROVIDER} FROM projects WHERE {IS_LIVE} AND backend = ?1 GROUP BY {PROVIDER} HAVING count(*) > 1"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([backend], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Of a project's service, the part before the slash.
const PROVIDER: &str = "substr(service, 1, instr(service, '/') - 1)";
