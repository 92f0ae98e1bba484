//! Elicitation: asks the user at the host, by a form with one yes or no, or by a link to open.
//!
//! Only the modes that the client declared are used, and no secret is asked for.

use std::{collections::BTreeMap, time::Duration};

use domain::approval::{Answer, Question};
use rmcp::{
    RoleServer, ServiceError,
    model::{
        BooleanSchema, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
        InputRequest, InputRequiredResult, InputResponses, PrimitiveSchemaDefinition,
    },
    service::RequestContext,
};

/// The kinds of questions that a client can ask its user.
#[derive(Clone, Copy, Debug, Default)]
pub struct Modes {
    pub form: bool,
    pub link: bool,
}

impl Modes {
    /// Reads what was declared for this request, or at initialization. "elicitation" alone means forms.
    pub fn of(context: &RequestContext<RoleServer>) -> Self {
        match context.client_capabilities().and_then(|declared| declared.elicitation) {
            None => Self::default(),
            Some(modes) => Self { form: modes.form.is_some() || modes.url.is_none(), link: modes.url.is_some() },
        }
    }
}

/// An answer to a question, with the form if the user sent one.
pub struct Elicited {
    pub answer: Answer,
    pub result: Option<ElicitResult>,
}

/// Returns the form of an approval: one yes or no.
pub fn form(question: &Question) -> ElicitRequestParams {
    let subject = &question.approval.subject;
    let yes = BooleanSchema::new()
        .title(format!("Approve {} USD for {}", subject.cap, subject.provider))
        .description("Yes lets it be provisioned once, with this cap; no refuses it.")
        .with_default(false);
    let properties = BTreeMap::from([(YES.to_owned(), PrimitiveSchemaDefinition::Boolean(yes))]);
    let requested_schema = ElicitationSchema::new(properties).with_required(vec![YES.to_owned()]);
    let message = format!("{}\nDo you approve? (request {})", question.words(), question.approval.id);
    ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema }
}

/// Returns a question with a page to open. `id` tells it from others of the session.
pub fn link(url: &str, id: String) -> ElicitRequestParams {
    let message = "Stripe needs the user to confirm something in a browser before this can be provisioned.".to_owned();
    ElicitRequestParams::UrlElicitationParams { meta: None, message, url: url.to_owned(), elicitation_id: id }
}

/// Sends a question to the client and waits. `None` if the client cannot ask it after all.
pub async fn ask(
    context: &RequestContext<RoleServer>,
    question: ElicitRequestParams,
    timeout: Duration,
) -> Option<Elicited> {
    let answer_only = |answer| Some(Elicited { answer, result: None });
    let response = context.peer.create_elicitation_with_timeout(question, Some(timeout));
    let response = tokio::select! {
        response = response => response,
        () = context.ct.cancelled() => return answer_only(Answer::Cancelled),
    };
    match response {
        Ok(result) => Some(Elicited { answer: action(&result), result: Some(result) }),
        Err(ServiceError::Timeout { .. }) => answer_only(Answer::TimedOut),
        Err(ServiceError::Cancelled { .. } | ServiceError::TransportClosed) => answer_only(Answer::Cancelled),
        Err(ServiceError::UnexpectedResponse) => answer_only(Answer::Unclear),
        Err(_) => None,
    }
}

/// Returns a result with a question that the client asks before it calls again.
pub fn in_result(question: ElicitRequestParams, state: String) -> InputRequiredResult {
    let request = InputRequest::Elicitation(ElicitRequest::new(question));
    InputRequiredResult::new(Some(BTreeMap::from([(QUESTION.to_owned(), request)])), Some(state))
}

/// Returns the answer that a client sent along with its second call.
pub fn sent_back(answers: Option<InputResponses>) -> Option<ElicitResult> {
    serde_json::from_value(answers?.remove(QUESTION)?).ok()
}

/// An answer, read as one to either kind of question.
pub struct Decision {
    /// What the user did with the question.
    pub action: Answer,
    /// What the form says, if the question was one.
    pub of_form: Answer,
}

impl Decision {
    pub fn of(result: Option<&ElicitResult>) -> Self {
        Self { action: result.map_or(Answer::Unclear, action), of_form: decision(result) }
    }
}

/// Reads the decision in a form. Accepting is not enough: the field has to be true, as a client may accept by itself.
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
