//! Operations of the journal, and the ids that their callers choose.

use domain::{
    project::{NoRandomness, ProjectId, Status, fill_random},
    secret::hex,
};

use super::LedgerError;
use crate::store::{Row, Tx, values};

/// An operation on a project.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Changes the cap.
    Cap,
    Provision,
    Resume,
    Rotate,
    Suspend,
    Teardown,
}

impl Operation {
    const ALL: [Self; 6] = [Self::Cap, Self::Provision, Self::Resume, Self::Rotate, Self::Suspend, Self::Teardown];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Provision => "provision",
            Self::Resume => "resume",
            Self::Rotate => "rotate",
            Self::Suspend => "suspend",
            Self::Teardown => "teardown",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == text)
    }

    /// The status during the operation of a project that has the status `before`.
    pub(super) fn under_way(self, before: Status) -> Status {
        match self {
            Self::Cap => before,
            Self::Provision => Status::Provisioning,
            Self::Resume | Self::Suspend => Status::Suspended,
            Self::Rotate => Status::Rotating,
            Self::Teardown => Status::TearingDown,
        }
    }
}

/// The id of one operation, chosen by its caller before the first attempt to record it.
///
/// It is unique in the journal. When a connection breaks during COMMIT, [`super::Journal::operation`] tells whether the
/// intent was recorded; recording it again under the same id is refused.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct OperationId(String);

impl OperationId {
    /// A new id from the operating system's randomness.
    ///
    /// # Errors
    /// When the operating system has none to give.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 16];
        fill_random(&mut bytes)?;
        Ok(Self(format!("op_{}", hex(&bytes))))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An operation as the journal has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperationRecord {
    pub project: ProjectId,
    pub operation: Operation,
    /// `None` while the operation is open; else the verdict of its audit row, or `superseded`.
    pub outcome: Option<String>,
}

pub(super) fn find(tx: &dyn Tx, op: &OperationId) -> Result<Option<OperationRecord>, LedgerError> {
    let sql = "SELECT p.id, j.operation, j.outcome FROM journal j JOIN projects p ON p.row = j.project WHERE j.op = ?1";
    tx.rows(sql, &values![op.as_str()])?.first().map(|row| read(&row)).transpose()
}

fn read(row: &Row<'_>) -> Result<OperationRecord, LedgerError> {
    Ok(OperationRecord {
        project: ProjectId::from_stored(row.get(0)?),
        operation: super::rows::parsed("operation", Operation::parse(row.get(1)?).ok_or(()))?,
        outcome: row.get(2)?,
    })
}
