//! A host with a person at it: rmcp's own client in either era, which puts questions to somebody who answers as told.

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

/// What the host can put to its person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Can {
    Nothing,
    /// Says "elicitation" and no more, as older hosts do.
    Something,
    Forms,
    Links,
    FormsAndLinks,
}

/// How the person, or the host instead of him, answers.
#[derive(Clone, Debug)]
pub enum Reply {
    Accept(Value),
    AcceptWithoutContent,
    Cancel,
    Decline,
    /// The host says that it cannot after all.
    Fail,
    /// Nobody is there.
    Never,
    /// Opens the page that the link leads to, and says so.
    Open,
}

pub fn yes() -> Reply {
    Reply::Accept(json!({ "approve": true }))
}

#[derive(Clone)]
pub struct Person {
    can: Can,
    name: &'static str,
    reply: Reply,
    asked: Arc<Mutex<Vec<Value>>>,
}

/// A connection of such a host.
pub struct Host {
    pub service: RunningService<RoleClient, Person>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Host {
    pub async fn connect(workspace: &Workspace, era: Era, can: Can, reply: Reply) -> Self {
        Self::named("a host", workspace.command(&["serve"]), era, can, reply).await
    }

    pub async fn named(name: &'static str, command: Command, era: Era, can: Can, reply: Reply) -> Self {
        let transport = TokioChildProcess::new(tokio::process::Command::from(command)).unwrap();
        Self::over(name, transport, era, can, reply).await
    }

    pub async fn over<T, E, A>(name: &'static str, transport: T, era: Era, can: Can, reply: Reply) -> Self
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let person = Person { can, name, reply, asked: Arc::clone(&asked) };
        let service = match era {
            Era::Legacy => person.serve(transport).await.unwrap(),
            Era::Modern => {
                let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
                let lifecycle = ClientLifecycleMode::Discover { preferred_versions };
                serve_client_with_lifecycle(person, transport, lifecycle).await.unwrap()
            }
        };
        Self { service, asked }
    }

    /// Provisions, with every question answered on the way; the structured content.
    pub async fn provision(&self, arguments: Value) -> Value {
        self.service.call_tool(call(&arguments)).await.unwrap().structured_content.unwrap()
    }

    /// One call without what may follow: its question as JSON, or its structured content.
    pub async fn once(&self, arguments: Value, more: Option<(&str, Value)>) -> Value {
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

    /// Every question that was put so far.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

fn call(arguments: &Value) -> CallToolRequestParams {
    CallToolRequestParams::new("provision").with_arguments(arguments.as_object().unwrap().clone())
}

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let (form, url) = (FormElicitationCapability::new(), UrlElicitationCapability::new());
        let mut capabilities = ClientCapabilities::default();
        capabilities.elicitation = match self.can {
            Can::Nothing => None,
            Can::Something => Some(ElicitationCapability::new()),
            Can::Forms => Some(ElicitationCapability::new().with_form(form)),
            Can::Links => Some(ElicitationCapability::new().with_url(url)),
            Can::FormsAndLinks => Some(ElicitationCapability::new().with_form(form).with_url(url)),
        };
        ClientConfig::new(capabilities, Implementation::new(self.name, "1"))
    }

    async fn create_elicitation(
        &self,
        question: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.asked.lock().unwrap().push(json!(question));
        let result = match (&self.reply, &question) {
            (Reply::Open, ElicitRequestParams::UrlElicitationParams { url, .. }) => {
                let _ = rustls::crypto::ring::default_provider().install_default();
                let browser = reqwest::Client::builder().no_proxy().build().unwrap();
                assert_eq!(browser.get(url).send().await.unwrap().status(), 200);
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
