//! Approvals by a person: requested, decided, and used by the call that they were given for.

use std::sync::Arc;

use domain::{
    approval::{Answer, Approval, ApprovalError, ApprovalId, ApprovalStatus, Question, Subject},
    clock::SignedDuration,
    diagnostic::PROGRAM,
    money::Cents,
    name::ServiceRef,
    project::random_hex,
    secret::{Fingerprint, Secret},
};
use files::{
    fs::shell_quoted,
    registry::{Policy, Provider},
};
use serde_json::json;
use storage::ledger::{Asked, Verdict};

use super::{Ports, Principal, ProvisionRequest};
use crate::error::Error;

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
        self.take(id, None, answer, principal)
    }

    /// Records that a client shows the form, and returns the nonce that its answer must carry.
    pub fn send_form(&self, id: &ApprovalId) -> Result<String, Error> {
        let nonce = random_hex::<32>()?;
        self.ports.ledger.approvals().send_form(id, &nonce)?;
        Ok(nonce)
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
        let approval = self.take(id, Some(nonce), answer, principal)?;
        let (id, command) = (approval.id.clone(), self.command(&approval.id));
        Err(match answer {
            Answer::Accepted => return Ok(()),
            Answer::Cancelled => ApprovalError::Cancelled { id, command },
            Answer::Declined => denied(approval),
            Answer::TimedOut => ApprovalError::TimedOut { id, command },
            Answer::Unclear => ApprovalError::Unclear { id, command },
        }
        .into())
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

    /// Everything that an approval is bound to.
    pub(super) fn subject(&self, wanted: &ProvisionRequest, provider: &Provider, cap: Cents) -> Subject {
        let plan = provider.plan.as_ref().map(ServiceRef::as_str);
        let env_file = self.ports.env_file.to_string_lossy();
        let terms = json!(["approval", self.ports.backend.name(), env_file, plan, provider.config, provider.paid]);
        Subject {
            name: wanted.name.clone(),
            provider: provider.key.clone(),
            service: provider.service.clone(),
            cap,
            terms: Fingerprint::of(terms.to_string().as_bytes()).as_str().to_owned(),
        }
    }

    /// Returns the approval for exactly this subject. Without one it is requested, and the error says how to approve.
    pub(super) fn human_approval(
        &self,
        subject: &Subject,
        provider: &Provider,
        policy: &Policy,
        without: Option<Cents>,
        principal: &Principal,
    ) -> Result<ApprovalId, Error> {
        let approval = self.request_for(subject, policy, principal)?;
        match approval.status {
            ApprovalStatus::Approved => return Ok(approval.id),
            ApprovalStatus::Denied => return Err(denied(approval).into()),
            ApprovalStatus::Expired | ApprovalStatus::Pending | ApprovalStatus::Used => {}
        }
        let (live_projects, committed) = self.ports.ledger.projects().totals(self.ports.money())?;
        let question = Question {
            command: self.command(&approval.id),
            approval,
            label: provider.label.clone(),
            paid: provider.paid,
            live_projects,
            committed,
            without,
        };
        Err(ApprovalError::Required(Box::new(question)).into())
    }

    /// Returns the request for exactly this subject, made now if there is none.
    fn request_for(&self, subject: &Subject, policy: &Policy, principal: &Principal) -> Result<Approval, Error> {
        loop {
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
            };
            match self.ports.ledger.approvals().ask(&request, MOST_PENDING, &event)? {
                Asked::Before(approval) | Asked::New(approval) => return Ok(approval),
                Asked::Full => return Err(ApprovalError::TooMany { most: MOST_PENDING }.into()),
                Asked::Taken => {} // try another id
            }
        }
    }

    fn take(
        &self,
        id: &ApprovalId,
        nonce: Option<&str>,
        answer: Answer,
        principal: &Principal,
    ) -> Result<Approval, Error> {
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
        let (flag, folder) = match self.ports.is_usual_state {
            true => ("--dir", self.ports.workspace.as_path()),
            false => ("--state-dir", self.ports.state.path()),
        };
        format!("{PROGRAM} approve {id} {flag} {}", shell_quoted(&folder.display().to_string()))
    }
}

fn denied(approval: Approval) -> ApprovalError {
    ApprovalError::Denied { id: approval.id, until: approval.expires_at }
}

/// More than a person decides in half an hour, and fewer than an agent could request.
const MOST_PENDING: u32 = 10;

const MOST_SHOWN: u32 = 50;
