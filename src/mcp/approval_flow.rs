//! The one tool that may have to ask a person before it can be done.
//!
//! It tries, and the error says what is missing. If that is a person's word and the client can put the question, it is
//! put: in the legacy era as a request of ours while the call waits, in the modern era as the call's answer, after which
//! the client calls again. Each kind of question is put once in a call.

use std::{sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolResponse, CallToolResult, ElicitRequestParams, InputResponses},
    service::RequestContext,
};

use super::{
    Server,
    elicitation::{self, Decision, Modes},
    request_state::PendingElicitation,
    server,
    tools::{as_value, failed},
};
use crate::{
    approval::{Answer, ApprovalError, ApprovalId, Question},
    backend::BackendError,
    diagnostic::Channel,
    error::Error,
    project_state::ProjectState,
    provisioner::{Principal, ProvisionRequest, Provisioner},
    safe_url::SafeUrl,
    view::ProjectView,
};

/// A call and what is needed to ask about it.
pub struct ApprovalFlow<'a> {
    pub server: &'a Server,
    pub context: &'a RequestContext<RoleServer>,
    pub wanted: ProvisionRequest,
    pub principal: Principal,
}

/// What a client brings when it calls again.
pub struct Resumed {
    pub state: Option<String>,
    pub answers: Option<InputResponses>,
}

impl ApprovalFlow<'_> {
    pub async fn run(self, brought: Resumed) -> Result<CallToolResponse, ErrorData> {
        let mut modes = Modes::of(self.context);
        if let Some(state) = brought.state
            && let Err(error) = self.take_back(&state, brought.answers, &mut modes).await?
        {
            return Ok(failed(&error.view(Channel::Agent))?.into());
        }
        loop {
            let error = match self.attempt().await? {
                Ok(state) => return Ok(CallToolResult::structured(as_value(&ProjectView::from(&state))?).into()),
                Err(error) => error,
            };
            let put = match error {
                Error::Approval(ApprovalError::Required(question)) if modes.form => {
                    modes.form = false;
                    self.ask_for_approval(question).await?
                }
                Error::Backend(BackendError::NeedsLink { url }) if modes.link && may_be_opened(&url) => {
                    modes.link = false;
                    self.ask_to_open(url).await?
                }
                error => Err(error),
            };
            match put {
                Ok(Elicited::Answered) => {}
                Ok(Elicited::InTheAnswer(response)) => return Ok(response),
                Err(error) => return Ok(failed(&error.view(Channel::Agent))?.into()),
            }
        }
    }

    async fn attempt(&self) -> Result<Result<ProjectState, Error>, ErrorData> {
        let (wanted, principal) = (self.wanted.clone(), self.principal.clone());
        self.on(move |provisioner| provisioner.projects.provision(&wanted, &principal)).await
    }

    async fn ask_for_approval(&self, question: Box<Question>) -> Result<Result<Elicited, Error>, ErrorData> {
        let (form, id) = (elicitation::form(&question), question.approval.id.clone());
        let lifetime = question.approval.expires_at.duration_since(question.approval.created_at).unsigned_abs();
        let (sent, modern) = (id.clone(), elicitation::is_modern(self.context));
        let nonce = match self.on(move |provisioner| provisioner.approvals.send_form(&sent)).await? {
            Ok(nonce) => nonce,
            Err(error) => return Ok(Err(error)),
        };
        if modern {
            return self.answer_with(form, PendingElicitation::approval(&id, nonce), lifetime).await;
        }
        let Some((answer, result)) = self.wait_for_person(form, lifetime).await else {
            return Ok(Err(ApprovalError::Required(question).into()));
        };
        let answer = if answer == Answer::Accepted { elicitation::decision(result.as_ref()) } else { answer };
        let principal = self.principal.clone();
        let taken =
            self.on(move |provisioner| provisioner.approvals.take_answer(&id, &nonce, answer, &principal)).await?;
        Ok(taken.map(|()| Elicited::Answered))
    }

    async fn ask_to_open(&self, url: String) -> Result<Result<Elicited, Error>, ErrorData> {
        let question = elicitation::link(&url, self.wanted.name.to_string());
        if elicitation::is_modern(self.context) {
            return self.answer_with(question, PendingElicitation::Link { url }, self.server.timeout).await;
        }
        let opened = self.wait_for_person(question, self.server.timeout).await;
        Ok(if matches!(opened, Some((Answer::Accepted, _))) { Ok(Elicited::Answered) } else { Err(needs_link(url)) })
    }

    async fn answer_with(
        &self,
        question: ElicitRequestParams,
        asked: PendingElicitation,
        lifetime: Duration,
    ) -> Result<Result<Elicited, Error>, ErrorData> {
        let (wanted, principal) = (self.wanted.clone(), self.principal.clone());
        let sealed = self.on(move |provisioner| asked.sign(&wanted, &principal, lifetime, provisioner)).await?;
        Ok(sealed.map(|state| Elicited::InTheAnswer(elicitation::in_an_answer(question, state).into())))
    }

    async fn wait_for_person(
        &self,
        question: ElicitRequestParams,
        at_most: Duration,
    ) -> Option<(Answer, Option<rmcp::model::ElicitResult>)> {
        let timeout = self.server.timeout.min(at_most);
        self.server.deadline.wait_for_person(timeout);
        let answered = elicitation::person(self.context, question, timeout).await;
        self.server.deadline.go_on();
        answered
    }

    /// Takes the answer that a client brings back. `modes` loses the kind of question that it answers.
    async fn take_back(
        &self,
        state: &str,
        answers: Option<InputResponses>,
        modes: &mut Modes,
    ) -> Result<Result<(), Error>, ErrorData> {
        let (state, wanted, principal) = (state.to_owned(), self.wanted.clone(), self.principal.clone());
        let answer = Decision::of(elicitation::brought_back(answers).as_ref());
        let taken = self.on(move |provisioner| {
            let asked = PendingElicitation::verify(&state, &wanted, &principal, provisioner)
                .and_then(|asked| take(&asked, &answer, &principal, provisioner).map(|()| asked));
            asked.map_err(|error| provisioner.approvals.rejected(&wanted, error, &principal))
        });
        Ok(taken.await?.map(|asked| match asked {
            PendingElicitation::Approval { .. } => modes.form = false,
            PendingElicitation::Link { .. } => modes.link = false,
        }))
    }

    /// Does the work on a thread that may block.
    async fn on<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Provisioner) -> Result<T, Error> + Send + 'static,
    ) -> Result<Result<T, Error>, ErrorData> {
        let provisioner = Arc::clone(&self.server.provisioner);
        tokio::task::spawn_blocking(move || work(&provisioner)).await.map_err(|_| server::stopped())
    }
}

/// How a question was put.
enum Elicited {
    /// The answer was a yes: try again.
    Answered,
    /// The client puts it, and calls again.
    InTheAnswer(CallToolResponse),
}

/// A yes to a form is written down; one to a link grants nothing.
fn take(asked: &PendingElicitation, answer: &Decision, principal: &Principal, on: &Provisioner) -> Result<(), Error> {
    match asked {
        PendingElicitation::Approval { id, nonce } => {
            on.approvals.take_answer(&ApprovalId::parse(id)?, nonce, answer.of_form, principal)
        }
        PendingElicitation::Link { .. } if answer.action == Answer::Accepted => Ok(()),
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
