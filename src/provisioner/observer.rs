//! What a result says about its project: what the backend reported, or what is known without another request.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Alerts, Ports};
use crate::{
    backend::{CapScope, Metering, Observed, Scope},
    error::Error,
    money::MicroUsd,
    name::ProjectName,
    project::{Project, ResourceId, Status},
    project_state::{CapEnforcement, Observation, ProjectState},
};

/// Finds out what is known of projects, and notices what follows from it: alerts, and caps that are used up.
pub(super) struct Observer {
    ports: Arc<Ports>,
    alerts: Arc<Alerts>,
    /// Seen with its cap used up, and not suspended yet. The next observation sees it again, so losing this loses
    /// nothing.
    exhausted: Mutex<BTreeSet<ProjectName>>,
}

impl Observer {
    pub(super) fn new(ports: Arc<Ports>, alerts: Arc<Alerts>) -> Self {
        Self { ports, alerts, exhausted: Mutex::default() }
    }

    /// Raises the alerts that the usage of these projects gives reason to, and remembers those at their caps.
    pub(super) fn observe_usage<'a>(&self, seen: impl Iterator<Item = (&'a Project, &'a Observed)>) {
        let usages = seen.filter_map(|(project, observed)| Some((project, observed.usage?)));
        let usages: Vec<(&Project, MicroUsd)> = usages.collect();
        for (project, usage) in &usages {
            self.note_exhausted(project, *usage);
        }
        self.alerts.raise_reached(&usages);
    }

    /// The projects that were seen with their caps used up, from now on forgotten.
    pub(super) fn take_exhausted(&self) -> BTreeSet<ProjectName> {
        mem::take(&mut *self.exhausted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the backend about a project.
    pub(super) fn look(&self, project: Project) -> ProjectState {
        let observation = self.observation(&project);
        self.state_of(project, observation)
    }

    /// A project after a call that needed no answer about its usage: only records on this machine are read.
    pub(super) fn at_hand(&self, project: Project) -> ProjectState {
        match self.ports.backend.metering() {
            Metering::Local => self.look(project),
            Metering::None | Metering::Remote => self.state_of(project, Observation::Unknown),
        }
    }

    /// A project whose resource was created by this call, so that it has cost nothing yet.
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

    /// What the backend reported, after it has raised the alerts that it gives reason to.
    pub(super) fn noticed(&self, project: &Project, observed: Option<&Observed>) -> Observation {
        self.observe_usage(observed.map(|seen| (project, seen)).into_iter());
        observed.into()
    }

    pub(super) fn state_of(&self, project: Project, observation: Observation) -> ProjectState {
        let sharing = self.sharing().unwrap_or_default();
        self.state_among(project, observation, &sharing)
    }

    /// `sharing` as [`Self::sharing`] has it.
    pub(super) fn state_among(
        &self,
        project: Project,
        observation: Observation,
        sharing: &BTreeSet<String>,
    ) -> ProjectState {
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
            CapScope::ProviderAndMonth => Ok(self.ports.ledger.shared_providers(self.ports.backend.name())?),
        }
    }

    /// The resource that our backend can be asked about.
    pub(super) fn askable(&self, project: &Project) -> Option<ResourceId> {
        let ours = project.status.is_live() && project.backend == self.ports.backend.name();
        project.resource.clone().filter(|_| ours)
    }

    /// Remembers a project whose cap is used up, if that is ours to do something about.
    fn note_exhausted(&self, project: &Project, usage: MicroUsd) {
        if self.ports.backend.requires_cap_enforcement()
            && project.status == Status::Active
            && usage >= project.cap.micro_usd()
        {
            self.exhausted.lock().unwrap_or_else(PoisonError::into_inner).insert(project.name.clone());
        }
    }
}
