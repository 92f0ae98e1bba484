//! Asking the person at the host, in whichever way the client has said that it can: a form with one yes or no, or a link
//! to open. Nothing secret is ever asked for, and a client that declared nothing is never asked.

use std::{collections::BTreeMap, time::Duration};

use rmcp::{
    RoleServer, ServiceError,
    model::{
        BooleanSchema, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
        InputRequest, InputRequiredResult, InputResponses, PrimitiveSchemaDefinition, ProtocolVersion,
    },
    service::RequestContext,
};

use crate::approval::{Answer, Question};

/// The ways in which a client can put a question to its person.
#[derive(Clone, Copy, Debug, Default)]
pub struct Modes {
    pub form: bool,
    pub link: bool,
}

impl Modes {
    /// As declared for this request, or at the greeting. One that says no more than "elicitation" means forms.
    pub fn of(context: &RequestContext<RoleServer>) -> Self {
        match context.client_capabilities().and_then(|declared| declared.elicitation) {
            None => Self::default(),
            Some(modes) => Self { form: modes.form.is_some() || modes.url.is_none(), link: modes.url.is_some() },
        }
    }
}

/// Whether questions travel in answers, and the client calls again.
pub fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// One yes or no.
pub fn form(question: &Question) -> ElicitRequestParams {
    let subject = &question.approval.subject;
    let yes = BooleanSchema::new()
        .title(format!("Approve {} USD for {}", subject.cap, subject.provider))
        .description("Yes lets it be provisioned once, with this cap; no refuses it.")
        .with_default(false);
    let properties = BTreeMap::from([(YES.to_owned(), PrimitiveSchemaDefinition::Boolean(yes))]);
    let requested_schema = ElicitationSchema::new(properties).with_required(vec![YES.to_owned()]);
    let message = format!("{} Do you approve? (request {})", question.words(), question.approval.id);
    ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema }
}

/// A page for a person to open. `id` tells this question from others of the session.
pub fn link(url: &str, id: String) -> ElicitRequestParams {
    let message = "Stripe wants a person to confirm something in a browser before this can be provisioned.".to_owned();
    ElicitRequestParams::UrlElicitationParams { meta: None, message, url: url.to_owned(), elicitation_id: id }
}

/// Sends a question as a request of ours, and waits. `None` when the client cannot put it after all.
pub async fn person(
    context: &RequestContext<RoleServer>,
    question: ElicitRequestParams,
    timeout: Duration,
) -> Option<(Answer, Option<ElicitResult>)> {
    let asked = context.peer.create_elicitation_with_timeout(question, Some(timeout));
    let answered = tokio::select! {
        answered = asked => answered,
        () = context.ct.cancelled() => return Some((Answer::Cancelled, None)),
    };
    match answered {
        Ok(result) => Some((action(&result), Some(result))),
        Err(ServiceError::Timeout { .. }) => Some((Answer::TimedOut, None)),
        Err(ServiceError::Cancelled { .. } | ServiceError::TransportClosed) => Some((Answer::Cancelled, None)),
        Err(ServiceError::UnexpectedResponse) => Some((Answer::Unclear, None)),
        Err(_) => None,
    }
}

/// A question that the client puts before it calls again.
pub fn in_an_answer(question: ElicitRequestParams, state: String) -> InputRequiredResult {
    let request = InputRequest::Elicitation(ElicitRequest::new(question));
    InputRequiredResult::new(Some(BTreeMap::from([(QUESTION.to_owned(), request)])), Some(state))
}

/// The answer that a client brought back with its second call.
pub fn brought_back(answers: Option<InputResponses>) -> Option<ElicitResult> {
    serde_json::from_value(answers?.remove(QUESTION)?).ok()
}

/// What a client brought back, read as the answer to either kind of question.
pub struct Decision {
    /// What was done with the question.
    pub action: Answer,
    /// What the form says, if it was one.
    pub of_form: Answer,
}

impl Decision {
    pub fn of(result: Option<&ElicitResult>) -> Self {
        Self { action: result.map_or(Answer::Unclear, action), of_form: decision(result) }
    }
}

/// What a form says. Accepting it is not enough: it has to say yes, since a client may accept on its own.
pub fn decision(result: Option<&ElicitResult>) -> Answer {
    let Some(result) = result else {
        return Answer::Unclear;
    };
    match action(result) {
        Answer::Accepted => match result.content.as_ref().and_then(|content| content.get(YES)?.as_bool()) {
            Some(true) => Answer::Accepted,
            Some(false) => Answer::Declined,
            None => Answer::Unclear,
        },
        other => other,
    }
}

fn action(result: &ElicitResult) -> Answer {
    match result.action {
        ElicitationAction::Accept => Answer::Accepted,
        ElicitationAction::Decline => Answer::Declined,
        ElicitationAction::Cancel => Answer::Cancelled,
        _ => Answer::Unclear,
    }
}

const QUESTION: &str = "approval";

/// The one field of the form.
const YES: &str = "approve";
