//! Provisioning with questions to the user: approvals, and pages to open.
//!
//! A provision is tried, and its error tells what is missing. If that is the user's decision and the client can ask for
//! it, the user is asked: in the legacy era by a request of the server while the call waits, in the modern era by the
//! call's result, after which the client calls again. A call asks each kind of question once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backends::BackendError;
use domain::{
    approval::{Answer, ApprovalError, ApprovalId, Question},
    safe_url::SafeUrl,
};
use rmcp::{
    RoleServer,
    model::{CallToolResponse, ElicitRequestParams, InputResponses},
    service::RequestContext,
};

use super::{
    answer::{self, Stop},
    deadline::Deadline,
    elicitation::{self, Decision, Elicited, Modes},
    request,
    request_state::PendingElicitation,
};
use crate::{
    app::{App, Output},
    error::Error,
    provisioner::{Principal, ProvisionRequest, Provisioner},
};

/// A provision, and what is needed to ask about it.
pub struct ApprovalFlow {
    pub app: Arc<App>,
    pub context: RequestContext<RoleServer>,
    pub deadline: Deadline,
    /// How long a call waits for the user's answer.
    pub timeout: Duration,
    pub request: ProvisionRequest,
    pub principal: Principal,
    pub attendance: Attendance,
}

/// Whether a person seems to answer the forms of this session.
///
/// A host without a user answers at once. After one such answer the session shows no more forms.
#[derive(Clone, Debug, Default)]
pub struct Attendance(Arc<AtomicBool>);

impl Attendance {
    fn is_missing(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn observe(&self, answer: Result<(), Error>) -> Result<(), Error> {
        if matches!(answer, Err(Error::Approval(ApprovalError::Unattended { .. }))) {
            self.0.store(true, Ordering::Relaxed);
        }
        answer
    }
}

/// What a client sends along when it calls again.
pub struct Resumed {
    pub state: Option<String>,
    pub answers: Option<InputResponses>,
}

/// How far a question has come.
enum Progress {
    /// The user agreed: try again.
    Answered,
    /// The client asks it, and calls again.
    InResult(CallToolResponse),
}

impl ApprovalFlow {
    pub async fn run(self, resumed: Resumed) -> Result<CallToolResponse, Stop> {
        let mut modes = Modes::of(&self.context);
        if let Some(state) = resumed.state {
            match self.resume(state, resumed.answers).await? {
                PendingElicitation::Approval { .. } => modes.form = false,
                PendingElicitation::Link { .. } => modes.link = false,
            }
        }
        loop {
            let error = match self.attempt().await {
                Ok(output) => return Ok(answer::structured(&output)?),
                Err(error) => error,
            };
            let progress = match error {
                Error::Approval(ApprovalError::Required(question)) if modes.form && !self.attendance.is_missing() => {
                    modes.form = false;
                    self.ask_for_approval(question).await?
                }
                Error::Backend(BackendError::NeedsLink { url }) if modes.link && may_be_opened(&url) => {
                    modes.link = false;
                    self.ask_to_open(url).await?
                }
                error => return Err(error.into()),
            };
            match progress {
                Progress::Answered => {}
                Progress::InResult(response) => return Ok(response),
            }
        }
    }

    async fn attempt(&self) -> Result<Output, Error> {
        let (request, principal) = (self.request.clone(), self.principal.clone());
        let provisioned = self.app.blocking(move |services| services.projects.provision(&request, &principal)).await?;
        Ok(Output::Project(Box::new(provisioned)))
    }

    async fn ask_for_approval(&self, question: Box<Question>) -> Result<Progress, Error> {
        let (form, id) = (elicitation::form(&question), question.approval.id.clone());
        let lifetime = question.approval.expires_at.duration_since(question.approval.created_at).unsigned_abs();
        let sent = id.clone();
        let Some(nonce) = self.app.blocking(move |services| services.approvals.send_form(&sent)).await? else {
            return Err(ApprovalError::Required(question).into()); // no more forms in this hour
        };
        if request::is_modern(&self.context) {
            return self.defer(form, PendingElicitation::approval(&question.approval, nonce), lifetime).await;
        }
        let Some(Elicited { answer, result }) = self.elicit(form, lifetime).await else {
            return Err(ApprovalError::Required(question).into());
        };
        let answer = if answer == Answer::Accepted { elicitation::decision(result.as_ref()) } else { answer };
        let principal = self.principal.clone();
        let answered =
            self.app.blocking(move |services| services.approvals.take_answer(&id, &nonce, answer, &principal)).await;
        self.attendance.observe(answered)?;
        Ok(Progress::Answered)
    }

    async fn ask_to_open(&self, url: String) -> Result<Progress, Error> {
        let question = elicitation::link(&url, self.request.name.to_string());
        if request::is_modern(&self.context) {
            return self.defer(question, PendingElicitation::Link { url }, self.timeout).await;
        }
        match self.elicit(question, self.timeout).await {
            Some(Elicited { answer: Answer::Accepted, .. }) => Ok(Progress::Answered),
            _ => Err(needs_link(url)),
        }
    }

    /// Puts a question into the result, with a signed state that the client sends back.
    async fn defer(
        &self,
        question: ElicitRequestParams,
        pending: PendingElicitation,
        lifetime: Duration,
    ) -> Result<Progress, Error> {
        let (request, principal) = (self.request.clone(), self.principal.clone());
        let state = self.app.blocking(move |services| pending.sign(&request, &principal, lifetime, services)).await?;
        Ok(Progress::InResult(elicitation::in_result(question, state).into()))
    }

    /// Sends a question and waits for the user, whose time is not the call's.
    async fn elicit(&self, question: ElicitRequestParams, at_most: Duration) -> Option<Elicited> {
        let timeout = self.timeout.min(at_most);
        self.deadline.wait_for_user(timeout);
        let elicited = elicitation::ask(&self.context, question, timeout).await;
        self.deadline.resume();
        elicited
    }

    /// Takes the answer that a client sends back, and returns the question that it belongs to.
    async fn resume(&self, state: String, answers: Option<InputResponses>) -> Result<PendingElicitation, Error> {
        let (request, principal) = (self.request.clone(), self.principal.clone());
        let decision = Decision::of(elicitation::sent_back(answers).as_ref());
        let attendance = self.attendance.clone();
        let resumed = move |services: &Provisioner| {
            PendingElicitation::verify(&state, &request, &principal, services)
                .and_then(|pending| {
                    attendance.observe(take(&pending, &decision, &principal, services)).map(|()| pending)
                })
                .map_err(|error| services.approvals.rejected(&request, error, &principal))
        };
        self.app.blocking(resumed).await
    }
}

/// Records an approval; agreeing to open a link grants nothing.
fn take(
    pending: &PendingElicitation,
    decision: &Decision,
    principal: &Principal,
    services: &Provisioner,
) -> Result<(), Error> {
    match pending {
        PendingElicitation::Approval { id, nonce, subject } => {
            let id = ApprovalId::parse(id)?;
            services.approvals.must_cover(&id, subject)?;
            services.approvals.take_answer(&id, nonce, decision.of_form, principal)
        }
        PendingElicitation::Link { .. } if decision.action == Answer::Accepted => Ok(()),
        PendingElicitation::Link { url } => Err(needs_link(url.clone())),
    }
}

fn needs_link(url: String) -> Error {
    BackendError::NeedsLink { url }.into()
}

/// Only https URLs, or loopback http for the simulator, may be opened.
fn may_be_opened(url: &str) -> bool {
    SafeUrl::parse(url).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_pages_and_the_simulator_may_be_opened() {
        for url in ["https://dashboard.stripe.com/x", "http://127.0.0.1:12111/link", "http://[::1]:80"] {
            assert!(may_be_opened(url), "{url}");
        }
        for url in ["http://127.0.0.1:80@evil.example/", "http://evil.example/", "file:///etc/passwd"] {
            assert!(!may_be_opened(url), "{url}");
        }
    }
}
