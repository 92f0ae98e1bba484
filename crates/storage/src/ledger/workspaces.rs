//! The registered workspaces: listed, moved to another folder, and detached from theirs.

use std::path::PathBuf;

use domain::workspace::{FolderIdentity, Place, WorkspaceId};

use super::{
    Event, Ledger, LedgerError,
    audit::chain,
    projects::IS_LIVE,
    scope::{ScopedTx, identity},
};
use crate::store::{Row, Tx as _, Value, values};

/// A workspace as it is registered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegisteredWorkspace {
    pub id: WorkspaceId,
    pub path: PathBuf,
    pub identity: Option<FolderIdentity>,
    /// Its path may belong to a later workspace.
    pub is_detached: bool,
    /// The number of its live projects.
    pub live: u64,
}

/// The outcome of moving a workspace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Move {
    Moved,
    /// Another workspace with live projects is registered there; nothing was written.
    Taken,
}

/// The workspaces of the ledger.
#[derive(Clone, Copy)]
pub struct Workspaces<'a>(pub(super) &'a Ledger);

impl RegisteredWorkspace {
    /// Returns the word by which a person names it: its path, or `-` for what belongs to no folder.
    pub fn label(&self) -> String {
        let path = self.path.to_string_lossy();
        if self.is_detached { format!("{path}@{}", self.id.as_str()) } else { path.into_owned() }
    }
}

impl Workspaces<'_> {
    /// Returns every workspace, in the order of paths. A detached one, and `-`, are left out when nothing in them is live.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn all(&self) -> Result<Vec<RegisteredWorkspace>, LedgerError> {
        let mut all = self.0.read(|tx| {
            let mut all = many(tx, "1 = 1", &[])?;
            all.push(of_no_folder(tx)?);
            Ok(all)
        })?;
        all.retain(|workspace| workspace.live > 0 || !(workspace.is_detached || workspace.id == WorkspaceId::none()));
        all.sort_by(|one, other| (&one.path, one.is_detached).cmp(&(&other.path, other.is_detached)));
        Ok(all)
    }

    /// Returns the workspace that [`RegisteredWorkspace::label`] names so.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn labelled(&self, label: &str) -> Result<Option<RegisteredWorkspace>, LedgerError> {
        self.0.read(|tx| {
            if label == WorkspaceId::none().as_str() {
                return of_no_folder(tx).map(Some);
            }
            let found = match label.rsplit_once('@') {
                Some((_, id)) => many(tx, "w.path = ?1 OR w.id = ?2", &values![label, id])?,
                None => many(tx, "w.path = ?1", &values![label])?,
            };
            Ok(found.into_iter().find(|workspace| workspace.label() == label))
        })
    }

    /// Registers another folder as the place of a workspace, with its audit row. Env files below the old folder are
    /// expected below the new one. A workspace without live projects gives way.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn move_to(&self, old: &RegisteredWorkspace, new: &Place, event: &Event) -> Result<Move, LedgerError> {
        let sql =
            "UPDATE workspaces SET path = ?2, device = ?3, inode = ?4, born = ?5, detached_at = NULL WHERE id = ?1";
        let path = new.path.to_string_lossy();
        let (device, inode) = (new.identity.map(|folder| folder.device), new.identity.map(|folder| folder.inode));
        let born = new.identity.and_then(|folder| folder.born);
        self.0.write(|tx| {
            let there =
                many(tx, "w.path = ?1 AND w.detached_at IS NULL AND w.id <> ?2", &values![&*path, old.id.as_str()])?;
            if there.iter().any(|other| other.live > 0) {
                return Ok(Move::Taken);
            }
            for other in &there {
                detach(tx, &other.id, event)?;
            }
            tx.run(
                sql,
                &values![old.id.as_str(), &*path, device.map(u64::cast_signed), inode.map(u64::cast_signed), born],
            )?;
            move_env_files(tx, old, &path)?;
            chain::append(tx, event, None)?;
            Ok(Move::Moved)
        })
    }

    /// Takes its path from a workspace, with the audit row. Its projects stay listed.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn detach(&self, workspace: &RegisteredWorkspace, event: &Event) -> Result<(), LedgerError> {
        self.0.write(|tx| {
            detach(tx, &workspace.id, event)?;
            chain::append(tx, event, None)
        })
    }
}

fn detach(tx: &ScopedTx<'_>, id: &WorkspaceId, event: &Event) -> Result<(), LedgerError> {
    let sql = "UPDATE workspaces SET detached_at = ?2 WHERE id = ?1 AND detached_at IS NULL";
    tx.run(sql, &values![id.as_str(), event.at.as_millisecond()])?;
    Ok(())
}

/// Replaces the old folder at the beginning of the paths of env files.
fn move_env_files(tx: &ScopedTx<'_>, old: &RegisteredWorkspace, new: &str) -> Result<(), LedgerError> {
    let before = format!("{}/", old.path.to_string_lossy());
    let after = format!("{new}/");
    for (table, key) in [("projects", "row"), ("deliveries", "project")] {
        let sql = format!(
            "UPDATE {table} SET env_file = ?3 || substr(env_file, length(?2) + 1) \
             WHERE substr(env_file, 1, length(?2)) = ?2 AND {key} IN (SELECT row FROM projects WHERE workspace = ?1)"
        );
        tx.run(&sql, &values![old.id.as_str(), &*before, &*after])?;
    }
    Ok(())
}

fn many(tx: &ScopedTx<'_>, condition: &str, parameters: &[Value<'_>]) -> Result<Vec<RegisteredWorkspace>, LedgerError> {
    let sql = format!(
        "SELECT w.id, w.path, w.device, w.inode, w.born, w.detached_at IS NOT NULL, \
         (SELECT count(*) FROM projects p WHERE p.workspace = w.id AND p.{IS_LIVE}) FROM workspaces w WHERE {condition}"
    );
    tx.rows(&sql, parameters)?.iter().map(|row| read(&row)).collect()
}

fn read(row: &Row<'_>) -> Result<RegisteredWorkspace, LedgerError> {
    Ok(RegisteredWorkspace {
        id: WorkspaceId::from_stored(row.get(0)?),
        path: PathBuf::from(row.get::<&str>(1)?),
        identity: identity(row, 2)?,
        is_detached: row.get(5)?,
        live: row.get(6)?,
    })
}

fn of_no_folder(tx: &ScopedTx<'_>) -> Result<RegisteredWorkspace, LedgerError> {
    let id = WorkspaceId::none();
    let sql = format!("SELECT count(*) FROM projects WHERE workspace = ?1 AND {IS_LIVE}");
    let live = tx.rows(&sql, &values![id.as_str()])?.one()?.get(0)?;
    Ok(RegisteredWorkspace { path: PathBuf::from(id.as_str()), id, identity: None, is_detached: false, live })
}
