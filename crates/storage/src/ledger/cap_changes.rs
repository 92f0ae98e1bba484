//! Changes of a live project's cap.

use domain::{
    budget::{Added, Month, Terms},
    clock::Timestamp,
    money::Cents,
    name::ProjectName,
    project::{Project, Status},
};

use super::{
    Event, Intent, Journal, LedgerError, Operation, OperationId, ProvisionTx, commitments,
    journal::{Opening, open},
    projects::named,
    rows::{Stored, amount},
};
use crate::store::{Tx as _, values};

/// A change of a cap, as the decision inside the transaction sees it.
pub struct CapChange<'a> {
    pub project: &'a Project,
    /// The present terms.
    pub terms: Terms,
    pub month: Month,
    /// The time by which budgets count.
    pub now: Timestamp,
}

impl CapChange<'_> {
    /// Returns what the change to that cap adds.
    pub fn added(&self, cap: Cents) -> Added {
        Added::by_raise(&self.terms, cap, self.month, self.now)
    }
}

impl Journal<'_> {
    /// Records the intent to change the cap of the live project of that name to what `decide` returns: the new cap, what a
    /// raise commits, journal and audit, in one transaction. `None` when there is no such project.
    ///
    /// A lowered cap releases nothing yet: the backend still permits the earlier one.
    ///
    /// # Errors
    /// The refusal of `decide`, and then nothing was written; [`LedgerError::Moved`] for a project that is neither active
    /// nor suspended; or the ledger's own.
    pub fn begin_cap<E: From<LedgerError>>(
        &self,
        name: &ProjectName,
        op: &OperationId,
        event: &Event,
        mut decide: impl FnMut(&ProvisionTx<'_>, &CapChange<'_>) -> Result<Cents, E>,
    ) -> Result<Option<Intent>, E> {
        self.0.write(|tx| {
            let Some(Stored { row, mut project }) = named(tx, name)? else { return Ok(None) };
            if !matches!(project.status, Status::Active | Status::Suspended) {
                return Err(LedgerError::Moved { status: project.status.as_str() }.into());
            }
            let now = commitments::budget_time(tx, event.at)?;
            let month = Month::of(now);
            let terms = project.terms();
            let change = CapChange { project: &project, terms, month, now };
            let cap = decide(&ProvisionTx(tx), &change)?;
            let added = change.added(cap).this_month;
            let mut write = || -> Result<Intent, LedgerError> {
                commitments::renew(tx, row, &project, now)?;
                let committed = commitments::stored(tx, row, month)?.map_or(Cents::ZERO, |stored| stored.cents);
                let committed = commitments::live(&terms, Some(committed), month, now);
                commitments::save(tx, row, month, committed.saturating_add(added))?;
                let was_cap = project.cap;
                project.cap = cap;
                let sql = "UPDATE projects SET cap_cents = ?2, updated_at = ?3 WHERE row = ?1";
                tx.run(sql, &values![row, amount(cap.cents()), event.at.as_millisecond()])?;
                let opening = Opening { operation: Operation::Cap, op, was_status: project.status };
                let intent = open(tx, row, project.clone(), &opening, event)?;
                let sql = "UPDATE journal SET was_cap_cents = ?2, was_committed_cents = ?3 WHERE entry = ?1";
                let (cap, committed) = (amount(was_cap.cents()), amount(committed.cents()));
                tx.run(sql, &values![intent.entry, cap, committed])?;
                Ok(intent)
            };
            Ok(Some(write()?))
        })
    }
}
