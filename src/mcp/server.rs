//! The server as a client sees it: what it offers, how much at once, for how long, and nothing that it does not.

use std::{borrow::Cow, sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::tool::ToolCallContext,
    model::{
        CallToolRequestParams, CallToolResponse, CompleteRequestMethod, CompleteRequestParams, CompleteResult,
        CustomRequest, CustomResult, ErrorCode, GetPromptRequestParams, GetPromptResponse, Implementation,
        ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, MetaObject,
        PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
        ServerConfig, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
    tool_handler,
};
use tokio::sync::Semaphore;

use super::{
    call_log::{self, CallLog},
    deadline::{self, Deadline},
    progress, prompts, resources,
    shutdown::Shutdown,
    subscriptions::{PendingChange, Subscribers},
    tool_filter::ToolFilter,
    tools::{self, TOOLS},
};
use crate::{
    provisioner::{Principal, Provisioner},
    view::ErrorView,
};

/// One client's connection.
#[derive(Clone)]
pub struct Server {
    pub(super) provisioner: Arc<Provisioner>,
    /// How long a call waits for a person whom it asks.
    pub(super) timeout: Duration,
    /// Of the call that is being answered: each has a door of its own.
    pub(super) deadline: Deadline,
    shutdown: Shutdown,
    slots: Arc<Semaphore>,
    tool_filter: ToolFilter,
    call_log: CallLog,
    subscribers: Subscribers,
}

impl Server {
    pub fn new(
        provisioner: Arc<Provisioner>,
        shutdown: Shutdown,
        (tool_filter, timeout): (ToolFilter, Duration),
        (call_log, subscribers): (CallLog, Subscribers),
    ) -> Self {
        let slots = Arc::new(Semaphore::new(MOST_IN_FLIGHT));
        Self { provisioner, timeout, deadline: Deadline::new(), shutdown, slots, tool_filter, call_log, subscribers }
    }

    /// The one gate for every call. The work has a task of its own: an effect that has begun is finished even when
    /// nobody waits for it any more, and a panic in it is an answer and not a silence.
    async fn gate(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !self.tool_filter.has(&request.name) {
            return Err(ErrorData::invalid_params("tool not found", None));
        }
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return Ok(tools::failed(&busy())?.into());
        };
        let signature = signature(&context);
        let (peer, token) = (context.peer.clone(), context.meta.get_progress_token());
        let in_flight = self.shutdown.in_flight();
        let deadline = Deadline::new();
        let server = Self { deadline: deadline.clone(), ..self.clone() };
        let work = tokio::spawn(async move {
            let _held = (slot, in_flight);
            let change = PendingChange::to_come(&server.provisioner, request.arguments.as_ref());
            let answer = TOOLS.call(ToolCallContext::new(&server, request, context)).await;
            change.publish(&server.provisioner, &server.subscribers);
            answer
        });
        let answer = tokio::select! {
            outcome = work => match outcome {
                Ok(answer) => answer?,
                Err(_) => return Err(stopped()),
            },
            never = progress::keep_telling(peer, token) => match never {},
            () = deadline.passed() => tools::failed(&too_slow())?.into(),
            () = self.shutdown.grace_elapsed() => tools::failed(&stopping())?.into(),
        };
        Ok(match answer {
            CallToolResponse::Complete(result) => result.with_meta(signature).into(),
            CallToolResponse::InputRequired(mut result) => {
                result.meta = signature;
                result.into()
            }
            other => other,
        })
    }
}

#[tool_handler(router = TOOLS)]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        ServerConfig::new(capabilities).with_server_info(implementation()).with_instructions(INSTRUCTIONS)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(VERSIONS)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _in_flight = self.shutdown.in_flight(); // until the row is written as well
        let entry = self.call_log.tool(&request, principal(&context));
        let answer = self.gate(request, context).await;
        entry.answered(call_log::outcome(&answer)).await;
        answer
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        refuse_cursor(request)?;
        let provisioner = Arc::clone(&self.provisioner);
        let tools = tokio::task::spawn_blocking(move || tools::listed(&provisioner)).await.map_err(|_| stopped())?;
        let offered = tools.into_iter().filter(|tool| self.tool_filter.has(&tool.name)).collect();
        let mut list = ListToolsResult::with_all_items(offered);
        list.meta = signature(&context);
        Ok(list)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        refuse_cursor(request)?;
        let mut list = ListResourcesResult::with_all_items(resources::all());
        list.meta = signature(&context);
        Ok(list)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        refuse_cursor(request)?;
        let mut list = ListResourceTemplatesResult::with_all_items(resources::templates());
        list.meta = signature(&context);
        Ok(list)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let _in_flight = self.shutdown.in_flight();
        let entry = self.call_log.resource(&request.uri, principal(&context));
        let provisioner = Arc::clone(&self.provisioner);
        let read = tokio::task::spawn_blocking(move || resources::read(&provisioner, &request.uri));
        let read = read.await.unwrap_or_else(|_| Err(stopped()));
        entry.answered(call_log::outcome_of(&read)).await;
        let mut result = read?;
        result.meta = signature(&context);
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        refuse_cursor(request)?;
        let mut list = ListPromptsResult::with_all_items(prompts::all());
        list.meta = signature(&context);
        Ok(list)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let _in_flight = self.shutdown.in_flight();
        let entry =
            self.call_log.prompt(prompts::known(&request.name), request.arguments.as_ref(), principal(&context));
        let provisioner = Arc::clone(&self.provisioner);
        let written = tokio::task::spawn_blocking(move || prompts::written(&provisioner, &request));
        let written = written.await.unwrap_or_else(|_| Err(stopped()));
        entry.answered(call_log::outcome_of(&written)).await;
        let mut result = written?;
        result.meta = signature(&context);
        Ok(result.into())
    }

    /// Only a client of the legacy era says this, and only such a one may be told of changes unasked.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.subscribers.greeted(context.peer);
    }

    async fn subscribe(&self, request: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.subscribers.subscribe(request.uri)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscribers.unsubscribe(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(Subscribers::accepted(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.subscribers.listen(&context, &self.shutdown).await
    }

    /// A standard method whose parameters do not parse arrives here; it is known, and its parameters are wrong. What only
    /// the other era has is unknown to this one, whatever its parameters.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let this_era = if is_modern(&context) { OFFERED_MODERN } else { OFFERED_LEGACY };
        if let Some(method) = OFFERED.iter().chain(this_era).find(|method| **method == request.method) {
            let answer = Err(ErrorData::invalid_params("the parameters are not what this method takes", None));
            self.call_log.malformed(method, principal(&context)).answered(call_log::outcome_of(&answer)).await;
            return answer;
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "method not found", None))
    }

    // rmcp answers what we do not offer with empty lists; a client is better served by a plain no.

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<CompleteRequestMethod>())
    }
}

/// Who is behind a request, as far as he says.
pub fn principal(context: &RequestContext<RoleServer>) -> Principal {
    let said = context.client_info().map(|client| format!("{} {}", client.name, client.version)).unwrap_or_default();
    Principal::agent(&said)
}

/// In the modern era every result says who gave it, because there was no handshake.
fn signature(context: &RequestContext<RoleServer>) -> Option<MetaObject> {
    let who = serde_json::to_value(implementation()).ok().filter(|_| is_modern(context))?;
    let mut meta = MetaObject::default();
    meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), who);
    Some(meta)
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

fn implementation() -> Implementation {
    Implementation::new("stripe-projects", env!("CARGO_PKG_VERSION")).with_title("Stripe Projects, capped")
}

fn refuse_cursor(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        None => Ok(()),
        Some(_) => Err(ErrorData::invalid_params("unknown cursor", None)),
    }
}

pub fn stopped() -> ErrorData {
    ErrorData::internal_error("internal error: the work stopped half way", None)
}

fn busy() -> ErrorView {
    error("busy", format!("{MOST_IN_FLIGHT} calls are in flight already"), "call again when one has been answered")
}

fn too_slow() -> ErrorView {
    let message = format!("no answer within {} seconds; the work goes on", deadline::ALLOWED.as_secs());
    error("deadline_exceeded", message, "call list_projects to see what became of it; do not repeat it blindly")
}

fn stopping() -> ErrorView {
    let message = "the server is stopping before the work is finished; it is in the journal".to_owned();
    error("stopping", message, "call list_projects after a restart to see what became of it")
}

fn error(code: &'static str, message: String, hint: &str) -> ErrorView {
    ErrorView { code, message, hint: hint.to_owned(), project: None }
}

/// What a model is told before it sees the first tool.
const INSTRUCTIONS: &str = "A prepaid, capped, revocable card for third-party services. `provision` creates a project \
    with a spending cap and writes its key to the env file; you only ever see masks. Never ask for a key, never read \
    the env file aloud, never print a variable that holds one: load the file in the process that needs it. Always give \
    a cap that fits the task. `rotate_key` when a key may have leaked. `teardown` what you provisioned when the task is \
    done. What costs more than the human allows beforehand needs a yes: he is asked in his host, or you are given the \
    command to show him; do not run it yourself. An error carries `code`, `message` and `hint`: follow the hint.";

const VERSIONS: &[ProtocolVersion] =
    &[ProtocolVersion::V_2025_06_18, ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28];

/// The methods of both eras.
const OFFERED: &[&str] = &[
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/templates/list",
    "server/discover",
    "tools/call",
    "tools/list",
];

const OFFERED_LEGACY: &[&str] = &["initialize", "ping", "resources/subscribe", "resources/unsubscribe"];

const OFFERED_MODERN: &[&str] = &["subscriptions/listen"];

const MOST_IN_FLIGHT: usize = 64;
