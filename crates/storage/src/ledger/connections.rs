//! Connections of the workspace to real backends.

use domain::{
    clock::Timestamp,
    connection::{Connection, ConnectionTarget},
};

use super::{Event, Ledger, LedgerError, audit::chain, rows::time};
use crate::store::{Tx as _, values};

/// The connections of the ledger's workspace.
#[derive(Clone, Copy)]
pub struct Connections<'a>(pub(super) &'a Ledger);

impl Connections<'_> {
    /// Returns the connection to that backend; `None` if no person has recorded one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn find(&self, backend: &'static str) -> Result<Option<Connection>, LedgerError> {
        if !self.0.exists() {
            return Ok(None);
        }
        let sql = "SELECT address, key_file, terms_accepted, recorded_by, recorded_at FROM connections \
            WHERE workspace = ?1 AND backend = ?2";
        self.0.read(|tx| {
            let rows = tx.rows(sql, &values![tx.workspace()?, backend])?;
            let Some(row) = rows.first() else { return Ok(None) };
            let target =
                ConnectionTarget { backend, address: row.get(0)?, key_file: row.get(1)?, terms_accepted: row.get(2)? };
            Ok(Some(Connection { target, recorded_by: row.get(3)?, recorded_at: time(row.get(4)?)? }))
        })
    }

    /// Records a connection in place of an earlier one to the same backend, with its audit row.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn record(&self, target: &ConnectionTarget, by: &str, at: Timestamp, event: &Event) -> Result<(), LedgerError> {
        let sql = "INSERT INTO connections VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
            ON CONFLICT (workspace, backend) DO UPDATE SET address = excluded.address, key_file = excluded.key_file, \
            terms_accepted = excluded.terms_accepted, recorded_by = excluded.recorded_by, \
            recorded_at = excluded.recorded_at";
        let ConnectionTarget { backend, address, key_file, terms_accepted } = target;
        self.0.write(|tx| {
            let values = values![
                tx.workspace()?,
                *backend,
                address,
                key_file.as_deref(),
                i64::from(*terms_accepted),
                by,
                at.as_millisecond()
            ];
            tx.run(sql, &values)?;
            chain::append(tx, event, None)
        })
    }
}
