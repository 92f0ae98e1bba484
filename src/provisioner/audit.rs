//! The audit as outsiders use it: calls are written down, rows are looked through, the chain is proved.

use std::time::Duration;

use serde_json::json;

use super::{AuditFacts, Principal, Provisioner, make_state_folder};
use crate::{
    clock::Timestamp,
    error::Error,
    ledger::{Acceptance, AcceptedBreak, Answered, Break, Event, Proof, Verdict},
    name::ProjectName,
    view::{AuditView, ProofView},
};

/// A call of either door that has its answer.
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
}

/// The outcome of a call that did what it was asked.
pub const OK: &str = "ok";

/// Whether a call could change anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Its row is written even where nothing was ever written.
    Write,
    /// Where there is no ledger, it makes none.
    Read,
}

/// Which rows of the audit are asked for. What is left out asks for everything.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub project: Option<ProjectName>,
    /// A part of the actor, in any case.
    pub actor: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// How a row or a call ended: a word such as `refused`, `called`, `ok`, or a code.
    pub outcome: Option<String>,
    /// The newest of them; zero is all.
    pub limit: usize,
}

impl Provisioner {
    /// Writes down calls that have been answered. A failure changes nothing about the answers: what had an effect has
    /// rows of its own, in the transactions of its intent and its outcome.
    ///
    /// # Errors
    /// The ledger's, or the state folder's.
    pub fn note_calls(&self, calls: &[Called]) -> Result<(), Error> {
        if !self.ledger.exists() {
            if calls.iter().all(|call| call.access == Access::Read) {
                return Ok(());
            }
            make_state_folder(&self.state.join("locks"), &self.state.join(".gitignore"))?;
        }
        let rows: Vec<Answered> = calls.iter().map(|call| self.answered(call)).collect();
        Ok(self.ledger.audit().note_calls(&rows)?)
    }

    /// Brings the head record outside the ledger up to the last row. `Some`: it does not fit, and is left alone; calls
    /// go on all the same, and whoever can should say so.
    ///
    /// # Errors
    /// The ledger's, or the file's.
    pub fn seal_audit(&self) -> Result<Option<Break>, Error> {
        if self.ledger.exists() { Ok(self.ledger.audit().seal()?) } else { Ok(None) }
    }

    /// The newest rows that the filter lets through, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditView>, Error> {
        let mut found = Vec::new();
        if self.ledger.exists() {
            self.ledger.audit().look_back(|row| {
                let view = AuditView::from(row);
                if filter.lets_through(&view) {
                    found.push(view);
                }
                filter.limit == 0 || found.len() < filter.limit
            })?;
        }
        found.reverse();
        Ok(found)
    }

    /// Proves the chain.
    ///
    /// # Errors
    /// [`Error::AuditBroken`] names the first row that is not as it should be; or the ledger's.
    pub fn verify_audit(&self) -> Result<ProofView, Error> {
        match self.ledger.audit().verify()? {
            Proof::Broken(broken) => Err(Error::AuditBroken { broken }),
            Proof::Whole { rows, head, accepted } => {
                Ok(ProofView { whole: true, rows, head, accepted: accepted.into_iter().map(Into::into).collect() })
            }
        }
    }

    /// Gives up a head record that does not fit, as after a backup was restored, and proves the chain from then on.
    ///
    /// # Errors
    /// [`Error::AuditBroken`] when the chain inside the ledger does not hold, and then nothing was written; or the
    /// ledger's.
    pub fn accept_audit(&self, principal: &Principal) -> Result<ProofView, Error> {
        let event = self.event(principal, AcceptedBreak::ACTION, Verdict::Done, json!({}));
        match self.ledger.audit().accept_break(&event)? {
            Acceptance::Accepted | Acceptance::Nothing => self.verify_audit(),
            Acceptance::Broken(broken) => Err(Error::AuditBroken { broken }),
        }
    }

    fn answered(&self, call: &Called) -> Answered {
        let name = call.arguments.name().cloned();
        let arguments = call.arguments.clone().into_json();
        let detail = json!({ "arguments": arguments, "answer": call.outcome, "ms": milliseconds(call.took) });
        let (door, actor) = (call.principal.door, call.principal.actor.clone());
        let event =
            Event { at: self.clock.now(), channel: door, actor, action: call.action, verdict: Verdict::Called, detail };
        // What was refused was not about the project that has the name, or had it once.
        let about = name.as_ref().filter(|_| call.outcome == OK);
        let project = about.and_then(|name| self.ledger.projects().newest(name).ok().flatten());
        Answered { event, name, project: project.map(|project| project.id.as_str().to_owned()) }
    }
}

/// With one digit behind the point.
fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}

impl AuditFilter {
    fn lets_through(&self, row: &AuditView) -> bool {
        let in_time = self.since.is_none_or(|since| row.time() >= since.as_millisecond())
            && self.until.is_none_or(|until| row.time() <= until.as_millisecond());
        let named = |name: &ProjectName| row.project.as_deref() == Some(name.as_str());
        let by = |actor: &String| row.actor.to_lowercase().contains(&actor.to_lowercase());
        let ended = |word: &String| {
            let facts = [row.detail.get("answer"), row.detail.get("code")];
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
    fn a_call_took_so_many_milliseconds() {
        for (micros, shown) in [(0, 0.0), (40, 0.0), (60, 0.1), (1_234, 1.2), (2_000_000, 2_000.0)] {
            assert!((milliseconds(Duration::from_micros(micros)) - shown).abs() < 1e-9, "{micros} µs");
        }
    }
}
