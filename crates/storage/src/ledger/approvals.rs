//! Approval requests: each is asked once, decided once, and used once.

use domain::{
    approval::{Answer, Approval, ApprovalError, ApprovalId, ApprovalStatus, Subject},
    clock::Timestamp,
    name::{ProjectName, ProviderKey, ServiceRef},
    project::ProjectId,
};

use super::{
    Event, Ledger, LedgerError, ProvisionTx,
    audit::chain,
    rows::{amount, cap, parsed, time},
    scope::ScopedTx,
};
use crate::store::{Row, Tx, Value, values};

/// The outcome of asking.
pub enum Asked {
    /// The same request exists already, and has not expired.
    Before(Approval),
    /// Too many requests are pending already; nothing was written.
    Full,
    New(Approval),
    /// Another request has this id; nothing was written.
    Taken,
}

/// The approval requests of the ledger.
#[derive(Clone, Copy)]
pub struct Approvals<'a>(pub(super) &'a Ledger);

impl Approvals<'_> {
    /// Stores a request with its audit row, unless the same one exists already.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn ask(&self, request: &Approval, most_pending: u32, event: &Event) -> Result<Asked, LedgerError> {
        let sql = "SELECT count(*) FROM approvals WHERE status = 'pending' AND expires_at > ?1 AND workspace = ?2";
        self.0.write(|tx| {
            if let Some(before) = same(tx, &request.subject, event.at)? {
                return Ok(Asked::Before(before));
            }
            let pending: u32 = tx.rows(sql, &values![event.at.as_millisecond(), tx.workspace()?])?.one()?.get(0)?;
            if pending >= most_pending {
                return Ok(Asked::Full);
            }
            if !insert(tx, request)? {
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
        let sql = format!("SELECT {COLUMNS} FROM approvals ORDER BY row DESC LIMIT ?1");
        self.0.read(|tx| {
            let mut found = many(tx, &sql, &values![most], now)?;
            found.reverse();
            Ok(found)
        })
    }

    /// Returns one request in its present state.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn approval(&self, id: &ApprovalId, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
        self.0.read(|tx| by_id(tx, id, now))
    }

    /// Records that a form was sent to a client. An earlier form of the request becomes invalid.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn send_form(&self, id: &ApprovalId, nonce: &str) -> Result<(), LedgerError> {
        let sql = "UPDATE approvals SET nonce = ?2 WHERE id = ?1";
        self.0.write(|tx| {
            tx.run(sql, &values![id.as_str(), nonce])?;
            Ok(())
        })
    }

    /// Records the answer to a form, once, with its audit row. Without a nonce it is the answer of a person at a terminal,
    /// who may also reverse an unused decision. The first decision restarts the time until the request expires.
    ///
    /// # Errors
    /// [`ApprovalError`] when the request cannot be decided any more, or the form was answered before; or the ledger's.
    pub fn decide<E>(&self, id: &ApprovalId, nonce: Option<&str>, answer: Answer, event: &Event) -> Result<Approval, E>
    where
        E: From<ApprovalError> + From<LedgerError>,
    {
        self.0.write(|tx| {
            let before = by_id(tx, id, event.at)?.ok_or(ApprovalError::NotFound)?;
            if nonce.is_some() && nonce != nonce_of(tx, id)?.as_deref() {
                return Err(ApprovalError::Replayed.into());
            }
            match before.status {
                status if status.may_be(answer, nonce.is_none()) => {}
                ApprovalStatus::Expired => return Err(ApprovalError::Expired.into()),
                status => return Err(ApprovalError::Decided { status }.into()),
            }
            let status = match answer {
                Answer::Accepted => ApprovalStatus::Approved,
                Answer::Declined => ApprovalStatus::Denied,
                Answer::Cancelled | Answer::TimedOut | Answer::Unclear => ApprovalStatus::Pending,
            };
            write_decision(tx, &before, status, event)?;
            chain::append_named(tx, event, &before.subject.name)?;
            Ok(by_id(tx, id, event.at)?.ok_or(ApprovalError::NotFound)?)
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
        same(self.0, subject, now)
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

fn write_decision(tx: &dyn Tx, before: &Approval, status: ApprovalStatus, event: &Event) -> Result<(), LedgerError> {
    let now = event.at.as_millisecond();
    let granted_for = before.expires_at.as_millisecond() - before.created_at.as_millisecond();
    let (expires, by) = match status {
        ApprovalStatus::Pending => (before.expires_at.as_millisecond(), None),
        _ if before.status != ApprovalStatus::Pending => {
            (before.expires_at.as_millisecond(), Some(event.actor.as_str()))
        }
        _ => (now + granted_for, Some(event.actor.as_str())),
    };
    let sql = "UPDATE approvals SET status = ?2, expires_at = ?3, decided_by = ?4, decided_at = ?5, nonce = NULL \
        WHERE id = ?1";
    let at = by.map(|_| now);
    tx.run(sql, &values![before.id.as_str(), status.as_str(), expires, by, at])?;
    Ok(())
}

/// The nonce of the form that is waiting for its answer.
fn nonce_of(tx: &dyn Tx, id: &ApprovalId) -> Result<Option<String>, LedgerError> {
    Ok(tx.rows("SELECT nonce FROM approvals WHERE id = ?1", &values![id.as_str()])?.one()?.get(0)?)
}

/// The newest request for exactly that subject, if it is pending, approved or denied and has not expired.
fn same(tx: &ScopedTx<'_>, subject: &Subject, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approvals WHERE workspace = ?1 AND name = ?2 AND status <> 'used' ORDER BY row DESC"
    );
    let found = many(tx, &sql, &values![tx.workspace()?, subject.name.as_str()], now)?.into_iter();
    let mut valid = found.filter(|approval| approval.status != ApprovalStatus::Expired);
    Ok(valid.find(|approval| approval.subject == *subject))
}

/// Returns false when another request has the id.
fn insert(tx: &ScopedTx<'_>, request: &Approval) -> Result<bool, LedgerError> {
    let sql = "INSERT INTO approvals \
        (id, workspace, name, provider, service, cap_cents, terms, asked_by, created_at, expires_at, status) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";
    let subject = &request.subject;
    let written = tx.run(
        sql,
        &values![
            request.id.as_str(),
            tx.workspace()?,
            subject.name.as_str(),
            subject.provider.as_str(),
            subject.service.as_str(),
            amount(subject.cap.cents()),
            &subject.terms,
            &request.asked_by,
            request.created_at.as_millisecond(),
            request.expires_at.as_millisecond(),
            request.status.as_str(),
        ],
    )?;
    Ok(written == 1)
}

fn by_id(tx: &dyn Tx, id: &ApprovalId, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE id = ?1");
    Ok(many(tx, &sql, &values![id.as_str()], now)?.into_iter().next())
}

fn many(tx: &dyn Tx, sql: &str, parameters: &[Value<'_>], now: Timestamp) -> Result<Vec<Approval>, LedgerError> {
    tx.rows(sql, parameters)?.iter().map(|row| read(&row, now)).collect()
}

fn read(row: &Row<'_>, now: Timestamp) -> Result<Approval, LedgerError> {
    let expires_at = time(row.get(8)?)?;
    let status = parsed("status", ApprovalStatus::parse(row.get(9)?).ok_or(()))?;
    Ok(Approval {
        id: parsed("id", ApprovalId::parse(row.get(0)?))?,
        subject: Subject {
            name: parsed("name", ProjectName::parse(row.get(1)?))?,
            provider: parsed("provider", ProviderKey::parse(row.get(2)?))?,
            service: parsed("service", ServiceRef::parse(row.get(3)?))?,
            cap: cap(row.get(4)?)?,
            terms: row.get(5)?,
        },
        asked_by: row.get(6)?,
        created_at: time(row.get(7)?)?,
        expires_at,
        status: status.at(now, expires_at),
        decided_by: row.get(10)?,
    })
}

const COLUMNS: &str =
    "id, name, provider, service, cap_cents, terms, asked_by, created_at, expires_at, status, decided_by";
