//! Adoption: resources of a lost ledger become projects of this one.
//!
//! A resource carries the id of the order that created it. If no ledger row has that order, the resource is billed and not
//! listed. Adopting it delivers nothing: its key stays where the lost ledger has put it, until a rotation replaces it.

use std::sync::Arc;

use backends::MarkedResource;
use domain::{
    clock::Timestamp,
    money::Cents,
    name::ProjectName,
    principal::Principal,
    project::{Delivery, Project, Status},
};
use files::{
    env_file::EnvFileError,
    registry::{Provider, Registry},
};
use serde_json::json;
use storage::ledger::{ProvisionTx, Verdict};

use super::{Ports, observer::Observer};
use crate::{error::Error, project_state::ProjectState};

/// The use case.
pub struct Adoption {
    pub(super) ports: Arc<Ports>,
    pub(super) observer: Arc<Observer>,
}

impl Adoption {
    /// Lists the backend's resources that carry an order id and are in no row of the ledger.
    pub fn lost(&self) -> Result<Vec<MarkedResource>, Error> {
        lost(&self.ports)
    }

    /// Adds the project of a lost resource: at the cap that the backend knows, else at the entry's default.
    ///
    /// # Errors
    /// [`Error::NotAdoptable`] if no entry of the registry names the service.
    pub fn adopt(&self, resource: &MarkedResource, principal: &Principal) -> Result<ProjectState, Error> {
        let registry = self.ports.registry()?;
        let provider =
            entry(&registry, resource).ok_or_else(|| Error::NotAdoptable { resource: resource.resource.clone() })?;
        let name = self.free_name(resource)?;
        let _lock = self.ports.lock_project(&name)?;
        let credentials: Vec<String> =
            provider.deliveries.iter().filter_map(|delivery| delivery.credential.clone()).collect();
        self.ports.wait(self.ports.backend.adopt(resource, &credentials))?;
        let cap = resource.cap.filter(|cap| *cap > Cents::ZERO).unwrap_or(provider.default_cap);
        let detail = json!({
            "provider": provider.key.as_str(), "cap_cents": cap.cents(), "resource": resource.resource.as_str(),
        });
        let event = self.ports.event(principal, ACTION, Verdict::Done, detail);
        let project = project(&self.ports, resource, provider, name, cap, event.at);
        let choose = |tx: &ProvisionTx<'_>| self.variables(tx, &project, provider);
        let project = self.ports.ledger.adoption().add(&project, &event, choose)?;
        Ok(self.observer.at_hand(project))
    }

    /// The label of the resource, or the order's id where another live project has that name.
    fn free_name(&self, resource: &MarkedResource) -> Result<ProjectName, Error> {
        let mark: String = resource.order.as_str().trim_start_matches("proj_").chars().take(MARK).collect();
        let label = ProjectName::parse(&resource.label).ok();
        if let Some(label) = label
            && self.ports.ledger.projects().live(&label)?.is_none()
        {
            return Ok(label);
        }
        Ok(ProjectName::parse(&format!("adopted-{mark}"))?)
    }

    /// Chooses variables that no live project writes, so that a rotation can deliver.
    fn variables(&self, tx: &ProvisionTx<'_>, project: &Project, provider: &Provider) -> Result<Vec<Delivery>, Error> {
        let path = self.ports.env_file.as_path();
        let choose = |usual: &Delivery| {
            let is_held = tx.holds(path, &usual.env_var)?;
            let env_var = if is_held { project.name.prefixed(&usual.env_var)? } else { usual.env_var.clone() };
            if tx.holds(path, &env_var)? {
                return Err(EnvFileError::Taken { variable: env_var, path: path.to_owned() }.into());
            }
            Ok(Delivery { env_var, credential: usual.credential.clone() })
        };
        provider.deliveries.iter().map(choose).collect()
    }
}

/// Lists the backend's resources that carry an order id and are in no row of the ledger.
pub fn lost(ports: &Ports) -> Result<Vec<MarkedResource>, Error> {
    let mut lost = Vec::new();
    for resource in ports.wait(ports.backend.marked())? {
        let is_known =
            ports.ledger.exists() && ports.ledger.adoption().is_known(&resource.resource, &resource.order)?;
        if !is_known {
            lost.push(resource);
        }
    }
    Ok(lost)
}

fn entry<'a>(registry: &'a Registry, resource: &MarkedResource) -> Option<&'a Provider> {
    registry.providers().find(|provider| resource.is_of(&provider.service))
}

fn project(
    ports: &Ports,
    resource: &MarkedResource,
    provider: &Provider,
    name: ProjectName,
    cap: Cents,
    at: Timestamp,
) -> Project {
    Project {
        id: resource.order.clone(),
        name,
        provider: provider.key.clone(),
        service: provider.service.clone(),
        backend: ports.backend.name().to_owned(),
        resource: Some(resource.resource.clone()),
        status: if resource.suspended { Status::Suspended } else { Status::Active },
        cap,
        cap_period: ports.backend.cap_period(),
        last_usage: None,
        key_version: 1,
        mask: None,
        deliveries: Vec::new(),
        env_file: ports.env_file.clone(),
        expires_at: None,
        created_at: at,
        updated_at: at,
    }
}

const ACTION: &str = "adopt";

/// How many digits of an order's id a name gets.
const MARK: usize = 8;
