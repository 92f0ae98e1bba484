//! The rows of approval requests.

use domain::{
    approval::{Approval, ApprovalId, ApprovalStatus, Subject, SubjectFacts},
    budget::CapPeriod,
    clock::Timestamp,
    lifetime::Lifetime,
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
};
use serde_json::{Value as Json, json};

use crate::{
    ledger::{
        Event, LedgerError,
        rows::{amount, cap, parsed, time},
        scope::ScopedTx,
    },
    store::{Row, Tx, Value, values},
};

/// A form that waits for its answer.
pub struct Form {
    pub nonce: Option<String>,
    sent_at: Option<i64>,
}

impl Form {
    pub fn is_younger_than_a_second(&self, now: Timestamp) -> bool {
        self.sent_at.is_some_and(|sent_at| now.as_millisecond().saturating_sub(sent_at) < SECOND)
    }
}

/// Returns the newest request for exactly that subject that is pending or approved and has not expired.
pub fn same(tx: &ScopedTx<'_>, subject: &Subject, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approvals WHERE workspace = ?1 AND name = ?2 AND terms = ?3 \
         AND status IN ('approved', 'pending') AND expires_at > ?4 ORDER BY row DESC"
    );
    let parameters = values![tx.workspace()?, subject.name.as_str(), &subject.digest, now.as_millisecond()];
    Ok(many(tx, &sql, &parameters, now)?.into_iter().find(|approval| approval.subject == *subject))
}

/// Returns the newest requests, oldest first.
pub fn newest(tx: &dyn Tx, most: u32, now: Timestamp) -> Result<Vec<Approval>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM approvals ORDER BY row DESC LIMIT ?1");
    let mut found = many(tx, &sql, &values![most], now)?;
    found.reverse();
    Ok(found)
}

pub fn by_id(tx: &dyn Tx, id: &ApprovalId, now: Timestamp) -> Result<Option<Approval>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE id = ?1");
    Ok(many(tx, &sql, &values![id.as_str()], now)?.into_iter().next())
}

pub fn form(tx: &dyn Tx, id: &ApprovalId) -> Result<Form, LedgerError> {
    let rows = tx.rows("SELECT nonce, form_sent_at FROM approvals WHERE id = ?1", &values![id.as_str()])?;
    let row = rows.one()?;
    Ok(Form { nonce: row.get(0)?, sent_at: row.get(1)? })
}

/// Returns false when another request has the id.
pub fn insert(tx: &ScopedTx<'_>, request: &Approval) -> Result<bool, LedgerError> {
    let sql = "INSERT INTO approvals (id, workspace, name, provider, service, service_provider, cap_cents, terms, \
        subject, asked_by, created_at, expires_at, status) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING";
    let subject = &request.subject;
    let facts = facts(&subject.shown).to_string();
    let written = tx.run(
        sql,
        &values![
            request.id.as_str(),
            tx.workspace()?,
            subject.name.as_str(),
            subject.provider.as_str(),
            subject.service.as_str(),
            subject.service.provider(),
            amount(subject.cap.cents()),
            &subject.digest,
            &facts,
            &request.asked_by,
            request.created_at.as_millisecond(),
            request.expires_at.as_millisecond(),
            request.status.as_str(),
        ],
    )?;
    Ok(written == 1)
}

pub fn write_decision(
    tx: &dyn Tx,
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
    let sql = "UPDATE approvals SET status = ?2, expires_at = ?3, decided_by = ?4, decided_at = ?5, nonce = NULL, \
        form_sent_at = NULL WHERE id = ?1";
    let at = by.map(|_| now);
    tx.run(sql, &values![before.id.as_str(), status.as_str(), expires, by, at])?;
    Ok(())
}

/// Deletes some of the requests that are over, except for the newest. The audit has its own rows of each.
///
/// A denial is kept for two days, because the next one doubles its quiet time. One call deletes a bounded number.
pub fn prune(tx: &dyn Tx, now: Timestamp) -> Result<(), LedgerError> {
    let now = now.as_millisecond();
    let sql = "DELETE FROM approvals WHERE row IN (SELECT row FROM approvals \
        WHERE row <= (SELECT coalesce(max(row), 0) FROM approvals) - ?1 AND (status = 'used' OR expires_at <= ?2) \
        AND NOT (status = 'denied' AND coalesce(decided_at, 0) > ?3) ORDER BY row LIMIT ?4)";
    tx.run(sql, &values![KEPT, now, now - DENIALS_KEPT_FOR, MOST_DELETED])?;
    Ok(())
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
            digest: row.get(5)?,
            shown: parsed("subject", shown(row.get(11)?).ok_or(()))?,
        },
        asked_by: row.get(6)?,
        created_at: time(row.get(7)?)?,
        expires_at,
        status: status.at(now, expires_at),
        decided_by: row.get(10)?,
        quiet_until: row.get::<Option<i64>>(12)?.map(time).transpose()?,
    })
}

fn facts(shown: &SubjectFacts) -> Json {
    json!({
        "backend": shown.backend,
        "env_file": shown.env_file,
        "expires_in": shown.lifetime.map(|lifetime| lifetime.to_string()),
        "label": shown.label,
        "paid": shown.paid,
        "period": shown.period.as_str(),
        "raised_from": shown.raised_from.map(Cents::cents),
        "replaces": shown.replaces,
        "variables": shown.variables.iter().map(EnvVar::as_str).collect::<Vec<_>>(),
        "workspace": shown.workspace,
    })
}

fn shown(json: &str) -> Option<SubjectFacts> {
    let facts: Json = serde_json::from_str(json).ok()?;
    let text = |key: &str| facts.get(key).and_then(Json::as_str).map(str::to_owned);
    let is = |key: &str| facts.get(key).and_then(Json::as_bool);
    let variables = facts.get("variables")?.as_array()?.iter();
    Some(SubjectFacts {
        backend: text("backend")?,
        env_file: text("env_file")?,
        label: text("label")?,
        lifetime: text("expires_in").map(|lifetime| Lifetime::parse(&lifetime).ok()).unwrap_or_default(),
        paid: is("paid")?,
        period: CapPeriod::parse(&text("period")?)?,
        raised_from: facts.get("raised_from").and_then(Json::as_u64).and_then(Cents::new),
        replaces: is("replaces")?,
        variables: variables.map(|name| EnvVar::parse(name.as_str()?).ok()).collect::<Option<_>>()?,
        workspace: text("workspace")?,
    })
}

const COLUMNS: &str = "id, name, provider, service, cap_cents, terms, asked_by, created_at, expires_at, status, decided_by, \
    subject, quiet_until";

/// In milliseconds.
const SECOND: i64 = 1000;

/// The newest requests, which stay whatever became of them.
const KEPT: i64 = 200;

/// 2 days, in milliseconds.
const DENIALS_KEPT_FOR: i64 = 48 * 60 * 60 * 1000;

/// As many in one call as keep it short.
const MOST_DELETED: i64 = 500;
