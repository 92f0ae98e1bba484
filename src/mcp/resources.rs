//! Resources: the registry and the projects, to be read without a tool call.

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};
use serde::Serialize;
use serde_json::json;

use super::subscriptions::Change;
use crate::{
    diagnostic::Channel,
    error::Error,
    ledger::Visibility,
    name::ProjectName,
    provisioner::{AuditFilter, Listing, Provisioner},
    view::{AuditView, ProjectList, ProjectView, ProvidersView},
};

pub fn all() -> Vec<Resource> {
    vec![
        Resource::new(PROVIDERS, "providers")
            .with_title("Providers")
            .with_description("What can be provisioned, under which variable and cap.")
            .with_mime_type(JSON),
        Resource::new(PROJECTS, "projects")
            .with_title("Live projects")
            .with_description("As list_projects shows them; the first 200.")
            .with_mime_type(JSON),
        Resource::new(AUDIT, "audit")
            .with_title("Audit")
            .with_description("Who called what and what came of it, masked; the last 50 rows.")
            .with_mime_type(JSON),
    ]
}

pub fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(format!("{PROJECTS}/{{name}}"), "project")
            .with_title("One project")
            .with_description("The newest project of that name, masked.")
            .with_mime_type(JSON),
    ]
}

/// A URI of ours.
pub enum Known {
    Fixed(&'static str),
    Project(ProjectName),
}

/// What a URI means, if it is one of ours.
pub fn known(uri: &str) -> Option<Known> {
    if let Some(fixed) = [AUDIT, PROJECTS, PROVIDERS].into_iter().find(|fixed| *fixed == uri) {
        return Some(Known::Fixed(fixed));
    }
    let name = uri.strip_prefix(PROJECTS)?.strip_prefix('/')?;
    ProjectName::parse(name).ok().map(Known::Project)
}

/// Whether we say when it changes. Each call changes the audit, and so would reading it again.
pub fn changes(uri: &str) -> bool {
    known(uri).is_some_and(|known| !matches!(known, Known::Fixed(AUDIT)))
}

/// The resources that are not what they were.
pub fn changed_by(change: &Change) -> Vec<String> {
    match change {
        Change::Project(name) => vec![PROJECTS.to_owned(), format!("{PROJECTS}/{name}")],
        Change::Registry => vec![PROVIDERS.to_owned()],
    }
}

/// Reads one resource. The URI of a wrong one is not repeated.
pub fn read(provisioner: &Provisioner, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    match known(uri).ok_or_else(not_found)? {
        Known::Fixed(AUDIT) => {
            let filter = AuditFilter { limit: NEWEST_ROWS, ..AuditFilter::default() };
            let rows = provisioner.audit.entries(&filter).map_err(|error| unreadable(&error))?;
            let entries: Vec<AuditView> = rows.iter().map(AuditView::from).collect();
            shown(uri, &json!({ "entries": entries }))
        }
        Known::Fixed(PROVIDERS) => {
            let registry = provisioner.ports.registry().map_err(|error| unreadable(&error))?;
            shown(uri, &ProvidersView::new(&registry))
        }
        Known::Fixed(_) => {
            let page =
                provisioner.projects.list(&Listing::first(Visibility::Live)).map_err(|error| unreadable(&error))?;
            shown(uri, &ProjectList::from(&page))
        }
        Known::Project(name) => {
            let project = provisioner.projects.show(&name).map_err(|error| unreadable(&error))?;
            shown(uri, &ProjectView::from(&project.ok_or_else(not_found)?))
        }
    }
}

fn shown(uri: &str, view: &impl Serialize) -> Result<ReadResourceResult, ErrorData> {
    let text = serde_json::to_string_pretty(view)
        .map_err(|_| ErrorData::internal_error("internal error: the resource has no JSON", None))?;
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON)]))
}

pub fn not_found() -> ErrorData {
    ErrorData::resource_not_found("there is no such resource", None)
}

fn unreadable(error: &Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), Some(json!(error.view(Channel::Agent))))
}

const JSON: &str = "application/json";

const AUDIT: &str = "stripe-projects://audit";

const NEWEST_ROWS: usize = 50;

const PROJECTS: &str = "stripe-projects://projects";

const PROVIDERS: &str = "stripe-projects://providers";
