//! The MCP server: its capabilities, and every request of a client.

use std::{borrow::Cow, future::ready, sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, GetPromptRequestParams,
        GetPromptResponse, InitializeRequestParams, InitializeResult, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
        ReadResourceResponse, ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool,
        UnsubscribeRequestParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::{
    MAX_IN_FLIGHT,
    answer::{self, Stop},
    approval_flow::{ApprovalFlow, Attendance, Resumed},
    arguments,
    deadline::Deadline,
    progress,
    project_calls::{ProjectCall, ProjectCalls},
    prompts,
    request::{implementation, is_modern, principal, refuse_cursor, signature},
    resources,
    shutdown::Shutdown,
    subscriptions::Subscribers,
    tool_filter::ToolFilter,
    tools::{TOOLS, ToolList},
};
use crate::{
    app::{Action, App, Call, Command, Limits, Rejected, Reply, Unattended},
    provisioner::{AuditFacts, Principal},
};

/// One client's connection.
#[derive(Clone)]
pub struct Server {
    app: Arc<App>,
    options: ServerOptions,
    shutdown: Shutdown,
    slots: Arc<Semaphore>,
    project_calls: ProjectCalls,
    subscribers: Subscribers,
    tool_list: Arc<ToolList>,
    attendance: Attendance,
}

/// What a connection offers.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub tool_filter: ToolFilter,
    /// How long a call waits for the user's answer.
    pub timeout: Duration,
}

/// A tool call that has a slot.
struct Admitted {
    command: Command,
    resumed: Resumed,
    slot: OwnedSemaphorePermit,
    project_call: ProjectCall,
}

impl Server {
    pub fn new(app: Arc<App>, options: ServerOptions, shutdown: Shutdown, subscribers: Subscribers) -> Self {
        let slots = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        let project_calls = ProjectCalls::default();
        Self {
            app,
            options,
            shutdown,
            slots,
            project_calls,
            subscribers,
            tool_list: Arc::default(),
            attendance: Attendance::default(),
        }
    }

    /// Returns the limits of a call that has none of its own.
    fn unlimited<T: Reply>(&self) -> Limits<T> {
        Limits { closing: self.shutdown.token(), ..Limits::none() }
    }

    /// Takes a slot for a call of a tool that is offered.
    fn slot(&self, tool: &str) -> Result<OwnedSemaphorePermit, Stop> {
        if !self.options.tool_filter.has(tool) {
            return Err(ErrorData::invalid_params("tool not found", None).into());
        }
        Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Stop::Tool(answer::busy()))
    }

    /// Conducts an admitted call within its time limit, and tells the client that it goes on.
    async fn conduct(
        &self,
        call: Call,
        admitted: Admitted,
        principal: Principal,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (peer, token) = (context.peer.clone(), context.meta.get_progress_token());
        let (deadline, shutdown) = (Deadline::new(), self.shutdown.clone());
        let limit = deadline.clone();
        let limits = Limits {
            closing: self.shutdown.token(),
            expired: Box::pin(async move {
                tokio::select! {
                    () = limit.passed() => answer::failed(&answer::too_slow()),
                    () = shutdown.grace_elapsed() => answer::failed(&answer::stopping()),
                }
            }),
        };
        let (server, in_flight) = (self.clone(), self.shutdown.in_flight());
        let work = async move {
            let Admitted { command, resumed, slot, project_call } = admitted;
            let _held = (slot, project_call, in_flight);
            let result = server.perform(command, resumed, principal, context, deadline).await;
            result.or_else(Into::into)
        };
        tokio::select! {
            answer = self.app.conduct(call, limits, work) => answer,
            never = progress::notify(peer, token) => match never {},
        }
    }

    async fn perform(
        &self,
        command: Command,
        resumed: Resumed,
        principal: Principal,
        context: RequestContext<RoleServer>,
        deadline: Deadline,
    ) -> Result<CallToolResponse, Stop> {
        if let Command::Provision(provision) = &command {
            let (app, timeout) = (Arc::clone(&self.app), self.options.timeout);
            let (request, attendance) = (provision.request(), self.attendance.clone());
            let flow = ApprovalFlow { app, context, deadline, timeout, request, principal, attendance };
            return flow.run(resumed).await;
        }
        let output = self.app.perform(command, principal, Arc::new(Unattended)).await?;
        Ok(answer::structured(&output)?)
    }
}

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

    /// Stores the negotiated version. The default stores the requested one, which a repeated `initialize` would then use.
    async fn initialize(
        &self,
        mut request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let response = self.negotiate_initialize(&request)?;
        request.protocol_version = response.protocol_version.clone();
        context.peer.set_peer_info(request);
        Ok(response)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _in_flight = self.shutdown.in_flight(); // until the row is written as well
        let (principal, signature) = (principal(&context), signature(&context));
        let CallToolRequestParams { name, arguments, input_responses, request_state, .. } = request;
        let parsed = arguments::parse(&name, arguments.unwrap_or_default());
        let call = Call::new(&parsed, &principal);
        let resumed = Resumed { state: request_state, answers: input_responses };
        let admitted = self.slot(&name).and_then(|slot| match parsed {
            Ok(command) => match self.project_calls.admit(&command) {
                Some(project_call) => Ok(Admitted { command, resumed, slot, project_call }),
                None => Err(Stop::Tool(answer::project_busy())),
            },
            Err(rejected) => Err(*rejected.error),
        });
        let answer = match admitted {
            Ok(admitted) => self.conduct(call, admitted, principal, context).await,
            Err(stop) => self.app.conduct(call, self.unlimited(), ready(stop.into())).await,
        };
        answer.map(|answer| answer::signed(answer, signature))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        refuse_cursor(request)?;
        let services = Arc::clone(self.app.services());
        let tools = if let Some(tools) = self.tool_list.unchanged(&services) {
            tools
        } else {
            let (list, filter) = (Arc::clone(&self.tool_list), self.options.tool_filter.clone());
            task::spawn_blocking(move || list.read(&services, &filter)).await.map_err(|_| answer::stopped())?
        };
        let mut list = ListToolsResult::with_all_items(tools);
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
        let principal = principal(&context);
        let parsed = resources::parse(&request.uri);
        let call = Call::new(&parsed, &principal);
        let app = Arc::clone(&self.app);
        let work = async move {
            let result =
                app.perform(parsed.map_err(|rejected| *rejected.error)?, principal, Arc::new(Unattended)).await;
            resources::rendered(&request.uri, result)
        };
        let mut result = self.app.conduct(call, self.unlimited(), work).await?;
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
        let principal = principal(&context);
        let parsed = prompts::parse(&request);
        let call = Call::new(&parsed, &principal);
        let app = Arc::clone(&self.app);
        let work = async move {
            let result =
                app.perform(parsed.map_err(|rejected| *rejected.error)?, principal, Arc::new(Unattended)).await;
            prompts::rendered(&request.name, result)
        };
        let mut result = self.app.conduct(call, self.unlimited(), work).await?;
        result.meta = signature(&context);
        Ok(result.into())
    }

    /// Only a client of the legacy era sends this, and only such a client is notified without a stream.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.subscribers.initialized(context.peer);
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

    /// Answers standard methods whose parameters do not parse, and unknown methods.
    ///
    /// A method that only the other protocol era has is unknown.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let this_era = if is_modern(&context) { OFFERED_MODERN } else { OFFERED_LEGACY };
        if let Some(method) = OFFERED.iter().chain(this_era).find(|method| **method == request.method) {
            let error = ErrorData::invalid_params("the parameters are not what this method takes", None);
            let rejected: Result<Command, _> =
                Err(Rejected { action: Action::Method(method), facts: AuditFacts::default(), error: Box::new(()) });
            let call = Call::new(&rejected, &principal(&context));
            return self.app.conduct(call, self.unlimited(), ready(Err(error))).await;
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "method not found", None))
    }
}

/// The instructions that a model reads before the first tool.
const INSTRUCTIONS: &str = "A prepaid, capped, revocable card for third-party services. `provision` creates a project \
    with a spending cap and writes its key to the env file; you only ever see masks. Never ask for a key, never read \
    the env file aloud, never print a variable that holds one: load the file in the process that needs it. Always give \
    a cap that fits the task. `rotate_key` when a key may have leaked. `teardown` what you provisioned when the task is \
    done. Caps above the default need the user's approval: the host asks the user, or the error gives a command to show \
    to the user; do not run it yourself. An error carries `code`, `message` and `hint`: follow the hint.";

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
