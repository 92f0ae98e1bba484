//! Our project at Stripe, where nothing here has noted it: the ledger was lost, or this is another machine.

use domain::project::ResourceId;
use serde_json::Value;

use super::{
    StripeCli,
    services::ServiceRow,
    verbs::Stripe,
    workspace::{Workspace, is_our_name},
};
use crate::{BackendError, MarkedResource, marked::split_name};

impl StripeCli {
    pub(super) async fn list_marked(&self) -> Result<Vec<MarkedResource>, BackendError> {
        let stripe = self.lock(self.timeouts.lock_timeout).await?;
        let Some(workspace) = self.find_even_lost(&stripe).await? else { return Ok(Vec::new()) };
        Ok(workspace.services()?.services().filter_map(marked).collect())
    }

    /// Notes the project, and the names of the resource's credentials.
    pub(super) async fn note_adopted(&self, resource: &ResourceId, credentials: &[String]) -> Result<(), BackendError> {
        let stripe = self.lock(self.timeouts.lock_timeout).await?;
        let workspace = self.find_even_lost(&stripe).await?.ok_or(BackendError::NotFound)?;
        let service = workspace.service(resource)?;
        workspace.note_project()?;
        workspace.note_credentials(&service.name, credentials)
    }

    /// Finds the project that was noted, else the only one that has a name of ours.
    async fn find_even_lost<'a>(&'a self, stripe: &'a Stripe<'a>) -> Result<Option<Workspace<'a>>, BackendError> {
        if Workspace::is_noted(&*self.notes)? {
            return Workspace::find(stripe, &*self.notes).await;
        }
        if let Some(workspace) = Workspace::find_connected(stripe, &*self.notes).await? {
            return Ok(Some(workspace));
        }
        let projects = stripe.projects().await;
        let projects = projects.map_err(|cli_error| cli_error.for_read(stripe.invocation("list", None)))?;
        match ours(&projects)?.as_slice() {
            [] => Ok(None),
            [id] => Workspace::pull_lost(stripe, &*self.notes, id).await.map(Some),
            several => {
                let why = format!("the account has {} projects of this program", several.len());
                Err(BackendError::Unknown { why: why.into() })
            }
        }
    }
}

/// The ids of the projects that have a name of ours.
fn ours(data: &Value) -> Result<Vec<&str>, BackendError> {
    let malformed = || BackendError::Malformed { what: "list of projects", got: "no list".to_owned() };
    let projects = data.get("projects").and_then(Value::as_array).ok_or_else(malformed)?;
    let text = |project: &'_ Value, key: &str| project.get(key).and_then(Value::as_str).map(str::to_owned);
    let is_ours = |project: &&Value| text(project, "name").is_some_and(|name| is_our_name(&name));
    Ok(projects.iter().filter(is_ours).filter_map(|project| project.get("id").and_then(Value::as_str)).collect())
}

fn marked(row: &ServiceRow) -> Option<MarkedResource> {
    let (label, order) = split_name(&row.name)?;
    Some(MarkedResource {
        resource: row.id.clone()?,
        order,
        label: label.to_owned(),
        provider: row.provider().to_owned(),
        service: row.part().to_owned(),
        cap: None,
        suspended: false,
    })
}
