//! A host that supports elicitation: rmcp's own client, which answers elicitations as scripted.

use std::{
    process::Command,
    sync::{Arc, Mutex},
};

use rmcp::{
    ClientHandler, ClientLifecycleMode, ErrorData, RoleClient, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResponse, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
        ElicitationAction, ElicitationCapability, FormElicitationCapability, Implementation, ProtocolVersion,
        UrlElicitationCapability,
    },
    serve_client_with_lifecycle,
    service::{RequestContext, RunningService},
    transport::{IntoTransport, TokioChildProcess},
};
use serde_json::{Value, json};

use crate::{client::Era, workspace::Workspace};

/// The kinds of elicitation that the host declares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ElicitationSupport {
    None,
    /// Declares "elicitation" without a mode, as older hosts do.
    Unspecified,
    Forms,
    Urls,
    FormsAndUrls,
}

/// How the user, or the host in the user's place, answers.
#[derive(Clone, Debug)]
pub enum Reply {
    Accept(Value),
    AcceptWithoutContent,
    Cancel,
    Decline,
    /// The host returns an error although it declared support.
    Fail,
    /// No answer comes.
    Never,
    /// Opens the link and accepts.
    Open,
}

pub fn approve() -> Reply {
    Reply::Accept(json!({ "approve": true }))
}

#[derive(Clone)]
pub struct HostClient {
    support: ElicitationSupport,
    name: &'static str,
    reply: Reply,
    /// What happens before the answer, such as the time that a person takes.
    before: Arc<dyn Fn() + Send + Sync>,
    elicitations: Arc<Mutex<Vec<Value>>>,
}

/// A connection of such a host.
pub struct Host {
    pub service: RunningService<RoleClient, HostClient>,
    elicitations: Arc<Mutex<Vec<Value>>>,
}

impl Host {
    pub async fn connect(workspace: &Workspace, era: Era, support: ElicitationSupport, reply: Reply) -> Self {
        Self::named("a host", workspace.command(&["serve"]), era, support, reply).await
    }

    pub async fn named(
        name: &'static str,
        command: Command,
        era: Era,
        support: ElicitationSupport,
        reply: Reply,
    ) -> Self {
        let transport = TokioChildProcess::new(tokio::process::Command::from(command)).unwrap();
        Self::over(name, transport, era, support, reply).await
    }

    pub async fn over<T, E, A>(
        name: &'static str,
        transport: T,
        era: Era,
        support: ElicitationSupport,
        reply: Reply,
    ) -> Self
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        Self::over_after(name, transport, era, support, reply, Arc::new(|| ())).await
    }

    /// As [`Self::over`]; `before` runs before each answer.
    pub async fn over_after<T, E, A>(
        name: &'static str,
        transport: T,
        era: Era,
        support: ElicitationSupport,
        reply: Reply,
        before: Arc<dyn Fn() + Send + Sync>,
    ) -> Self
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let elicitations = Arc::new(Mutex::new(Vec::new()));
        let client = HostClient { support, name, reply, before, elicitations: Arc::clone(&elicitations) };
        let service = match era {
            Era::Legacy => client.serve(transport).await.unwrap(),
            Era::Modern => {
                let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
                let lifecycle = ClientLifecycleMode::Discover { preferred_versions };
                serve_client_with_lifecycle(client, transport, lifecycle).await.unwrap()
            }
        };
        Self { service, elicitations }
    }

    /// Provisions, answers each elicitation, and returns the structured content.
    pub async fn provision(&self, arguments: Value) -> Value {
        self.service.call_tool(call(&arguments)).await.unwrap().structured_content.unwrap()
    }

    /// Makes one call and returns its elicitation as JSON, or its structured content.
    pub async fn call_once(&self, arguments: Value, more: Option<(&str, Value)>) -> Value {
        let mut call = call(&arguments);
        if let Some((state, answer)) = more {
            call = call.with_request_state(state).with_input_responses([("approval".to_owned(), answer)].into());
        }
        match self.service.call_tool_once(call).await.unwrap() {
            CallToolResponse::Complete(result) => result.structured_content.unwrap(),
            CallToolResponse::InputRequired(question) => json!(question),
            other => panic!("{other:?}"),
        }
    }

    /// Returns every elicitation so far.
    pub fn elicitations(&self) -> Vec<Value> {
        self.elicitations.lock().unwrap().clone()
    }
}

fn call(arguments: &Value) -> CallToolRequestParams {
    CallToolRequestParams::new("provision").with_arguments(arguments.as_object().unwrap().clone())
}

impl ClientHandler for HostClient {
    fn get_info(&self) -> ClientConfig {
        let (form, url) = (FormElicitationCapability::new(), UrlElicitationCapability::new());
        let mut capabilities = ClientCapabilities::default();
        capabilities.elicitation = match self.support {
            ElicitationSupport::None => None,
            ElicitationSupport::Unspecified => Some(ElicitationCapability::new()),
            ElicitationSupport::Forms => Some(ElicitationCapability::new().with_form(form)),
            ElicitationSupport::Urls => Some(ElicitationCapability::new().with_url(url)),
            ElicitationSupport::FormsAndUrls => Some(ElicitationCapability::new().with_form(form).with_url(url)),
        };
        ClientConfig::new(capabilities, Implementation::new(self.name, "1"))
    }

    async fn create_elicitation(
        &self,
        question: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.elicitations.lock().unwrap().push(json!(question));
        (self.before)();
        let result = match (&self.reply, &question) {
            (Reply::Open, ElicitRequestParams::UrlElicitationParams { url, .. }) => {
                let _ = rustls::crypto::ring::default_provider().install_default();
                let browser = reqwest::Client::builder().no_proxy().build().unwrap();
                assert_eq!(browser.get(url).send().await.unwrap().status(), 200);
                assert_eq!(browser.post(url).send().await.unwrap().status(), 200, "the button of the page");
                ElicitResult::new(ElicitationAction::Accept)
            }
            (Reply::Open, _) => ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "approve": true })),
            (Reply::Accept(content), _) => ElicitResult::new(ElicitationAction::Accept).with_content(content.clone()),
            (Reply::AcceptWithoutContent, _) => ElicitResult::new(ElicitationAction::Accept),
            (Reply::Cancel, _) => ElicitResult::new(ElicitationAction::Cancel),
            (Reply::Decline, _) => ElicitResult::new(ElicitationAction::Decline),
            (Reply::Fail, _) => return Err(ErrorData::internal_error("no window", None)),
            (Reply::Never, _) => std::future::pending().await,
        };
        Ok(result)
    }
}
