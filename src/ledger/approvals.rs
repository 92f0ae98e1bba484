//! Requests for a human's yes: asked once, decided once, spent once.

use rusqlite::{Connection, Row, params};

use super::{
    Ledger, LedgerError, Tx,
    audit::{self, Event},
    rows::{parsed, time},
};
use crate::{
    approval::{Answer, Approval, ApprovalError, ApprovalId, ApprovalStatus, Subject},
    clock::Timestamp,
    money::Cents,
    name::{ProjectName, ProviderKey, ServiceRef},
    project::ProjectId,
    sqlite::DatabaseError,
};

/// What became of asking.
pub enum Asked {
    /// Somebody asked for the same before, and it has not expired.
    Before(Approval),
    /// Too many requests wait for a human already; nothing was written.
    Full,
    New(Approval),
    /// The id is another request's; nothing was written.
    Taken,
}

impl Ledger {
    /// Keeps a request, unless the same one is kept already. With it goes its audit row.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn ask(&self, request: Approval, most_pending: u32, event: &Event) -> Result<Asked, LedgerError> {
        self.write(|connection| {
            if let Some(before) = same(connection, &request.subject, event.at)? {
                return Ok(Asked::Before(before));
            }
            let sql = "SELECT count(*) FROM approvals WHERE status = 'pending' AND expires_at > ?1";
            let now = event.at.as_millisecond();
            let pending: u32 = connection.prepare_cached(sql)?.query_row([now], |row| row.get(0))?;
            if pending >= most_pending {
                return Ok(Asked::Full);
            }
            if !insert(connection, &request)? {
                return Ok(Asked::Taken);
            }
            audit::append_named(connection, event, &request.subject.name)?;
            Ok(Asked::New(request))
        })
    }

    /// The newest requests, oldest first, each as it stands now.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn approvals(&self, most: u32, now: Timestamp) -> Result<Vec<Approval>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM approvals ORDER BY row DESC LIMIT ?1");
        self.read(|connection| {
            let mut found = many(connection, &sql, [most], now)?;
            found.reverse();
            Ok(found)
        })
    }

    /// One request as it stands now.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn approval(&self, id: &ApprovalId, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
        self.read(|connection| by_id(connection, id, now))
    }

    /// Notes that a form is out with a client. A form that was out before is void from now on.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn send_form(&self, id: &ApprovalId, nonce: &str) -> Result<(), LedgerError> {
        self.write(|connection| {
            let sql = "UPDATE approvals SET nonce = ?2 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute(params![id.as_str(), nonce])?;
            Ok(())
        })
    }

    /// Takes the answer to a form, once; or, without a nonce, the word of a human at a terminal, who may also take back
    /// what was said. The clock of what is granted starts anew with the first word. With it goes its audit row.
    ///
    /// # Errors
    /// [`ApprovalError`] when there is nothing to be decided any more, or the form was answered before; or the ledger's.
    pub fn decide<E>(&self, id: &ApprovalId, nonce: Option<&str>, answer: Answer, event: &Event) -> Result<Approval, E>
    where
        E: From<ApprovalError> + From<DatabaseError> + From<LedgerError>,
    {
        self.write(|connection| {
            let before = by_id(connection, id, event.at)?.ok_or(ApprovalError::NotFound)?;
            if nonce.is_some() && nonce != form_out(connection, id)?.as_deref() {
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
            write_decision(connection, &before, status, event)?;
            audit::append_named(connection, event, &before.subject.name)?;
            Ok(by_id(connection, id, event.at)?.ok_or(ApprovalError::NotFound)?)
        })
    }

    /// The key of the seal; `fresh` becomes it if there is none yet. Of two processes that are the first, one is.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn seal_key(&self, fresh: &str) -> Result<String, LedgerError> {
        self.write(|connection| {
            connection.prepare_cached("INSERT OR IGNORE INTO seal VALUES (1, ?1)")?.execute([fresh])?;
            Ok(connection.prepare_cached("SELECT key FROM seal WHERE one = 1")?.query_row([], |row| row.get(0))?)
        })
    }
}

impl Tx<'_> {
    /// The request for exactly this that still counts, if there is one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn asked(&self, subject: &Subject, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
        same(self.0, subject, now)
    }

    /// Spends what was granted for exactly this, on one project. False when there is nothing to spend; of two that try,
    /// one is told so.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn spend(&self, id: &ApprovalId, project: &ProjectId, now: Timestamp) -> Result<bool, LedgerError> {
        let sql = "UPDATE approvals SET status = 'used', project = ?2 \
            WHERE id = ?1 AND status = 'approved' AND expires_at > ?3";
        let spent = params![id.as_str(), project.as_str(), now.as_millisecond()];
        Ok(self.0.prepare_cached(sql)?.execute(spent)? == 1)
    }
}

fn write_decision(
    connection: &Connection,
    before: &Approval,
    status: ApprovalStatus,
    event: &Event,
) -> Result<(), LedgerError> {
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
    connection.prepare_cached(sql)?.execute(params![before.id.as_str(), status.as_str(), expires, by, at])?;
    Ok(())
}

fn form_out(connection: &Connection, id: &ApprovalId) -> Result<Option<String>, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT nonce FROM approvals WHERE id = ?1")?;
    Ok(statement.query_row([id.as_str()], |row| row.get(0))?)
}

/// The newest request for exactly that, if it is pending, granted or denied and has not expired.
fn same(connection: &Connection, subject: &Subject, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE name = ?1 AND status <> 'used' ORDER BY row DESC");
    let found = many(connection, &sql, [subject.name.as_str()], now)?.into_iter();
    let mut counting = found.filter(|approval| approval.status != ApprovalStatus::Expired);
    Ok(counting.find(|approval| approval.subject == *subject))
}

/// False when the id is another request's.
fn insert(connection: &Connection, request: &Approval) -> Result<bool, LedgerError> {
    let sql = "INSERT OR IGNORE INTO approvals \
        (id, name, provider, service, cap_cents, terms, asked_by, created_at, expires_at, status) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let Subject { name, provider, service, cap, terms } = &request.subject;
    let written = connection.prepare_cached(sql)?.execute(params![
        request.id.as_str(),
        name.as_str(),
        provider.as_str(),
        service.as_str(),
        i64::try_from(cap.cents()).unwrap_or(i64::MAX),
        terms,
        request.asked_by,
        request.created_at.as_millisecond(),
        request.expires_at.as_millisecond(),
        request.status.as_str(),
    ])?;
    Ok(written == 1)
}

fn by_id(connection: &Connection, id: &ApprovalId, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE id = ?1");
    Ok(many(connection, &sql, [id.as_str()], now)?.into_iter().next())
}

fn many(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    now: Timestamp,
) -> Result<Vec<Approval>, LedgerError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row, now)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>, now: Timestamp) -> Result<Approval, LedgerError> {
    let expires_at = time(row.get(8)?)?;
    let status = parsed("status", ApprovalStatus::parse(&row.get::<_, String>(9)?).ok_or(()))?;
    Ok(Approval {
        id: parsed("id", ApprovalId::parse(&row.get::<_, String>(0)?))?,
        subject: Subject {
            name: parsed("name", ProjectName::parse(&row.get::<_, String>(1)?))?,
            provider: parsed("provider", ProviderKey::parse(&row.get::<_, String>(2)?))?,
            service: parsed("service", ServiceRef::parse(&row.get::<_, String>(3)?))?,
            cap: parsed("cap_cents", u64::try_from(row.get::<_, i64>(4)?).ok().and_then(Cents::new).ok_or(()))?,
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
