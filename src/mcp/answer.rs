//! Answers, failures among them, as the protocol has them.

use std::borrow::Cow;

use domain::channel::Channel;
use rmcp::{
    ErrorData,
    model::{
        CallToolResponse, CallToolResult, ContentBlock, CustomResult, GetPromptResult, MetaObject, ReadResourceResult,
    },
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinError;

use super::{MAX_IN_FLIGHT, deadline};
use crate::{
    app::{Output, Reply},
    error::Error,
    provisioner::OK,
    view::{ErrorView, ProjectList, ProjectView, visible_json},
};

/// Why a call ends before it has a result.
#[derive(Debug)]
pub enum Stop {
    /// A failure that the model can act on.
    Tool(ErrorView),
    /// A request that is none: an unknown tool, wrong parameters.
    Protocol(ErrorData),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Tool(error.view(Channel::Mcp))
    }
}

impl From<ErrorData> for Stop {
    fn from(error: ErrorData) -> Self {
        Self::Protocol(error)
    }
}

impl From<Stop> for Result<CallToolResponse, ErrorData> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Tool(error) => failed(&error),
            Stop::Protocol(error) => Err(error),
        }
    }
}

/// The result of a tool.
pub fn structured(output: &Output) -> Result<CallToolResponse, ErrorData> {
    let value = match output {
        Output::Project(state) => as_value(&ProjectView::from(&**state))?,
        Output::Projects(page) => as_value(&ProjectList::new(page, Channel::Mcp))?,
        _ => return Err(ErrorData::internal_error("internal error: no tool has this result", None)),
    };
    Ok(with_visible_text(CallToolResult::structured(value)).into())
}

/// A failure as the result of a tool.
pub fn failed(error: &ErrorView) -> Result<CallToolResponse, ErrorData> {
    Ok(with_visible_text(CallToolResult::structured_error(as_value(error)?)).into())
}

/// Escapes what cannot be seen in the text, which models read. The structured content stays as it is.
fn with_visible_text(mut result: CallToolResult) -> CallToolResult {
    if let Some(value) = &result.structured_content {
        result.content = vec![ContentBlock::text(visible_json(value.to_string()))];
    }
    result
}

/// A failure as a protocol error, for resources and prompts.
pub fn unreadable(error: &Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), Some(json!(error.view(Channel::Mcp))))
}

pub fn as_value(view: &impl Serialize) -> Result<Value, ErrorData> {
    serde_json::to_value(view).map_err(|_| ErrorData::internal_error("internal error: the answer has no JSON", None))
}

/// Adds the server's signature to a tool's answer.
pub fn signed(answer: CallToolResponse, signature: Option<MetaObject>) -> CallToolResponse {
    match answer {
        CallToolResponse::Complete(result) => result.with_meta(signature).into(),
        CallToolResponse::InputRequired(mut result) => {
            result.meta = signature;
            result.into()
        }
        other => other,
    }
}

pub fn busy() -> ErrorView {
    error("busy", format!("{MAX_IN_FLIGHT} calls are in flight already"), "call again when one has been answered")
}

pub fn project_busy() -> ErrorView {
    let message = "one call on this project is running and another one is waiting".to_owned();
    error("busy", message, "call again when one has been answered")
}

pub fn too_slow() -> ErrorView {
    let message = format!("no answer within {} seconds; the work goes on", deadline::ALLOWED.as_secs());
    error("deadline_exceeded", message, "call list_projects to see the outcome; do not repeat the call blindly")
}

pub fn stopping() -> ErrorView {
    let message = "the server is stopping before the work is finished; it is in the journal".to_owned();
    error("stopping", message, "call list_projects after a restart to see the outcome")
}

fn error(code: &'static str, message: String, hint: &str) -> ErrorView {
    ErrorView { code, message, hint: hint.to_owned(), project: None }
}

impl Reply for Result<CallToolResponse, ErrorData> {
    fn outcome(&self) -> Cow<'static, str> {
        match self {
            Ok(CallToolResponse::Complete(result)) if result.is_error == Some(true) => {
                let code = result.structured_content.as_ref().and_then(|content| content.get("code")?.as_str());
                Cow::Owned(code.unwrap_or("failed").to_owned())
            }
            Ok(CallToolResponse::InputRequired(_)) => Cow::Borrowed("input_required"),
            Ok(_) => Cow::Borrowed(OK),
            Err(error) => protocol(error),
        }
    }

    fn aborted(_: JoinError) -> Self {
        Err(stopped())
    }
}

macro_rules! protocol_replies {
    ($($result:ty),*) => {$(
        impl Reply for Result<$result, ErrorData> {
            fn outcome(&self) -> Cow<'static, str> {
                self.as_ref().map_or_else(protocol, |_| Cow::Borrowed(OK))
            }

            fn aborted(_: JoinError) -> Self {
                Err(stopped())
            }
        }
    )*};
}
protocol_replies!(CustomResult, GetPromptResult, ReadResourceResult);

/// The answer to a request whose work panicked.
pub fn stopped() -> ErrorData {
    ErrorData::internal_error("internal error: the work stopped half way", None)
}

fn protocol(error: &ErrorData) -> Cow<'static, str> {
    Cow::Owned(format!("protocol_error_{}", error.code.0.unsigned_abs()))
}
