//! Every credential that was ever delivered, as far as the ledger knows it.

use std::path::PathBuf;

use super::{Ledger, LedgerError, projects::IS_LIVE, rows::parsed};
use crate::{
    name::{ProjectName, ProviderKey},
    project::ProjectId,
    secret::{Fingerprint, Mask},
};

/// A credential of ours, and whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivered {
    pub project: ProjectName,
    pub id: ProjectId,
    pub provider: ProviderKey,
    pub key_version: u32,
    /// It is the current one of a project that is live.
    pub live: bool,
    pub env_file: PathBuf,
    pub fingerprint: Fingerprint,
    pub mask: Mask,
    /// In bytes.
    pub length: usize,
}

impl Ledger {
    /// Every credential ever delivered: the live ones first, then the newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn delivered(&self) -> Result<Vec<Delivered>, LedgerError> {
        let sql = format!(
            "SELECT p.name, p.id, p.provider, c.key_version, p.{IS_LIVE} AND c.key_version = p.key_version AS live, \
             p.env_file, c.fingerprint, c.mask, c.length FROM credentials c JOIN projects p ON c.project = p.row \
             ORDER BY live DESC, p.row DESC, c.key_version DESC, c.position"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut delivered = Vec::new();
            while let Some(row) = rows.next()? {
                delivered.push(Delivered {
                    project: parsed("name", ProjectName::parse(&row.get::<_, String>(0)?))?,
                    id: ProjectId::from_stored(row.get(1)?),
                    provider: parsed("provider", ProviderKey::parse(&row.get::<_, String>(2)?))?,
                    key_version: row.get(3)?,
                    live: row.get(4)?,
                    env_file: PathBuf::from(row.get::<_, String>(5)?),
                    fingerprint: Fingerprint::from_stored(row.get(6)?),
                    mask: Mask::from_stored(row.get(7)?),
                    length: parsed("length", usize::try_from(row.get::<_, i64>(8)?))?,
                });
            }
            Ok(delivered)
        })
    }
}
