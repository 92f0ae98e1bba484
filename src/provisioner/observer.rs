//! Observations of projects: from the backend, or from local records where no request is needed.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use backends::{CapScope, Metering, Observed, Scope};
use domain::{
    money::MicroUsd,
    name::ProjectName,
    project::{Project, ResourceId, Status},
};

use super::{Alerts, Ports};
use crate::{
    error::Error,
    project_state::{CapEnforcement, Observation, ProjectState},
};

/// Observes projects, raises alerts about their usage, and remembers exhausted caps.
pub(super) struct Observer {
    ports: Arc<Ports>,
    alerts: Arc<Alerts>,
    /// Projects with an exhausted cap that are not suspended yet. The next observation finds them again, so losing this
    /// loses nothing.
    exhausted: Mutex<BTreeSet<ProjectName>>,
}

impl Observer {
    pub(super) fn new(ports: Arc<Ports>, alerts: Arc<Alerts>) -> Self {
        Self { ports, alerts, exhausted: Mutex::default() }
    }

    /// Raises alerts for the usage of these projects, and remembers those with an exhausted cap.
    pub(super) fn observe_usage<'a>(&self, seen: impl Iterator<Item = (&'a Project, &'a Observed)>) {
        let usages = seen.filter_map(|(project, observed)| Some((project, observed.usage?)));
        let usages: Vec<(&Project, MicroUsd)> = usages.collect();
        for (project, usage) in &usages {
            self.note_exhausted(project, *usage);
        }
        self.alerts.raise_reached(&usages);
    }

    /// Takes the projects with an exhausted cap out of the list.
    pub(super) fn take_exhausted(&self) -> BTreeSet<ProjectName> {
        mem::take(&mut *self.exhausted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the backend about a project.
    pub(super) fn look(&self, project: Project) -> ProjectState {
        let observation = self.observation(&project);
        self.state_of(project, observation)
    }

    /// Returns the state without a request: usage is included only where the backend keeps it on this machine.
    pub(super) fn at_hand(&self, project: Project) -> ProjectState {
        match self.ports.backend.metering() {
            Metering::Local => self.look(project),
            Metering::None | Metering::Remote => self.state_of(project, Observation::Unknown),
        }
    }

    /// Returns the state of a project that this call created, so that it has cost nothing yet.
    pub(super) fn just_created(&self, project: Project) -> ProjectState {
        let usage = match self.ports.backend.metering() {
            Metering::Local | Metering::Remote => Some(MicroUsd::ZERO),
            Metering::None => None,
        };
        self.state_of(project, Observation::Present { suspended: false, usage })
    }

    pub(super) fn observation(&self, project: &Project) -> Observation {
        let Some(resource) = self.askable(project) else { return Observation::Unknown };
        match self.ports.wait(self.ports.backend.observe(Scope::Resources(&[resource]))) {
            Ok(observed) => self.noticed(project, observed.first()),
            Err(_) => Observation::Unknown,
        }
    }

    /// Converts an observation, and raises the alerts for its usage.
    pub(super) fn noticed(&self, project: &Project, observed: Option<&Observed>) -> Observation {
        self.observe_usage(observed.map(|seen| (project, seen)).into_iter());
        observed.into()
    }

    pub(super) fn state_of(&self, project: Project, observation: Observation) -> ProjectState {
        let sharing = self.sharing().unwrap_or_default();
        self.state_among(project, observation, &sharing)
    }

    /// As [`Self::state_of`], with the result of [`Self::sharing`].
    pub(super) fn state_among(
        &self,
        mut project: Project,
        observation: Observation,
        sharing: &BTreeSet<String>,
    ) -> ProjectState {
        // A link may be recorded; what is shown is the file that the key was written to.
        if let Some(real) = Some(&project)
            .filter(|project| project.status.is_live())
            .and_then(|project| self.ports.delivery.real_path(&project.env_file))
        {
            project.env_file = real;
        }
        let enforcement = match self.ports.backend.cap_scope() {
            _ if project.backend != self.ports.backend.name() => CapEnforcement::OtherBackend,
            CapScope::Project => CapEnforcement::Project,
            CapScope::ProviderAndMonth => {
                CapEnforcement::ProviderAndMonth { shared: sharing.contains(project.service.provider()) }
            }
        };
        ProjectState { project, observation, enforcement, notes: Vec::new() }
    }

    /// Stripe's providers whose limit is shared by several live projects.
    pub(super) fn sharing(&self) -> Result<BTreeSet<String>, Error> {
        match self.ports.backend.cap_scope() {
            CapScope::Project => Ok(BTreeSet::new()),
            CapScope::ProviderAndMonth => {
                Ok(self.ports.ledger.projects().shared_providers(self.ports.backend.name())?)
            }
        }
    }

    /// Returns the resource of a live project of the backend in use.
    pub(super) fn askable(&self, project: &Project) -> Option<ResourceId> {
        let ours = project.status.is_live() && project.backend == self.ports.backend.name();
        project.resource.clone().filter(|_| ours)
    }

    /// Remembers a project with an exhausted cap, if the backend leaves it to us to enforce.
    fn note_exhausted(&self, project: &Project, usage: MicroUsd) {
        if self.ports.backend.requires_cap_enforcement()
            && project.status == Status::Active
            && usage >= project.cap.micro_usd()
        {
            self.exhausted.lock().unwrap_or_else(PoisonError::into_inner).insert(project.name.clone());
        }
    }
}
