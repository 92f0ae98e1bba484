//! The four tools. Each parses its words, makes one call, and shows what came of it.

use std::sync::{Arc, LazyLock};

use rmcp::{
    ErrorData, RoleServer,
    handler::server::{
        common::{schema_for_input, schema_for_output},
        router::tool::ToolRouter,
        tool::{InputResponses, RequestState},
    },
    model::{CallToolResponse, CallToolResult, Tool},
    service::RequestContext,
    tool, tool_router,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Server,
    approval_flow::{ApprovalFlow, Resumed},
    arguments::{Args, ListProjects, Named, Provision},
    schema,
};
use crate::{
    diagnostic::Channel,
    env_file::Replace,
    error::Error,
    ledger::Visibility,
    lifetime::Lifetime,
    money::Cents,
    name::{NameError, ProjectName, ProviderKey},
    provisioner::{Listing, ProvisionRequest, Provisioner, USUAL_PAGE},
    view::{ErrorView, ProjectList, ProjectView},
};

/// The tools' router, with schemas that every host accepts. Built once: building it costs more than a call.
pub static TOOLS: LazyLock<ToolRouter<Server>> = LazyLock::new(|| {
    let mut router = Server::tool_router();
    router.map.values_mut().for_each(|route| schema::normalise(&mut route.attr));
    router
});

/// The tools as they are listed: the provider parameter names the keys that the registry has at this moment.
pub fn listed(provisioner: &Provisioner) -> Vec<Tool> {
    let keys = match provisioner.ports.registry() {
        Ok(registry) => {
            registry.providers().map(|provider| provider.key.as_str().to_owned()).collect::<Vec<_>>().join(", ")
        }
        Err(_) => "see stripe-projects://providers".to_owned(),
    };
    let mut tools = TOOLS.list_all();
    for tool in tools.iter_mut().filter(|tool| tool.name == "provision") {
        schema::describe(tool, "provider", &format!(": {keys}"));
    }
    tools
}

#[tool_router]
impl Server {
    #[tool(
        name = "provision",
        title = "Provision a service",
        description = "Creates a capped project on a third-party service. Its key is written to the env file; you get a \
            mask and the name of the variable. May bill up to the cap.",
        input_schema = input_schema::<Provision>(),
        output_schema = schema_for_output::<ProjectView>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true)
    )]
    async fn provision(
        &self,
        Args(arguments): Args<Provision>,
        InputResponses(answers): InputResponses,
        RequestState(state): RequestState,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let wanted = match arguments.map(|arguments| wanted(&arguments).map_err(|error| error.view(Channel::Agent))) {
            Ok(Ok(wanted)) => wanted,
            Ok(Err(error)) | Err(error) => return Ok(failed(&error)?.into()),
        };
        let principal = super::server::principal(&context);
        ApprovalFlow { server: self, context: &context, wanted, principal }.run(Resumed { state, answers }).await
    }

    #[tool(
        name = "list_projects",
        title = "List projects",
        description = "Lists projects with status, cap, usage and what is left, oldest first. Keys are masked.",
        input_schema = input_schema::<ListProjects>(),
        output_schema = schema_for_output::<ProjectList>(),
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = true)
    )]
    async fn list_projects(&self, Args(arguments): Args<ListProjects>) -> Result<CallToolResult, ErrorData> {
        self.answer(arguments, |provisioner, arguments| {
            Ok(ProjectList::from(&provisioner.projects.list(&listing(&arguments)?)?))
        })
        .await
    }

    #[tool(
        name = "rotate_key",
        title = "Rotate a key",
        description = "Kills a project's key and writes a new one to the same variable of the env file. Do it at once \
            when a key may have leaked; whoever uses the variable has to load it again.",
        input_schema = input_schema::<Named>(),
        output_schema = schema_for_output::<ProjectView>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = false, open_world_hint = true)
    )]
    async fn rotate_key(
        &self,
        Args(arguments): Args<Named>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let principal = super::server::principal(&context);
        self.answer(arguments, move |provisioner, named| {
            Ok(ProjectView::from(&provisioner.projects.rotate(&name(&named)?, &principal)?))
        })
        .await
    }

    #[tool(
        name = "teardown",
        title = "Tear down a project",
        description = "Removes a project and its data at the provider for good, kills its key, and takes the variable out \
            of the env file. Safe to repeat.",
        input_schema = input_schema::<Named>(),
        output_schema = schema_for_output::<ProjectView>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true)
    )]
    async fn teardown(
        &self,
        Args(arguments): Args<Named>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let principal = super::server::principal(&context);
        self.answer(arguments, move |provisioner, named| {
            Ok(ProjectView::from(&provisioner.projects.teardown(&name(&named)?, &principal)?))
        })
        .await
    }

    /// Does the work on a thread that may block, and shows what came of it.
    async fn answer<A: Send + 'static, T: Serialize + Send + 'static>(
        &self,
        arguments: Result<A, ErrorView>,
        work: impl FnOnce(&Provisioner, A) -> Result<T, Error> + Send + 'static,
    ) -> Result<CallToolResult, ErrorData> {
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(error) => return failed(&error),
        };
        let provisioner = Arc::clone(&self.provisioner);
        match tokio::task::spawn_blocking(move || work(&provisioner, arguments)).await {
            Ok(Ok(view)) => Ok(CallToolResult::structured(as_value(&view)?)),
            Ok(Err(error)) => failed(&error.view(Channel::Agent)),
            Err(_) => Err(super::server::stopped()),
        }
    }
}

/// A failure that the model can act on.
pub fn failed(error: &ErrorView) -> Result<CallToolResult, ErrorData> {
    Ok(CallToolResult::structured_error(as_value(error)?))
}

pub fn as_value(view: &impl Serialize) -> Result<Value, ErrorData> {
    serde_json::to_value(view).map_err(|_| ErrorData::internal_error("internal error: the answer has no JSON", None))
}

fn wanted(arguments: &Provision) -> Result<ProvisionRequest, Error> {
    let cap = match &arguments.spend_cap_usd {
        None => Cents::ZERO,
        Some(number) => Cents::parse_usd(&number.to_string())?,
    };
    let provider = ProviderKey::parse(&arguments.provider)?;
    let lifetime = arguments.expires_in.as_deref().map(Lifetime::parse).transpose()?;
    Ok(ProvisionRequest {
        name: ProjectName::parse(&arguments.name)?,
        provider,
        cap,
        lifetime,
        replace: Replace::OursOnly,
    })
}

fn listing(arguments: &ListProjects) -> Result<Listing, Error> {
    let all = arguments.include_torn_down.unwrap_or_default();
    let visibility = if all { Visibility::All } else { Visibility::Live };
    Listing::new(visibility, arguments.limit.unwrap_or(USUAL_PAGE), arguments.cursor.as_deref())
}

fn name(named: &Named) -> Result<ProjectName, NameError> {
    ProjectName::parse(&named.name)
}

fn input_schema<T: schemars::JsonSchema + 'static>() -> Arc<rmcp::model::JsonObject> {
    // Only a type that is not an object has none, and a test lists every tool.
    schema_for_input::<T>().unwrap_or_default()
}
