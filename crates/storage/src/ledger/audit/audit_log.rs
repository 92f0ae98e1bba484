//! The audit as the rest of the program uses it.

use domain::{clock::Timestamp, name::ProjectName, project::ProjectId};

use super::{
    accept::{self, Acceptance},
    chain::{self, Answered, AuditRow, Event, PAGE},
    looks::Looks,
    seal,
    verify::{self, Break, Proof},
};
use crate::{
    ledger::{Ledger, LedgerError},
    store::{Access, Tx as _, values},
};

/// The audit of the ledger.
#[derive(Clone, Copy)]
pub struct AuditLog<'a>(pub(in crate::ledger) &'a Ledger);

impl AuditLog<'_> {
    /// Writes a row that belongs to no intent: a refusal, or usage.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn note(&self, event: &Event, name: Option<&ProjectName>) -> Result<(), LedgerError> {
        self.0.write(|tx| chain::append_row(tx, event, None, name.map(ProjectName::as_str)))
    }

    /// Writes a row about a refusal, as long as the hour has room for such rows.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn note_refusal(&self, event: &Event, name: Option<&ProjectName>) -> Result<(), LedgerError> {
        self.0.write(|tx| {
            let mut looks = Looks::begin(tx)?;
            if looks.admit(tx, event, 1)? {
                chain::append_row(tx, event, None, name.map(ProjectName::as_str))?;
            }
            looks.end(tx)
        })
    }

    /// Writes the rows of finished calls; those without an effect as long as the hour has room for them. They survive the end of this process at once, and a power loss from the next
    /// synced write on: the effects of those calls have rows of their own that were synced before.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn note_calls(&self, calls: &[Answered]) -> Result<(), LedgerError> {
        self.0.transact(Access::WriteUnsynced, |tx| {
            let mut looks = Looks::begin(tx)?;
            for call in calls {
                if call.looks == 0 || looks.admit(tx, &call.event, call.looks)? {
                    let name = call.name.as_ref().map(ProjectName::as_str);
                    chain::append_row(tx, &call.event, call.project.as_deref(), name)?;
                }
            }
            looks.end(tx)
        })
    }

    /// Counts the rotations of a project that were begun over a channel since that time.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn rotations_since(&self, id: &ProjectId, channel: &str, since: Timestamp) -> Result<u64, LedgerError> {
        // As the partial index spells it.
        let sql = "SELECT count(*) FROM audit WHERE project = ?1 AND at >= ?2 AND door = ?3 \
            AND action = 'rotate' AND outcome = 'intended'";
        let values = values![id.as_str(), since.as_millisecond(), channel];
        self.0.read(|tx| Ok(tx.rows(sql, &values)?.one()?.get(0)?))
    }

    /// Returns every row, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn rows(&self) -> Result<Vec<AuditRow>, LedgerError> {
        self.0.read(|tx| {
            let mut rows = Vec::new();
            chain::each_row(tx, |row| {
                rows.push(row);
                true
            })?;
            Ok(rows)
        })
    }

    /// Passes the last rows to `wanted`, newest first, until it returns false.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn look_back(&self, mut wanted: impl FnMut(AuditRow) -> bool) -> Result<(), LedgerError> {
        let mut last = i64::MAX;
        loop {
            // One transaction per page: rows are only ever added, and at the other end.
            let rows = self.0.read(|tx| chain::page_back(tx, last))?;
            let (full, oldest) = (rows.len() >= PAGE, rows.last().map(|row| row.seq));
            for row in rows {
                if !wanted(row) {
                    return Ok(());
                }
            }
            match oldest.and_then(|seq| seq.checked_sub(1)) {
                Some(next) if full => last = next,
                _ => return Ok(()),
            }
        }
    }

    /// Checks the chain from its first row to the two records of its end.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn verify(&self) -> Result<Proof, LedgerError> {
        verify::verify(self.0)
    }

    /// Returns the number of the first row that was changed, if any.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn first_broken_row(&self) -> Result<Option<i64>, LedgerError> {
        Ok(match self.verify()? {
            Proof::Broken(broken) => Some(broken.row().unwrap_or_default()),
            Proof::Whole { .. } => None,
        })
    }

    /// Brings the anchor file up to the last row. One process does it at a time; another leaves it to that one, or to the
    /// next call. Returns how the file contradicts the chain, if it does; then the file stays as it is.
    ///
    /// # Errors
    /// When the ledger or the file cannot be written.
    pub fn seal(&self) -> Result<Option<Break>, LedgerError> {
        seal::seal(self.0)
    }

    /// Removes the temporary file that an exited process left beside the anchor file, unless another process is sealing now.
    ///
    /// # Errors
    /// When the state folder cannot be used.
    pub fn sweep(&self) -> Result<(), LedgerError> {
        self.0.check_folder()?;
        self.0.anchor.sweep()
    }

    /// Accepts that the anchor file does not fit the chain, provided that the chain itself is intact: first adds a row that
    /// records it permanently, then replaces the file. After a crash between the two, the next seal replaces the file.
    ///
    /// # Errors
    /// When the ledger or the file cannot be written, or another process seals it all the time.
    pub fn accept_break(&self, event: &Event) -> Result<Acceptance, LedgerError> {
        accept::accept_break(self.0, event)
    }
}
