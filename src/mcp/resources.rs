//! Resources: the registry, the projects and the audit, to be read without a tool call.

use domain::channel::Channel;
use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};
use serde::Serialize;
use serde_json::json;

use super::{answer, change::Change};
use crate::{
    app::{self, Action, Command, Output, Rejected},
    error::Error,
    provisioner::AuditFacts,
    view::{AuditView, ProjectList, ProjectView, ProvidersView, visible_json},
};

pub fn all() -> Vec<Resource> {
    vec![
        Resource::new(app::Resource::Providers.uri(), "providers")
            .with_title("Providers")
            .with_description("What can be provisioned, under which variable and cap.")
            .with_mime_type(JSON),
        Resource::new(app::Resource::Projects.uri(), "projects")
            .with_title("Live projects")
            .with_description("As list_projects shows them; the first 200.")
            .with_mime_type(JSON),
        Resource::new(app::Resource::Audit.uri(), "audit")
            .with_title("Audit")
            .with_description("Every call and its outcome, masked; the last 50 rows.")
            .with_mime_type(JSON),
    ]
}

pub fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(format!("{}/{{name}}", app::Resource::Projects.uri()), "project")
            .with_title("One project")
            .with_description("The newest project of that name, masked.")
            .with_mime_type(JSON),
    ]
}

/// Parses the URI of a read. One that is not ours is not repeated.
///
/// # Errors
/// [`Rejected`] for an unknown resource.
pub fn parse(uri: &str) -> Result<Command, Rejected<ErrorData>> {
    app::Resource::from_uri(uri).map(Command::ReadResource).ok_or_else(|| Rejected {
        action: Action::ReadResource,
        facts: AuditFacts::default().unreadable("uri"),
        error: Box::new(not_found()),
    })
}

/// Tells whether clients are notified of its changes. Each call changes the audit, and so would reading it again.
pub fn is_subscribable(uri: &str) -> bool {
    app::Resource::from_uri(uri).is_some_and(|resource| resource != app::Resource::Audit)
}

/// Returns the resources that a change affects.
pub fn changed_by(change: &Change) -> Vec<String> {
    match change {
        Change::Project(name) => vec![app::Resource::Projects.uri(), app::Resource::Project(name.clone()).uri()],
        Change::Registry => vec![app::Resource::Providers.uri()],
    }
}

/// Renders the result of a read.
pub fn rendered(uri: &str, result: Result<Output, Error>) -> Result<ReadResourceResult, ErrorData> {
    match result {
        Ok(Output::AuditRows(rows)) => {
            let rows: Vec<AuditView> = rows.iter().map(AuditView::from).collect();
            contents(uri, &json!({ "entries": rows }))
        }
        Ok(Output::Project(state)) => contents(uri, &ProjectView::from(&*state)),
        Ok(Output::Projects(page)) => contents(uri, &ProjectList::new(&page, Channel::Mcp)),
        Ok(Output::Providers(registry)) => contents(uri, &ProvidersView::new(&registry)),
        Ok(_) | Err(Error::ProjectNotFound { .. }) => Err(not_found()),
        Err(error) => Err(answer::unreadable(&error)),
    }
}

pub fn not_found() -> ErrorData {
    ErrorData::resource_not_found("there is no such resource", None)
}

fn contents(uri: &str, view: &impl Serialize) -> Result<ReadResourceResult, ErrorData> {
    let text = serde_json::to_string_pretty(view)
        .map_err(|_| ErrorData::internal_error("internal error: the resource has no JSON", None))?;
    Ok(ReadResourceResult::new(vec![ResourceContents::text(visible_json(text), uri).with_mime_type(JSON)]))
}

const JSON: &str = "application/json";
