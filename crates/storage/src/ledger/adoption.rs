//! Resources of a lost ledger, taken into this one.

use domain::project::{Delivery, Project, ProjectId, ResourceId};

use super::{Event, Ledger, LedgerError, ProvisionTx, audit::chain, commitments, halts, journal::insert};
use crate::store::{Tx as _, values};

/// Projects whose resource exists and that this ledger does not know.
#[derive(Clone, Copy)]
pub struct Adoption<'a>(pub(super) &'a Ledger);

impl Adoption<'_> {
    /// Whether the ledger knows a resource, or the order that created it, in any workspace and any state.
    ///
    /// `order` may be the beginning of an id.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn is_known(&self, resource: &ResourceId, order: &ProjectId) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM projects WHERE resource = ?1 OR substr(id, 1, length(?2)) = ?2 LIMIT 1";
        self.0.read(|tx| Ok(!tx.rows(sql, &values![resource.as_str(), order.as_str()])?.is_empty()))
    }

    /// Adds a project with its resource, what it commits to this month, and the audit row, in one transaction. Nothing is
    /// delivered.
    ///
    /// `choose` returns the variables, from what this transaction sees.
    ///
    /// # Errors
    /// What `choose` returns; or when the ledger cannot be written.
    pub fn add<E: From<LedgerError>>(
        &self,
        project: &Project,
        event: &Event,
        mut choose: impl FnMut(&ProvisionTx<'_>) -> Result<Vec<Delivery>, E>,
    ) -> Result<Project, E> {
        self.0.write(|tx| {
            let project = Project { deliveries: choose(&ProvisionTx(tx))?, ..project.clone() };
            let row = insert(tx, &project, None)?;
            let resource = project.resource.as_ref().map(ResourceId::as_str);
            let added = tx.run("UPDATE projects SET resource = ?2 WHERE row = ?1", &values![row, resource]);
            added.map_err(LedgerError::from)?;
            commitments::grant(tx, row, &project, event.at)?;
            halts::allocate(self.0, row)?; // while no other process can see the row
            chain::append(tx, event, Some(&project))?;
            Ok(project)
        })
    }
}
