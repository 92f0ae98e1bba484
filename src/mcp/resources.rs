//! Resources: the registry and the projects, to be read without a tool call.

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    error::Error,
    ledger::Visibility,
    name::ProjectName,
    provisioner::{LARGEST_PAGE, Listing, Provisioner},
    view::ProvidersView,
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

/// Reads one resource. The URI of a wrong one is not repeated.
pub fn read(provisioner: &Provisioner, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    match uri {
        PROVIDERS => {
            let registry = provisioner.registry().map_err(|error| unreadable(&error))?;
            shown(uri, &ProvidersView::new(&registry))
        }
        PROJECTS => {
            let listing = Listing { visibility: Visibility::Live, limit: LARGEST_PAGE, cursor: None };
            shown(uri, &provisioner.list(&listing).map_err(|error| unreadable(&error))?)
        }
        _ => {
            let name = uri.strip_prefix(PROJECTS).and_then(|rest| rest.strip_prefix('/')).ok_or_else(not_found)?;
            let name = ProjectName::parse(name).map_err(|_| not_found())?;
            let project = provisioner.show(&name).map_err(|error| unreadable(&error))?;
            shown(uri, &project.ok_or_else(not_found)?)
        }
    }
}

fn shown(uri: &str, view: &impl Serialize) -> Result<ReadResourceResult, ErrorData> {
    let text = serde_json::to_string_pretty(view)
        .map_err(|_| ErrorData::internal_error("internal error: the resource has no JSON", None))?;
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON)]))
}

fn not_found() -> ErrorData {
    ErrorData::resource_not_found("there is no such resource", None)
}

fn unreadable(error: &Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), Some(json!(error.view())))
}

const JSON: &str = "application/json";

const PROJECTS: &str = "stripe-projects://projects";

const PROVIDERS: &str = "stripe-projects://providers";
