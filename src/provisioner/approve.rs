//! A human's yes: asked for, given or not, and found again by the call that it was given to.

use serde_json::json;

use super::{Principal, ProvisionRequest, Provisioner};
use crate::{
    approval::{Answer, Approval, ApprovalError, ApprovalId, ApprovalStatus, Question, Subject},
    clock::SignedDuration,
    error::Error,
    ledger::{Asked, Verdict},
    money::Cents,
    name::ServiceRef,
    project::fill_random,
    registry::{Policy, Provider},
    secret::{Fingerprint, Secret, hex},
    view::quoted,
};

impl Provisioner {
    /// The newest requests, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub fn approvals(&self) -> Result<Vec<Approval>, Error> {
        if !self.ledger.exists() {
            return Ok(Vec::new());
        }
        Ok(self.ledger.approvals().list(MOST_SHOWN, self.clock.now())?)
    }

    /// A request of which a human at a terminal may still say that.
    ///
    /// # Errors
    /// [`ApprovalError::NotFound`], [`ApprovalError::Expired`], [`ApprovalError::Decided`], or the ledger's.
    pub fn undecided(&self, id: &ApprovalId, answer: Answer) -> Result<Approval, Error> {
        let found = if self.ledger.exists() { self.ledger.approvals().approval(id, self.clock.now())? } else { None };
        let approval = found.ok_or(ApprovalError::NotFound)?;
        match approval.status {
            status if status.may_be(answer, true) => Ok(approval),
            ApprovalStatus::Expired => Err(ApprovalError::Expired.into()),
            status => Err(ApprovalError::Decided { status }.into()),
        }
    }

    /// Writes down what a human at a terminal says.
    ///
    /// # Errors
    /// Those of [`Self::undecided`].
    pub fn decide(&self, id: &ApprovalId, answer: Answer, principal: &Principal) -> Result<Approval, Error> {
        self.undecided(id, answer)?; // so that a wrong id leaves no ledger behind
        self.take(id, None, answer, principal)
    }

    /// Marks that a form is out with a client; the nonce that its answer has to bring.
    ///
    /// # Errors
    /// The ledger's.
    pub fn send_form(&self, id: &ApprovalId) -> Result<String, Error> {
        let nonce = random_hex()?;
        self.ledger.approvals().send_form(id, &nonce)?;
        Ok(nonce)
    }

    /// Takes what a human at a host answered to the form with that nonce. `Ok` is a yes that is written down.
    ///
    /// # Errors
    /// Every other answer is one; so are a form that was answered before and a request that is decided or has expired.
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

    /// Writes down that what a client brought back does not count, and passes the refusal on. Where nothing was ever
    /// asked there is no ledger, and none is made for it.
    pub fn rejected(&self, wanted: &ProvisionRequest, error: Error, principal: &Principal) -> Error {
        if self.ledger.exists() { self.refused(principal, "answer approval", &wanted.name, error) } else { error }
    }

    /// What seals the state that a client carries. It lives in the ledger, beside the requests that it vouches for, so
    /// that neither outlives the other.
    ///
    /// # Errors
    /// The ledger's, or when the operating system gives no randomness.
    pub fn seal_key(&self) -> Result<Secret, Error> {
        Ok(Secret::new(self.ledger.approvals().seal_key(&random_hex()?)?))
    }

    /// All that a yes is bound to.
    pub(super) fn subject(&self, wanted: &ProvisionRequest, provider: &Provider, cap: Cents) -> Subject {
        let plan = provider.plan.as_ref().map(ServiceRef::as_str);
        let env_file = self.env_file.path().to_string_lossy();
        let terms = json!(["approval", self.backend.name(), env_file, plan, provider.config, provider.paid]);
        Subject {
            name: wanted.name.clone(),
            provider: provider.key.clone(),
            service: provider.service.clone(),
            cap,
            terms: Fingerprint::of(terms.to_string().as_bytes()).as_str().to_owned(),
        }
    }

    /// The yes that a human has given to exactly this; without one, it is asked for, and the error says how to give it.
    pub(super) fn human_approval(
        &self,
        subject: &Subject,
        provider: &Provider,
        policy: &Policy,
        without: Option<Cents>,
        principal: &Principal,
    ) -> Result<ApprovalId, Error> {
        let approval = self.asked(subject, policy, principal)?;
        match approval.status {
            ApprovalStatus::Approved => return Ok(approval.id),
            ApprovalStatus::Denied => return Err(denied(approval).into()),
            ApprovalStatus::Expired | ApprovalStatus::Pending | ApprovalStatus::Used => {}
        }
        let (live_projects, committed) = self.ledger.projects().totals()?;
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

    /// The request for exactly this, made now if there is none.
    fn asked(&self, subject: &Subject, policy: &Policy, principal: &Principal) -> Result<Approval, Error> {
        loop {
            let id = ApprovalId::random()?;
            let (provider, cap) = (subject.provider.as_str(), subject.cap.cents());
            let detail = json!({ "approval": id.as_str(), "provider": provider, "cap_cents": cap });
            let event = self.event(principal, "ask for approval", Verdict::Done, detail);
            let lifetime = SignedDuration::from_mins(i64::from(policy.approval_ttl));
            let request = Approval {
                id,
                subject: subject.clone(),
                asked_by: principal.actor.clone(),
                created_at: event.at,
                expires_at: event.at.saturating_add(lifetime).unwrap_or(event.at),
                status: ApprovalStatus::Pending,
                decided_by: None,
            };
            match self.ledger.approvals().ask(&request, MOST_PENDING, &event)? {
                Asked::Before(approval) | Asked::New(approval) => return Ok(approval),
                Asked::Full => return Err(ApprovalError::TooMany { most: MOST_PENDING }.into()),
                Asked::Taken => {} // another id, then
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
        let event = self.event(principal, action, verdict, json!({ "approval": id.as_str(), "by": by }));
        self.ledger.approvals().decide(id, nonce, answer, &event)
    }

    /// What a human types, with the folder, since his terminal may be in another one.
    fn command(&self, id: &ApprovalId) -> String {
        let usual = self.state.file_name().is_some_and(|name| name == USUAL_STATE);
        let (flag, folder) = match self.state.parent().filter(|_| usual) {
            Some(workspace) => ("--dir", workspace),
            None => ("--state-dir", self.state.as_path()),
        };
        format!("stripe-projects-mcp approve {id} {flag} {}", quoted(&folder.display().to_string()))
    }
}

fn denied(approval: Approval) -> ApprovalError {
    ApprovalError::Denied { id: approval.id, until: approval.expires_at }
}

fn random_hex() -> Result<String, Error> {
    let mut bytes = [0; 32];
    fill_random(&mut bytes)?;
    Ok(hex(&bytes))
}

/// More than a human decides in half an hour, and fewer than an agent could ask for.
const MOST_PENDING: u32 = 10;

const MOST_SHOWN: u32 = 50;

/// The state folder that `--dir` alone finds.
const USUAL_STATE: &str = ".stripe-projects";
