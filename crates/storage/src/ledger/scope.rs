//! The workspace that a ledger is bound to, and the transactions of such a ledger.

use std::cell::OnceCell;

use domain::{
    clock::Timestamp,
    workspace::{FolderIdentity, Place, WorkspaceId},
};

use super::LedgerError;
use crate::store::{Row, Rows, StoreError, Tx, Value, values};

/// A folder that is registered with its first write.
#[derive(Clone, Debug)]
pub struct Registration {
    pub place: Place,
    /// The id that it gets if it is not registered yet.
    pub id: WorkspaceId,
    pub at: Timestamp,
}

/// Which workspace's projects a ledger shows and changes.
#[derive(Clone, Debug)]
pub(super) enum Scope {
    Folder(Registration),
    Id(WorkspaceId),
}

/// A transaction of a ledger that is bound to a workspace.
pub(super) struct ScopedTx<'a> {
    tx: &'a dyn Tx,
    scope: &'a Scope,
    writes: bool,
    found: OnceCell<WorkspaceId>,
}

impl<'a> ScopedTx<'a> {
    pub(super) fn new(tx: &'a dyn Tx, scope: &'a Scope, writes: bool) -> Self {
        Self { tx, scope, writes, found: OnceCell::new() }
    }

    /// Returns the id of the workspace. A write registers it; a read of an unregistered one gets an id that no row has.
    pub(super) fn workspace(&self) -> Result<&str, LedgerError> {
        if let Some(found) = self.found.get() {
            return Ok(found.as_str());
        }
        let id = match self.scope {
            Scope::Id(id) => id.clone(),
            Scope::Folder(registration) => match registered(self.tx, &registration.place)? {
                Found::Here(id) => id,
                Found::Nothing if self.writes => {
                    register(self.tx, registration)?;
                    registration.id.clone()
                }
                Found::Nothing => WorkspaceId::from_stored(String::new()),
                Found::Replaced => return Err(LedgerError::WorkspaceReplaced),
            },
        };
        Ok(self.found.get_or_init(|| id).as_str())
    }

    /// Returns the id for a row that is written in any case; `None` in a folder that was replaced.
    pub(super) fn workspace_if_known(&self) -> Result<Option<&str>, LedgerError> {
        match self.workspace() {
            Ok(id) => Ok(Some(id)),
            Err(LedgerError::WorkspaceReplaced) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Tx for ScopedTx<'_> {
    fn rows(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Rows, StoreError> {
        self.tx.rows(sql, parameters)
    }

    fn run(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        self.tx.run(sql, parameters)
    }
}

/// What is registered at a path.
enum Found {
    Here(WorkspaceId),
    Nothing,
    /// Another folder.
    Replaced,
}

fn registered(tx: &dyn Tx, place: &Place) -> Result<Found, LedgerError> {
    let sql = "SELECT id, device, inode, born FROM workspaces WHERE path = ?1 AND detached_at IS NULL";
    let rows = tx.rows(sql, &values![place.path.to_string_lossy()])?;
    let Some(row) = rows.first() else { return Ok(Found::Nothing) };
    let id = WorkspaceId::from_stored(row.get(0)?);
    let known = identity(&row, 1)?;
    let is_same = known.is_none_or(|known| place.identity.is_none_or(|present| present.is_same(&known)));
    Ok(if is_same { Found::Here(id) } else { Found::Replaced })
}

fn register(tx: &dyn Tx, Registration { place, id, at }: &Registration) -> Result<(), LedgerError> {
    let sql = "INSERT INTO workspaces (id, path, device, inode, born, registered_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let identity = place.identity;
    let device = identity.map(|identity| identity.device.cast_signed());
    let inode = identity.map(|identity| identity.inode.cast_signed());
    let born = identity.and_then(|identity| identity.born);
    let path = place.path.to_string_lossy();
    tx.run(sql, &values![id.as_str(), &*path, device, inode, born, at.as_millisecond()])?;
    Ok(())
}

/// Reads device, inode and birth from that column on.
pub(super) fn identity(row: &Row<'_>, column: usize) -> Result<Option<FolderIdentity>, LedgerError> {
    let (device, inode) = (row.get::<Option<i64>>(column)?, row.get::<Option<i64>>(column + 1)?);
    let born = row.get(column + 2)?;
    Ok(device.zip(inode).map(|(device, inode)| FolderIdentity {
        device: device.cast_unsigned(),
        inode: inode.cast_unsigned(),
        born,
    }))
}
