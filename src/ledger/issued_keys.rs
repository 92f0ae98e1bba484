//! Every credential that was ever delivered, as far as the ledger knows it.

use std::{path::PathBuf, rc::Rc};

use rusqlite::Row;

use super::{Ledger, LedgerError, projects::IS_LIVE, rows::parsed};
use crate::{
    name::{ProjectName, ProviderKey},
    project::ProjectId,
    secret::{Fingerprint, Mask},
};

/// A credential of ours, and whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuedKey {
    pub owner: Rc<Owner>,
    pub key_version: u32,
    /// It is the current one of a project that is live.
    pub live: bool,
    pub fingerprint: Fingerprint,
    pub mask: Mask,
    /// In bytes.
    pub length: usize,
}

/// The project that a credential was delivered for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    pub project: ProjectName,
    pub id: ProjectId,
    pub provider: ProviderKey,
    pub env_file: PathBuf,
}

impl Ledger {
    /// Every credential ever delivered: the live ones first, then the newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn issued_keys(&self) -> Result<Vec<IssuedKey>, LedgerError> {
        // In the order of the table, backwards, so that nothing has to be sorted there.
        let sql = format!(
            "SELECT p.row, c.key_version, p.{IS_LIVE} AND c.key_version = p.key_version, c.fingerprint, c.mask, \
             c.length, p.name, p.id, p.provider, p.env_file FROM credentials c CROSS JOIN projects p \
             ON c.project = p.row ORDER BY c.project DESC, c.key_version DESC, c.position DESC"
        );
        let mut delivered = self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let (mut delivered, mut last) = (Vec::new(), None);
            while let Some(row) = rows.next()? {
                let project: i64 = row.get(0)?;
                let owner = match last.take() {
                    Some((same, owner)) if same == project => owner,
                    _ => Rc::new(owner(row)?),
                };
                delivered.push(IssuedKey {
                    owner: Rc::clone(&owner),
                    key_version: row.get(1)?,
                    live: row.get(2)?,
                    fingerprint: Fingerprint::from_stored(row.get(3)?),
                    mask: Mask::from_stored(row.get(4)?),
                    length: parsed("length", usize::try_from(row.get::<_, i64>(5)?))?,
                });
                last = Some((project, owner));
            }
            Ok(delivered)
        })?;
        delivered.sort_by_key(|one| !one.live);
        Ok(delivered)
    }
}

fn owner(row: &Row<'_>) -> Result<Owner, LedgerError> {
    Ok(Owner {
        project: parsed("name", ProjectName::parse(&row.get::<_, String>(6)?))?,
        id: ProjectId::from_stored(row.get(7)?),
        provider: parsed("provider", ProviderKey::parse(&row.get::<_, String>(8)?))?,
        env_file: PathBuf::from(row.get::<_, String>(9)?),
    })
}
