//! Provider connections, and the connection requests that a person confirms in a browser.

use backends::simulated::{Account, ConnectionRequest, ConnectionStatus, SimulatedStoreError};
use serde_json::Value;

use super::{Context, to_json};
use crate::{
    catalog::{self, Provider},
    configuration,
    failure::Failure,
    faults::Fault,
    objects::{ConnectionError, ProviderConnectionObject, ProviderConnectionRequestObject},
    page::Page,
    parameters::Parameters,
};

/// Lists the active connections.
pub fn list(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let page = Page::parse("/v2/provisioning/provider_connections", parameters)?;
    parameters.finish()?;
    let mut connections = Vec::new();
    for provider in catalog::providers() {
        if context.account.is_connected(&provider.id)? {
            connections.push(to_json(&connection(context, provider, "active"))?);
        }
    }
    to_json(&page.slice(connections.into_iter()))
}

/// Requests a connection; complete at once if the provider is connected.
pub fn request(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    parameters.required_object("configuration")?;
    let (provider, legacy_name) = (parameters.text("provider")?, parameters.text("provider_name")?);
    let project = parameters.text("project")?;
    let challenge = parameters.text("code_challenge")?;
    let method = parameters.one_of("code_challenge_method", &["S256"])?;
    let provider = provider.or(legacy_name).ok_or_else(|| parameters.missing("provider"))?;
    parameters.finish()?;
    if method.is_some() && challenge.is_none() {
        return Err(parameters.missing("code_challenge"));
    }
    if let Some(project) = project
        && !context.account.has_project(&project)?
    {
        return Err(Failure::parameter("resource_missing", "project", "there is no such project"));
    }
    let provider = catalog::provider(&provider)
        .ok_or_else(|| Failure::parameter("resource_missing", "provider", "the catalog has no such provider"))?;
    let (status, wanted) = match context.fault {
        Some(Fault::Errored) => (ConnectionStatus::Error, None),
        Some(Fault::NeedsInformation { schema }) => (ConnectionStatus::NeedsInformation, Some(schema.clone())),
        _ if context.account.is_connected(&provider.id)? => (ConnectionStatus::Complete, None),
        _ => (ConnectionStatus::PendingAuth, None),
    };
    let request = context.account.request_connection(&provider.id, status, wanted, context.livemode)?;
    render(context, &request)
}

/// Returns a connection request.
pub fn retrieve(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    parameters.finish()?;
    render(context, &find(context.account, id)?)
}

/// Submits missing information; a person must still confirm, unless already connected.
pub fn submit(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    let information = parameters.required_object("information")?;
    parameters.text("confirmation_secret")?;
    parameters.finish()?;
    let request = find(context.account, id)?;
    let Some(wanted) = &request.wanted else {
        return Err(Failure::invalid("nothing_to_submit", "the request needs no information"));
    };
    configuration::check(&information, wanted, "information")?;
    let connected = context.account.is_connected(&request.provider)?;
    let next = if connected { ConnectionStatus::Complete } else { ConnectionStatus::PendingAuth };
    let request = context.account.move_connection_request(request, next)?;
    render(context, &request)
}

/// Ends a connection.
pub fn unlink(context: &Context<'_>, id: &str, parameters: &mut Parameters) -> Result<Value, Failure> {
    parameters.finish()?;
    let provider = catalog::providers().iter().find(|provider| provider.connection() == id);
    let provider = provider.ok_or_else(|| Failure::missing("provider connection"))?;
    if !context.account.is_connected(&provider.id)? {
        return Err(Failure::missing("provider connection"));
    }
    context.account.disconnect(&provider.id)?;
    to_json(&connection(context, provider, "expired"))
}

/// Checks that a request exists and can be completed, or is complete.
pub fn check_pending(account: &Account<'_>, id: &str) -> Result<(), Failure> {
    match find(account, id)?.status {
        ConnectionStatus::Complete | ConnectionStatus::PendingAuth => Ok(()),
        ConnectionStatus::Error | ConnectionStatus::NeedsInformation => Err(not_pending()),
    }
}

/// Connects the provider after a person confirmed it on the request's page.
pub fn complete(account: &Account<'_>, id: &str) -> Result<(), Failure> {
    let request = find(account, id)?;
    match request.status {
        ConnectionStatus::Complete => Ok(()),
        ConnectionStatus::PendingAuth => {
            account.connect(&request.provider)?;
            account.move_connection_request(request, ConnectionStatus::Complete)?;
            Ok(())
        }
        ConnectionStatus::Error | ConnectionStatus::NeedsInformation => Err(not_pending()),
    }
}

fn not_pending() -> Failure {
    Failure::invalid("connection_not_pending", "this request is not pending")
}

fn find(account: &Account<'_>, id: &str) -> Result<ConnectionRequest, Failure> {
    account.connection_request(id).map_err(|error| match error {
        SimulatedStoreError::NotFound => Failure::missing("provider connection request"),
        error => error.into(),
    })
}

fn connection<'a>(context: &Context<'_>, provider: &'a Provider, status: &'static str) -> ProviderConnectionObject<'a> {
    ProviderConnectionObject {
        id: provider.connection(),
        object: "v2.provisioning.provider_connection",
        provider: &provider.id,
        status,
        provider_account: None,
        provider_account_details: None,
        livemode: context.livemode,
        created: None,
    }
}

fn render(context: &Context<'_>, request: &ConnectionRequest) -> Result<Value, Failure> {
    let pending = request.status == ConnectionStatus::PendingAuth;
    let provider = catalog::provider(&request.provider).filter(|_| request.status == ConnectionStatus::Complete);
    to_json(&ProviderConnectionRequestObject {
        id: &request.id,
        object: "v2.provisioning.provider_connection_request",
        provider: &request.provider,
        request_status: request.status.as_str(),
        redirect_url: pending.then(|| format!("{}/connect/{}", context.base, request.id)),
        provider_connection: provider.map(|provider| connection(context, provider, "active")),
        needs_information_schema: request.wanted.as_ref(),
        error: (request.status == ConnectionStatus::Error)
            .then_some(ConnectionError { code: "provider_error", message: "the provider failed" }),
        scopes: Vec::new(),
        livemode: request.livemode,
        created: &request.created,
    })
}
