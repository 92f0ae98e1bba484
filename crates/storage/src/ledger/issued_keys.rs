//! Every credential that was ever delivered, by fingerprint and mask.

use std::{path::PathBuf, rc::Rc};

use domain::{
    name::{ProjectName, ProviderKey},
    project::{Project, ProjectId, Status},
    secret::{Fingerprint, Mask},
};

use super::{Ledger, LedgerError, rows::parsed};
use crate::store::{Row, Rows, Tx, Value, values};

/// A credential that we delivered, and its owner.
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

/// The credentials that were ever delivered.
#[derive(Clone, Copy)]
pub struct IssuedKeys<'a>(pub(super) &'a Ledger);

impl IssuedKeys<'_> {
    /// Returns every credential ever delivered for the workspace: the live ones first, then the newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn all(&self) -> Result<Vec<IssuedKey>, LedgerError> {
        self.0.read(|tx| {
            let of_projects = "WHERE workspace = ?1";
            let of_keys = "WHERE project IN (SELECT row FROM projects WHERE workspace = ?1)";
            delivered(tx, of_projects, of_keys, &values![tx.workspace()?])
        })
    }

    /// The same for all workspaces.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn all_everywhere(&self) -> Result<Vec<IssuedKey>, LedgerError> {
        self.0.read(|tx| delivered(tx, "", "", &[]))
    }

    /// Returns those of the fingerprints that belong to credentials we delivered, ever.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn ours(&self, fingerprints: &[Fingerprint]) -> Result<Vec<Fingerprint>, LedgerError> {
        let sql = "SELECT 1 FROM credentials WHERE fingerprint = ?1 LIMIT 1";
        self.0.read(|tx| {
            let mut known = Vec::new();
            for fingerprint in fingerprints {
                if !tx.rows(sql, &values![fingerprint.as_str()])?.is_empty() {
                    known.push(fingerprint.clone());
                }
            }
            Ok(known)
        })
    }

    /// Returns the fingerprint of a project's current key, when it has one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn current_fingerprint(&self, project: &Project) -> Result<Option<Fingerprint>, LedgerError> {
        let sql = "SELECT fingerprint FROM credentials c JOIN projects p ON c.project = p.row \
            WHERE p.id = ?1 AND c.key_version = p.key_version AND c.position = 0";
        Ok(self.fingerprints(sql, project)?.into_iter().next())
    }

    /// Returns the fingerprints of a project's current credentials, in the order of its deliveries.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn current_fingerprints(&self, project: &Project) -> Result<Vec<Fingerprint>, LedgerError> {
        let sql = "SELECT fingerprint FROM credentials c JOIN projects p ON c.project = p.row \
            WHERE p.id = ?1 AND c.key_version = p.key_version ORDER BY c.position";
        self.fingerprints(sql, project)
    }

    fn fingerprints(self, sql: &str, project: &Project) -> Result<Vec<Fingerprint>, LedgerError> {
        self.0.read(|tx| {
            let rows = tx.rows(sql, &values![project.id.as_str()])?;
            rows.iter().map(|row| Ok(Fingerprint::from_stored(row.get(0)?))).collect()
        })
    }
}

/// Returns the delivered keys of the projects that meet a condition, the live ones first.
fn delivered(
    tx: &dyn Tx,
    of_projects: &str,
    of_keys: &str,
    parameters: &[Value<'_>],
) -> Result<Vec<IssuedKey>, LedgerError> {
    // Both in the order of their tables, backwards, so that the database sorts nothing.
    let of_projects = format!(
        "SELECT row, key_version, status, name, id, provider, env_file FROM projects {of_projects} ORDER BY row DESC"
    );
    let of_keys = format!(
        "SELECT project, key_version, fingerprint, mask, length FROM credentials {of_keys} \
         ORDER BY project DESC, key_version DESC, position DESC"
    );
    let mut keys = merge(&tx.rows(&of_projects, parameters)?, &tx.rows(&of_keys, parameters)?)?;
    keys.sort_by_key(|key| !key.live);
    Ok(keys)
}

/// Joins keys with their projects; both are sorted by project, the newest first.
fn merge(projects: &Rows, keys: &Rows) -> Result<Vec<IssuedKey>, LedgerError> {
    let (mut projects, mut current) = (projects.iter(), None);
    let mut merged = Vec::new();
    for key in keys.iter() {
        let project: i64 = key.get(0)?;
        while current.as_ref().is_none_or(|found: &Candidate| found.row != project) {
            let Some(next) = projects.next() else {
                return Ok(merged); // a key always has a project
            };
            current = (next.get::<i64>(0)? == project).then(|| Candidate::read(&next)).transpose()?;
        }
        let Some(found) = &current else { continue };
        let key_version = key.get(1)?;
        merged.push(IssuedKey {
            owner: Rc::clone(&found.owner),
            key_version,
            live: found.live_version == Some(key_version),
            fingerprint: Fingerprint::from_stored(key.get(2)?),
            mask: Mask::from_stored(key.get(3)?),
            length: parsed("length", usize::try_from(key.get::<i64>(4)?))?,
        });
    }
    Ok(merged)
}

/// The project of the keys that are being read.
struct Candidate {
    row: i64,
    /// The current key version of a live project.
    live_version: Option<u32>,
    owner: Rc<Owner>,
}

impl Candidate {
    fn read(row: &Row<'_>) -> Result<Self, LedgerError> {
        let status = parsed("status", Status::parse(row.get(2)?).ok_or(()))?;
        let key_version = row.get(1)?;
        Ok(Self {
            row: row.get(0)?,
            live_version: status.is_live().then_some(key_version),
            owner: Rc::new(Owner {
                project: parsed("name", ProjectName::parse(row.get(3)?))?,
                id: ProjectId::from_stored(row.get(4)?),
                provider: parsed("provider", ProviderKey::parse(row.get(5)?))?,
                env_file: PathBuf::from(row.get::<&str>(6)?),
            }),
        })
    }
}
