//! The audit log: records calls, finds rows, and verifies the hash chain.

use std::{sync::Arc, time::Duration};

use domain::{clock::Timestamp, name::ProjectName, workspace::WorkspaceId};
use serde_json::{Value, json};
use storage::ledger::{Acceptance, AcceptedBreak, Answered, AuditRow, Break, Event, Proof, Verdict};

use super::{AuditFacts, Ports, Principal};
use crate::error::Error;

/// A call that has been answered.
#[derive(Clone, Debug)]
pub struct Called {
    pub principal: Principal,
    /// The tool, the method or the command.
    pub action: &'static str,
    pub access: Access,
    pub arguments: AuditFacts,
    /// [`OK`], or the code of the failure.
    pub outcome: String,
    pub took: Duration,
    /// How many equal calls it stands for.
    pub count: u64,
}

impl Called {
    /// Whether it can have had no effect: it only reads, or it was refused or failed. An effect has rows of its own.
    pub fn is_look(&self) -> bool {
        self.access == Access::Read || self.outcome != OK
    }
}

/// The outcome of a successful call.
pub const OK: &str = "ok";

/// Whether a call could change anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// The row is written even where there is no ledger yet.
    Write,
    /// Where there is no ledger, none is made.
    Read,
}

/// Selects rows of the audit. An empty field selects everything.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub project: Option<ProjectName>,
    /// A part of the actor, in any case.
    pub actor: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// The outcome of a row or a call: `refused`, `called`, `ok` and the like, or an error code.
    pub outcome: Option<String>,
    /// Only rows of the present workspace.
    pub own_workspace: bool,
    /// The newest of them; zero is all.
    pub limit: usize,
}

/// A row of the audit.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    pub row: AuditRow,
    /// The facts of the row.
    pub detail: Value,
}

/// An audit whose chain holds.
#[derive(Clone, Debug)]
pub struct AuditProof {
    pub rows: i64,
    /// The hash of the last row.
    pub head: String,
    /// Where rows are missing that a person has accepted.
    pub accepted: Vec<AcceptedBreak>,
}

/// The audit of all calls.
pub struct AuditLog {
    pub(super) ports: Arc<Ports>,
}

impl AuditLog {
    /// Records calls that have been answered. A failure does not change the answers: every effect has rows of its own,
    /// in the transactions of its intent and its outcome.
    pub fn note_calls(&self, calls: &[Called]) -> Result<(), Error> {
        if !self.ports.ledger.exists() {
            if calls.iter().all(|call| call.access == Access::Read) {
                return Ok(());
            }
            self.ports.locks.prepare()?;
        }
        let rows: Vec<Answered> = calls.iter().map(|call| self.answered(call)).collect();
        Ok(self.ports.ledger.audit().note_calls(&rows)?)
    }

    /// Brings the head record outside the ledger up to the last row. `Some`: it does not match and is left unchanged;
    /// calls go on, and the caller reports it.
    pub fn seal(&self) -> Result<Option<Break>, Error> {
        if self.ports.ledger.exists() { Ok(self.ports.ledger.audit().seal()?) } else { Ok(None) }
    }

    /// Returns the newest rows that match the filter, oldest first.
    pub fn entries(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, Error> {
        let mut found = Vec::new();
        if self.ports.ledger.exists() {
            let own = if filter.own_workspace { self.ports.ledger.workspace()? } else { None };
            self.ports.ledger.audit().look_back(|row| {
                if filter.own_workspace && row.workspace.as_deref() != own.as_ref().map(WorkspaceId::as_str) {
                    return true;
                }
                let entry = AuditEntry::from(row);
                if filter.matches(&entry) {
                    found.push(entry);
                }
                filter.limit == 0 || found.len() < filter.limit
            })?;
        }
        found.reverse();
        Ok(found)
    }

    /// Verifies the chain.
    ///
    /// # Errors
    /// [`Error::AuditBroken`] names the first row that does not match.
    pub fn verify(&self) -> Result<AuditProof, Error> {
        match self.ports.ledger.audit().verify()? {
            Proof::Broken(broken) => Err(Error::AuditBroken { broken }),
            Proof::Whole { rows, head, accepted } => Ok(AuditProof { rows, head, accepted }),
        }
    }

    /// Accepts that the head record does not match, for example after a backup was restored, and verifies the chain.
    ///
    /// # Errors
    /// [`Error::AuditBroken`] when the chain inside the ledger is broken; nothing was written then.
    pub fn accept(&self, principal: &Principal) -> Result<AuditProof, Error> {
        let event = self.ports.event(principal, AcceptedBreak::ACTION, Verdict::Done, json!({}));
        match self.ports.ledger.audit().accept_break(&event)? {
            Acceptance::Accepted | Acceptance::Nothing => self.verify(),
            Acceptance::Broken(broken) => Err(Error::AuditBroken { broken }),
        }
    }

    fn answered(&self, call: &Called) -> Answered {
        let name = call.arguments.name().cloned();
        let arguments = call.arguments.clone().into_json();
        let mut detail = json!({ "arguments": arguments, "answer": call.outcome, "ms": milliseconds(call.took) });
        if let (Some(facts), 2..) = (detail.as_object_mut(), call.count) {
            facts.insert("count".to_owned(), json!(call.count));
        }
        let (channel, actor) = (call.principal.channel.as_str(), call.principal.actor().to_owned());
        let event =
            Event { at: self.ports.clock.now(), channel, actor, action: call.action, verdict: Verdict::Called, detail };
        // A refused call is not about the project that has the name.
        let about = name.as_ref().filter(|_| call.outcome == OK);
        let project = about.and_then(|name| self.ports.ledger.projects().newest(name).ok().flatten());
        let looks = if call.is_look() { call.count } else { 0 };
        Answered { event, name, project: project.map(|project| project.id.as_str().to_owned()), looks }
    }
}

/// Milliseconds with one digit behind the point.
fn milliseconds(took: Duration) -> f64 {
    let tenths = (took.as_nanos() + 50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10).parse().unwrap_or_default()
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        Self { detail: serde_json::from_str(&row.detail).unwrap_or_default(), row }
    }
}

impl AuditFilter {
    fn matches(&self, AuditEntry { row, detail }: &AuditEntry) -> bool {
        let in_time = self.since.is_none_or(|since| row.at >= since.as_millisecond())
            && self.until.is_none_or(|until| row.at <= until.as_millisecond());
        let named = |name: &ProjectName| row.name.as_deref() == Some(name.as_str());
        let by = |actor: &String| row.actor.to_lowercase().contains(&actor.to_lowercase());
        let ended = |word: &String| {
            let facts = [detail.get("answer"), detail.get("code")];
            row.outcome == *word || facts.into_iter().flatten().any(|fact| fact == word)
        };
        in_time
            && self.project.as_ref().is_none_or(named)
            && self.actor.as_ref().is_none_or(by)
            && self.outcome.as_ref().is_none_or(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_one_decimal() {
        for (micros, shown) in [(0, "0.0"), (40, "0.0"), (60, "0.1"), (1_234, "1.2"), (2_000_000, "2000.0")] {
            assert_eq!(format!("{:?}", milliseconds(Duration::from_micros(micros))), shown, "{micros} µs");
        }
    }
}
