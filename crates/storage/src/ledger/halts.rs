//! Halt requests: what a kill leaves for every other operation on a project, without a lock and without the database.
//!
//! The file `halts` has one byte for each project, at the number of its row: the number of its last kill, 1 to 255. The
//! ledger notes the number up to which a person has resumed the project. Kills write only the byte, and a resume writes
//! only the note, so neither can take back what the other has written at the same time.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use domain::{
    name::ProjectName,
    project::{Project, ProjectId, ResourceId, Status},
};
use files::fs::{self, ByteFile, FsError};

use super::{Ledger, LedgerError, projects::IS_LIVE, rows};
use crate::store::{Access, StoreError, Tx as _, values};

/// The files beside the database that a kill needs: the halt requests, and space for its rows.
#[derive(Clone)]
pub(super) struct KillFiles {
    halts: ByteFile,
    reserve: PathBuf,
}

impl KillFiles {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { halts: ByteFile::new(folder.join("halts")), reserve: folder.join("reserve") }
    }
}

/// A live project, as far as a kill has to know it.
#[derive(Clone, Debug)]
pub struct KillTarget {
    pub id: ProjectId,
    pub name: ProjectName,
    pub backend: String,
    pub resource: Option<ResourceId>,
    pub status: Status,
    /// Whether an operation has begun and has no recorded end.
    pub is_open: bool,
    row: i64,
}

impl KillTarget {
    /// Whether the key is disabled, and no operation is under way that could enable it.
    pub fn is_disabled(&self) -> bool {
        self.status == Status::Suspended && !self.is_open
    }
}

/// The halt requests of the ledger's projects.
#[derive(Clone, Copy)]
pub struct Halts<'a>(pub(super) &'a Ledger);

impl Halts<'_> {
    /// Returns the live projects of the workspace, or the one of that name. Reads in place; see [`Access::ReadInPlace`].
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn targets(&self, name: Option<&ProjectName>) -> Result<Vec<KillTarget>, LedgerError> {
        let condition = if name.is_some() { "AND p.name = ?2" } else { "" };
        let sql = format!(
            "SELECT p.row, p.id, p.name, p.backend, p.resource, p.status, \
             (SELECT count(*) FROM journal j WHERE j.project = p.row AND j.outcome IS NULL) \
             FROM projects p WHERE p.workspace = ?1 AND p.{IS_LIVE} {condition} ORDER BY p.row"
        );
        self.0.transact(Access::ReadInPlace, |tx| {
            let found = match name {
                Some(name) => tx.rows(&sql, &values![tx.workspace()?, name.as_str()])?,
                None => tx.rows(&sql, &values![tx.workspace()?])?,
            };
            let targets = found.iter().map(|row| {
                Ok(KillTarget {
                    row: row.get(0)?,
                    id: ProjectId::from_stored(row.get(1)?),
                    name: rows::parsed("name", ProjectName::parse(row.get(2)?))?,
                    backend: row.get(3)?,
                    resource: row.get::<Option<String>>(4)?.map(ResourceId::new),
                    status: rows::parsed("status", Status::parse(row.get(5)?).ok_or(()))?,
                    is_open: row.get::<i64>(6)? > 0,
                })
            });
            targets.collect::<Result<_, LedgerError>>()
        })
    }

    /// Requests that every operation on a project stands back. Other processes see it on return.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn request(&self, target: &KillTarget) -> Result<(), FsError> {
        let (file, index) = (&self.0.kill_files.halts, index(target.row));
        file.set(index, file.get(index)?.checked_add(1).unwrap_or(1))
    }

    /// Flushes the requests, so that they survive a power loss.
    ///
    /// # Errors
    /// When the file cannot be flushed.
    pub fn sync(&self) -> Result<(), FsError> {
        self.0.kill_files.halts.sync()
    }

    /// Whether a project was killed and not resumed since.
    ///
    /// # Errors
    /// When the file or the ledger cannot be read.
    pub fn is_requested(&self, id: &ProjectId) -> Result<bool, LedgerError> {
        // Most projects were never killed, and then the file tells that alone.
        if self.bytes()?.iter().all(|byte| *byte == 0) {
            return Ok(false);
        }
        match self.number(id)? {
            Some(number) => Ok(self.resumed(id)? != Some(number)),
            None => Ok(false),
        }
    }

    /// Returns the ids of those projects that were killed and not resumed since.
    ///
    /// # Errors
    /// When the file or the ledger cannot be read.
    pub fn requested_among(&self, projects: &[Project]) -> Result<BTreeSet<String>, LedgerError> {
        let mut requested = BTreeSet::new();
        if self.bytes()?.iter().any(|byte| *byte != 0) {
            for project in projects {
                if self.is_requested(&project.id)? {
                    requested.insert(project.id.as_str().to_owned());
                }
            }
        }
        Ok(requested)
    }

    /// Returns the live projects of the workspace that were killed and not resumed, and that the ledger does not have as suspended.
    ///
    /// # Errors
    /// When the file or the ledger cannot be read.
    pub fn unrecorded(&self) -> Result<Vec<Project>, LedgerError> {
        if self.bytes()?.iter().all(|byte| *byte == 0) {
            return Ok(Vec::new());
        }
        let mut live = self.0.projects().all_live()?;
        live.retain(|project| !matches!(project.status, Status::Suspended | Status::TearingDown));
        let requested = self.requested_among(&live)?;
        live.retain(|project| requested.contains(project.id.as_str()));
        Ok(live)
    }

    /// Returns the number of a project's last kill; `None` if it has none.
    ///
    /// # Errors
    /// When the file or the ledger cannot be read.
    pub fn number(&self, id: &ProjectId) -> Result<Option<u8>, LedgerError> {
        let sql = "SELECT row FROM projects WHERE id = ?1";
        let row = self.0.read(|tx| {
            let rows = tx.rows(sql, &values![id.as_str()])?;
            Ok(rows.first().map(|row| row.get::<i64>(0)).transpose()?)
        })?;
        let Some(row) = row else { return Ok(None) };
        let number = self.0.kill_files.halts.get(index(row)).map_err(StoreError::from)?;
        Ok(Some(number).filter(|number| *number != 0))
    }

    /// Notes that a person resumes a project after its kill of that `number`. A later kill counts again.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn resume(&self, id: &ProjectId, number: u8) -> Result<(), LedgerError> {
        self.0.kv().put_note(RESUMED, id.as_str(), &number.to_string())
    }

    /// Releases the space that is kept for the rows of a kill; returns whether there was any.
    pub fn release_reserve(&self) -> bool {
        let had_any = fs::length(&self.0.kill_files.reserve).is_some();
        had_any && fs::remove(&self.0.kill_files.reserve).is_ok()
    }

    /// Keeps space for the rows of a later kill. Without it, a kill on a full disk cannot be recorded.
    pub fn keep_reserve(&self) {
        let _ = fs::reserve_space(&self.0.kill_files.reserve, RESERVE);
    }

    fn resumed(self, id: &ProjectId) -> Result<Option<u8>, LedgerError> {
        let note = self.0.kv().get_note(RESUMED, id.as_str())?;
        Ok(note.and_then(|number| number.parse().ok()))
    }

    fn bytes(self) -> Result<Vec<u8>, LedgerError> {
        Ok(self.0.kill_files.halts.all().map_err(StoreError::from)?)
    }
}

/// Allocates the halt byte of the row that the transaction is about to insert.
pub(super) fn allocate(ledger: &Ledger, row: i64) -> Result<(), LedgerError> {
    Ok(ledger.kill_files.halts.allocate(index(row)).map_err(StoreError::from)?)
}

fn index(row: i64) -> u64 {
    u64::try_from(row).unwrap_or_default()
}

/// The namespace of the notes about resumed projects; no backend has this name.
const RESUMED: &str = "resumed";

/// In bytes: what the databases need for the rows of some kills.
const RESERVE: usize = 512 * 1024;
