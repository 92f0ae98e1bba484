//! Values that backends keep between two processes.

use super::{Ledger, LedgerError};
use crate::store::{Tx as _, values};

/// A key-value table of the ledger, with a namespace for each backend.
#[derive(Clone, Copy)]
pub struct Kv<'a>(pub(super) &'a Ledger);

impl Kv<'_> {
    /// Returns the value of a key.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn get_note(&self, backend: &str, key: &str) -> Result<Option<String>, LedgerError> {
        self.0.read(|tx| Ok(tx.rows(VALUE, &values![backend, key])?.first().map(|row| row.get(0)).transpose()?))
    }

    /// Returns every value whose key begins with `prefix`, with the rest of the key, in the order of keys.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn list_notes(&self, backend: &str, prefix: &str) -> Result<Vec<(String, String)>, LedgerError> {
        let sql = "SELECT substr(key, length(?2) + 1), value FROM notes \
            WHERE backend = ?1 AND substr(key, 1, length(?2)) = ?2 ORDER BY key";
        self.0.read(|tx| {
            let rows = tx.rows(sql, &values![backend, prefix])?;
            rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
        })
    }

    /// Sets the value of a key. Durable on return.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn put_note(&self, backend: &str, key: &str, value: &str) -> Result<(), LedgerError> {
        let sql =
            "INSERT INTO notes VALUES (?1, ?2, ?3) ON CONFLICT (backend, key) DO UPDATE SET value = excluded.value";
        self.0.write(|tx| {
            tx.run(sql, &values![backend, key, value])?;
            Ok(())
        })
    }

    /// Sets the value of a key that has none, and returns the value it has now. If two processes race, one wins and both
    /// get its value.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn put_note_if_absent(&self, backend: &str, key: &str, value: &str) -> Result<String, LedgerError> {
        let sql = "INSERT INTO notes VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        self.0.write(|tx| {
            tx.run(sql, &values![backend, key, value])?;
            Ok(tx.rows(VALUE, &values![backend, key])?.one()?.get(0)?)
        })
    }
}

const VALUE: &str = "SELECT value FROM notes WHERE backend = ?1 AND key = ?2";
