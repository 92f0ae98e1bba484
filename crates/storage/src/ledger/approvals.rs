//! Approval requests: each is asked once, decided once, and used once.

mod quiet;
mod row;

use domain::{
    approval::{Answer, Approval, ApprovalError, ApprovalId, ApprovalStatus, Subject},
    clock::Timestamp,
    project::ProjectId,
};
pub use quiet::QuietTime;

use super::{Event, Ledger, LedgerError, ProvisionTx, audit::chain};
use crate::store::{Tx as _, values};

/// The outcome of asking.
pub enum Asked {
    /// The same request exists already, is pending or approved, and has not expired.
    Before(Approval),
    /// Too many requests of the workspace are pending already; nothing was written.
    Full,
    New(Approval),
    /// A denial holds the request back; nothing was written.
    Quiet(QuietTime),
    /// Another request has this id; nothing was written.
    Taken,
}

/// The outcome of an answer.
#[derive(Debug)]
pub enum Decided {
    Recorded(Approval),
    /// The form was answered faster than a person can read, so the request stays pending.
    Unattended(Approval),
}

/// The approval requests of the ledger.
#[derive(Clone, Copy)]
pub struct Approvals<'a>(pub(super) &'a Ledger);

impl Approvals<'_> {
    /// Stores a request with its audit row, unless the same one exists already or a denial holds it back.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn ask(&self, request: &Approval, most_pending: u32, event: &Event) -> Result<Asked, LedgerError> {
        let sql = "SELECT count(*) FROM approvals WHERE status = 'pending' AND expires_at > ?1 AND workspace = ?2";
        self.0.write(|tx| {
            let before = row::same(tx, &request.subject, event.at)?;
            if let Some(approved) = before.as_ref().filter(|before| before.status == ApprovalStatus::Approved) {
                return Ok(Asked::Before(approved.clone()));
            }
            if let Some(quiet) = quiet::of(tx, &request.subject, event.at)? {
                return Ok(Asked::Quiet(quiet));
            }
            if let Some(pending) = before {
                return Ok(Asked::Before(pending));
            }
            let pending: u32 = tx.rows(sql, &values![event.at.as_millisecond(), tx.workspace()?])?.one()?.get(0)?;
            if pending >= most_pending {
                return Ok(Asked::Full);
            }
            row::prune(tx, event.at)?;
            if !row::insert(tx, request)? {
                return Ok(Asked::Taken);
            }
            chain::append_named(tx, event, &request.subject.name)?;
            Ok(Asked::New(request.clone()))
        })
    }

    /// Returns the newest requests of all workspaces, oldest first, each in its present state.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn list(&self, most: u32, now: Timestamp) -> Result<Vec<Approval>, LedgerError> {
        self.0.read(|tx| row::newest(tx, most, now))
    }

    /// Returns one request in its present state.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn approval(&self, id: &ApprovalId, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
        self.0.read(|tx| row::by_id(tx, id, now))
    }

    /// Records that a form is sent to a client, whose earlier forms of the request become invalid. Returns false where the
    /// workspace has had `most` forms in the last hour.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn send_form(&self, id: &ApprovalId, nonce: &str, most: u32, now: Timestamp) -> Result<bool, LedgerError> {
        let now = now.as_millisecond();
        let an_hour_ago = now - HOUR;
        self.0.write(|tx| {
            tx.run("DELETE FROM approval_forms WHERE sent_at <= ?1", &values![an_hour_ago])?;
            let count = "SELECT count(*) FROM approval_forms WHERE workspace = ?1";
            let sent: u32 = tx.rows(count, &values![tx.workspace()?])?.one()?.get(0)?;
            if sent >= most {
                return Ok(false);
            }
            tx.run("INSERT INTO approval_forms (workspace, sent_at) VALUES (?1, ?2)", &values![tx.workspace()?, now])?;
            let sql = "UPDATE approvals SET nonce = ?2, form_sent_at = ?3 WHERE id = ?1";
            tx.run(sql, &values![id.as_str(), nonce, now])?;
            Ok(true)
        })
    }

    /// Records the answer to a form, once, with its audit row. Without a nonce it is the answer of a person at a terminal,
    /// who may also reverse an unused decision. The first decision restarts the time until the request expires.
    ///
    /// # Errors
    /// [`ApprovalError`] when the request cannot be decided any more, or the form was answered before; or the ledger's.
    pub fn decide<E>(&self, id: &ApprovalId, nonce: Option<&str>, answer: Answer, event: &Event) -> Result<Decided, E>
    where
        E: From<ApprovalError> + From<LedgerError>,
    {
        self.0.write(|tx| {
            let before = row::by_id(tx, id, event.at)?.ok_or(ApprovalError::NotFound)?;
            let form = row::form(tx, id)?;
            if nonce.is_some() && nonce != form.nonce.as_deref() {
                return Err(ApprovalError::Replayed.into());
            }
            match before.status {
                status if status.may_be(answer, nonce.is_none()) => {}
                ApprovalStatus::Expired => return Err(ApprovalError::Expired.into()),
                status => return Err(ApprovalError::Decided { status }.into()),
            }
            let is_unattended = nonce.is_some() && is_answer(answer) && form.is_younger_than_a_second(event.at);
            let status = match answer {
                Answer::Accepted => ApprovalStatus::Approved,
                Answer::Declined if !is_unattended => ApprovalStatus::Denied,
                Answer::Cancelled | Answer::Declined | Answer::TimedOut | Answer::Unclear => ApprovalStatus::Pending,
            };
            row::write_decision(tx, &before, status, event)?;
            match status {
                ApprovalStatus::Approved => quiet::end(tx, &before)?,
                ApprovalStatus::Denied => quiet::begin(tx, &before, event.at)?,
                ApprovalStatus::Expired | ApprovalStatus::Pending | ApprovalStatus::Used => {}
            }
            chain::append_named(tx, event, &before.subject.name)?;
            let after = row::by_id(tx, id, event.at)?.ok_or(ApprovalError::NotFound)?;
            Ok(if is_unattended { Decided::Unattended(after) } else { Decided::Recorded(after) })
        })
    }

    /// Ends every quiet time, with its audit row, and returns how many there were.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn end_quiet_times(&self, event: &Event) -> Result<u64, LedgerError> {
        self.0.write(|tx| {
            let ended = quiet::end_all(tx, event.at)?;
            chain::append_unnamed(tx, event)?;
            Ok(ended)
        })
    }

    /// Returns the key that signs request state; `fresh` becomes it if there is none. If two processes race, one wins and
    /// both get its key.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn seal_key(&self, fresh: &str) -> Result<String, LedgerError> {
        self.0.write(|tx| {
            tx.run("INSERT INTO seal VALUES (1, ?1) ON CONFLICT DO NOTHING", &values![fresh])?;
            Ok(tx.rows("SELECT key FROM seal WHERE one = 1", &[])?.one()?.get(0)?)
        })
    }
}

impl ProvisionTx<'_> {
    /// Returns the request for exactly this subject that is still valid.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn asked(&self, subject: &Subject, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
        row::same(self.0, subject, now)
    }

    /// Uses an approval for one project. Returns false when it cannot be used, such as by the second of two calls.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn spend(&self, id: &ApprovalId, project: &ProjectId, now: Timestamp) -> Result<bool, LedgerError> {
        let sql = "UPDATE approvals SET status = 'used', project = ?2 \
            WHERE id = ?1 AND status = 'approved' AND expires_at > ?3";
        Ok(self.0.run(sql, &values![id.as_str(), project.as_str(), now.as_millisecond()])? == 1)
    }
}

/// Whether something came back at all. A yes needs its field to be filled in, which no client does by itself.
fn is_answer(answer: Answer) -> bool {
    match answer {
        Answer::Cancelled | Answer::Declined | Answer::Unclear => true,
        Answer::Accepted | Answer::TimedOut => false,
    }
}

/// In milliseconds.
const HOUR: i64 = 60 * 60 * 1000;
