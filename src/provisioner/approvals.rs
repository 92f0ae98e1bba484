//! Approvals by a person: requested, decided, and used by the call that they were given for.

use std::sync::Arc;

use domain::{
    approval::{Answer, Approval, ApprovalError, ApprovalId, ApprovalStatus, Question, Subject, SubjectFacts},
    budget::BudgetFacts,
    clock::SignedDuration,
    diagnostic::PROGRAM,
    money::Cents,
    project::random_hex,
    secret::{Fingerprint, Secret},
    visible::visible,
};
use files::{
    fs::shell_quoted,
    registry::{Policy, Provider},
};
use serde_json::json;
use storage::ledger::{Asked, Decided, QuietTime, Verdict};

use super::{Ports, Principal, ProvisionRequest};
use crate::{error::Error, policy};

/// Requests for a person's approval, and the answers.
pub struct Approvals {
    pub(super) ports: Arc<Ports>,
}

impl Approvals {
    /// Returns the newest requests, oldest first.
    pub fn list(&self) -> Result<Vec<Approval>, Error> {
        if !self.ports.ledger.exists() {
            return Ok(Vec::new());
        }
        Ok(self.ports.ledger.approvals().list(MOST_SHOWN, self.ports.clock.now())?)
    }

    /// Returns the request if it can still be given this answer at a terminal.
    ///
    /// # Errors
    /// [`ApprovalError::NotFound`], [`ApprovalError::Expired`] or [`ApprovalError::Decided`].
    pub fn undecided(&self, id: &ApprovalId, answer: Answer) -> Result<Approval, Error> {
        let found = if self.ports.ledger.exists() {
            self.ports.ledger.approvals().approval(id, self.ports.clock.now())?
        } else {
            None
        };
        let approval = found.ok_or(ApprovalError::NotFound)?;
        match approval.status {
            status if status.may_be(answer, true) => Ok(approval),
            ApprovalStatus::Expired => Err(ApprovalError::Expired.into()),
            status => Err(ApprovalError::Decided { status }.into()),
        }
    }

    /// Records the decision of a person at a terminal.
    ///
    /// # Errors
    /// Those of [`Self::undecided`].
    pub fn decide(&self, id: &ApprovalId, answer: Answer, principal: &Principal) -> Result<Approval, Error> {
        self.undecided(id, answer)?; // so that a wrong id leaves no ledger behind
        let (Decided::Recorded(approval) | Decided::Unattended(approval)) = self.take(id, None, answer, principal)?;
        Ok(approval)
    }

    /// Records that a client shows the form, and returns the nonce that its answer must carry. `None` where the workspace has
    /// had its forms of this hour, so that only the command decides.
    pub fn send_form(&self, id: &ApprovalId) -> Result<Option<String>, Error> {
        let most = self.ports.registry()?.policy.max_forms_per_hour;
        let nonce = random_hex::<32>()?;
        let is_sent = self.ports.ledger.approvals().send_form(id, &nonce, most, self.ports.clock.now())?;
        Ok(is_sent.then_some(nonce))
    }

    /// Proves that a request still covers the subject that a form has shown.
    ///
    /// # Errors
    /// [`ApprovalError::Mismatch`]; [`ApprovalError::NotFound`].
    pub fn must_cover(&self, id: &ApprovalId, digest: &str) -> Result<(), Error> {
        let approval = self.ports.ledger.approvals().approval(id, self.ports.clock.now())?;
        let approval = approval.ok_or(ApprovalError::NotFound)?;
        if approval.subject.digest == digest { Ok(()) } else { Err(ApprovalError::Mismatch.into()) }
    }

    /// Records the user's answer to the form with that nonce. `Ok` is a recorded approval.
    ///
    /// # Errors
    /// An [`ApprovalError`] for every other answer, a form that was answered before, and a request that is decided or
    /// has expired.
    pub fn take_answer(
        &self,
        id: &ApprovalId,
        nonce: &str,
        answer: Answer,
        principal: &Principal,
    ) -> Result<(), Error> {
        let approval = match self.take(id, Some(nonce), answer, principal)? {
            Decided::Recorded(approval) => approval,
            Decided::Unattended(approval) => {
                let command = self.command(&approval.id);
                return Err(ApprovalError::Unattended { id: approval.id, command, answer }.into());
            }
        };
        let (id, command) = (approval.id.clone(), self.command(&approval.id));
        Err(match answer {
            Answer::Accepted => return Ok(()),
            Answer::Cancelled => ApprovalError::Cancelled { id, command },
            Answer::Declined => {
                ApprovalError::Denied { id, until: approval.quiet_until.unwrap_or(approval.expires_at) }
            }
            Answer::TimedOut => ApprovalError::TimedOut { id, command },
            Answer::Unclear => ApprovalError::Unclear { id, command },
        }
        .into())
    }

    /// Ends every quiet time, so that requests are shown again, and returns how many there were.
    pub fn end_quiet_times(&self, principal: &Principal) -> Result<u64, Error> {
        if !self.ports.ledger.exists() {
            return Ok(0);
        }
        let event = self.ports.event(principal, "end quiet times", Verdict::Done, json!({}));
        Ok(self.ports.ledger.approvals().end_quiet_times(&event)?)
    }

    /// Records that a client's answer is not valid, and returns the refusal. Without a ledger nothing is recorded.
    pub fn rejected(&self, wanted: &ProvisionRequest, error: Error, principal: &Principal) -> Error {
        if self.ports.ledger.exists() {
            self.ports.refused(principal, "answer approval", &wanted.name, error)
        } else {
            error
        }
    }

    /// Returns the key that signs the request state of clients. It is kept in the ledger, beside the requests that it
    /// is for, so that neither outlives the other.
    pub fn seal_key(&self) -> Result<Secret, Error> {
        Ok(Secret::new(self.ports.ledger.approvals().seal_key(&random_hex::<32>()?)?))
    }

    /// Returns everything that an approval is bound to.
    ///
    /// # Errors
    /// [`crate::policy::Rule::LifetimeTooLong`].
    pub(super) fn subject(&self, wanted: &ProvisionRequest, provider: &Provider, cap: Cents) -> Result<Subject, Error> {
        let shown = SubjectFacts {
            backend: self.ports.backend.name().to_owned(),
            env_file: visible(&self.ports.env_file).to_string(),
            label: provider.label.clone(),
            lifetime: policy::lifetime(wanted.lifetime, provider)?,
            paid: provider.paid,
            period: self.ports.backend.cap_period(),
            raised_from: None,
            replaces: wanted.replaces(),
            variables: provider.deliveries.iter().map(|delivery| delivery.env_var.clone()).collect(),
            workspace: visible(&self.ports.workspace).to_string(),
        };
        let whole = json!([
            "approval",
            wanted.name.as_str(),
            cap.cents(),
            shown.period.as_str(),
            provider.facts(),
            shown.backend,
            shown.env_file,
            shown.lifetime.map(|lifetime| lifetime.to_string()),
            shown.replaces,
            shown.workspace,
            self.ports.accept_terms,
        ]);
        Ok(Subject {
            name: wanted.name.clone(),
            provider: provider.key.clone(),
            service: provider.service.clone(),
            cap,
            shown,
            digest: Fingerprint::of(whole.to_string().as_bytes()).as_str().to_owned(),
        })
    }

    /// Returns the approval for exactly this subject. Without one it is requested, and the error says how to approve.
    pub(super) fn human_approval(
        &self,
        subject: &Subject,
        policy: &Policy,
        (without, budget): (Option<Cents>, BudgetFacts),
        principal: &Principal,
    ) -> Result<ApprovalId, Error> {
        let approval = self.request_for(subject, policy, principal)?;
        if approval.status == ApprovalStatus::Approved {
            return Ok(approval.id);
        }
        let (live_projects, committed) = (budget.committed.projects, budget.committed.caps);
        let command = self.command(&approval.id);
        let question = Question { approval, live_projects, committed, without, command, budget };
        Err(ApprovalError::Required(Box::new(question)).into())
    }

    /// Returns the request for exactly this subject, made now if there is none.
    fn request_for(&self, subject: &Subject, policy: &Policy, principal: &Principal) -> Result<Approval, Error> {
        first_free(|| {
            let id = ApprovalId::random()?;
            let (provider, cap) = (subject.provider.as_str(), subject.cap.cents());
            let detail = json!({ "approval": id.as_str(), "provider": provider, "cap_cents": cap });
            let event = self.ports.event(principal, "ask for approval", Verdict::Done, detail);
            let lifetime = SignedDuration::from_mins(i64::from(policy.approval_ttl));
            let request = Approval {
                id,
                subject: subject.clone(),
                asked_by: principal.actor().to_owned(),
                created_at: event.at,
                expires_at: event.at.saturating_add(lifetime).unwrap_or(event.at),
                status: ApprovalStatus::Pending,
                decided_by: None,
                quiet_until: None,
            };
            match self.ports.ledger.approvals().ask(&request, MOST_PENDING, &event)? {
                Asked::Before(approval) | Asked::New(approval) => Ok(Some(approval)),
                Asked::Full => Err(ApprovalError::TooMany { most: MOST_PENDING }.into()),
                Asked::Quiet(quiet) => Err(held_back(quiet, subject).into()),
                Asked::Taken => Ok(None),
            }
        })
    }

    fn take(
        &self,
        id: &ApprovalId,
        nonce: Option<&str>,
        answer: Answer,
        principal: &Principal,
    ) -> Result<Decided, Error> {
        let (action, verdict) = match answer {
            Answer::Accepted => ("approve", Verdict::Done),
            Answer::Cancelled => ("close approval unanswered", Verdict::Refused),
            Answer::Declined => ("deny", Verdict::Done),
            Answer::TimedOut => ("await approval in vain", Verdict::Refused),
            Answer::Unclear => ("answer approval unclearly", Verdict::Refused),
        };
        let by = if nonce.is_some() { "form" } else { "terminal" };
        let event = self.ports.event(principal, action, verdict, json!({ "approval": id.as_str(), "by": by }));
        self.ports.ledger.approvals().decide(id, nonce, answer, &event)
    }

    /// Returns the command to type, with a folder, because a terminal may be in another one.
    fn command(&self, id: &ApprovalId) -> String {
        let (flag, folder) = if self.ports.is_usual_state {
            ("--dir", self.ports.workspace.as_path())
        } else {
            ("--state-dir", self.ports.state.path())
        };
        format!("{PROGRAM} approve {id} {flag} {}", shell_quoted(folder))
    }
}

/// Returns the error for a request that a denial holds back.
fn held_back(quiet: QuietTime, subject: &Subject) -> ApprovalError {
    let QuietTime { denied: id, is_same, until } = quiet;
    if is_same {
        ApprovalError::Denied { id, until }
    } else {
        ApprovalError::Quiet { id, provider: subject.provider.clone(), until }
    }
}

/// Tries drawn ids until one is free, a bounded number of times.
fn first_free<T>(mut with_an_id: impl FnMut() -> Result<Option<T>, Error>) -> Result<T, Error> {
    for _ in 0..MOST_DRAWS {
        if let Some(made) = with_an_id()? {
            return Ok(made);
        }
    }
    Err(ApprovalError::NoFreeId.into())
}

/// Each draw hits one of 32⁸ ids.
const MOST_DRAWS: u32 = 16;

/// More than a person decides in half an hour, and fewer than an agent could request.
const MOST_PENDING: u32 = 10;

const MOST_SHOWN: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_ids_ends_when_every_one_is_taken() {
        let mut draws = 0;
        let taken = first_free::<()>(|| {
            draws += 1;
            Ok(None)
        });
        assert!(matches!(taken, Err(Error::Approval(ApprovalError::NoFreeId))));
        assert_eq!(draws, MOST_DRAWS);
        let mut tries = [None, None, Some("free")].into_iter();
        assert_eq!(first_free(|| Ok(tries.next().flatten())).unwrap(), "free");
    }
}
