//! The workspace that a ledger is bound to, and the transactions of such a ledger.

use std::cell::OnceCell;

use domain::{
    clock::Timestamp,
    workspace::{FolderIdentity, Place, WorkspaceId},
};

use super::LedgerError;
use crate::store::{Row, Rows, StoreError, Tx, Value, values};

/// A folder, and what it is registered with.
#[derive(Clone, Debug)]
pub struct Registration {
    pub place: Place,
    /// The id that it gets if it is not registered yet.
    pub id: WorkspaceId,
    pub at: Timestamp,
    /// Whether an agent works there: then any call of it registers the folder, and else only a purchase.
    pub for_agent: bool,
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
    found: OnceCell<WorkspaceId>,
}

impl<'a> ScopedTx<'a> {
    pub(super) fn new(tx: &'a dyn Tx, scope: &'a Scope) -> Self {
        Self { tx, scope, found: OnceCell::new() }
    }

    /// Returns the id of the workspace; one that is not registered has an id that no row has.
    pub(super) fn workspace(&self) -> Result<&str, LedgerError> {
        Ok(self.find()?.unwrap_or_default())
    }

    /// Returns the id of the workspace, and registers it where needed. Only a write may.
    pub(super) fn registered(&self) -> Result<&str, LedgerError> {
        if let (None, Scope::Folder(registration)) = (self.find()?, self.scope) {
            register(self.tx, registration)?;
            return Ok(self.found.get_or_init(|| registration.id.clone()).as_str());
        }
        self.workspace()
    }

    /// Returns the id for a row that is written in any case; `None` in a folder that is not a workspace, or was replaced.
    pub(super) fn for_audit(&self) -> Result<Option<&str>, LedgerError> {
        let registers = matches!(self.scope, Scope::Folder(registration) if registration.for_agent);
        match if registers { self.registered().map(Some) } else { self.find() } {
            Err(LedgerError::WorkspaceReplaced) => Ok(None),
            found => found,
        }
    }

    fn find(&self) -> Result<Option<&str>, LedgerError> {
        if let Some(found) = self.found.get() {
            return Ok(Some(found.as_str()));
        }
        let id = match self.scope {
            Scope::Id(id) => id.clone(),
            Scope::Folder(registration) => match registered(self.tx, &registration.place)? {
                Found::Here(id) => id,
                Found::Nothing => return Ok(None),
                Found::Replaced => return Err(LedgerError::WorkspaceReplaced),
            },
        };
        Ok(Some(self.found.get_or_init(|| id).as_str()))
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

fn register(tx: &dyn Tx, Registration { place, id, at, .. }: &Registration) -> Result<(), LedgerError> {
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
