//! What a result says about its project: what the backend reported, or what is known without another request.

use std::collections::BTreeSet;

use super::Provisioner;
use crate::{
    backend::{CapScope, Metering, Observed, Scope},
    error::Error,
    money::MicroUsd,
    project::Project,
    project_state::{CapEnforcement, Observation, ProjectState},
};

impl Provisioner {
    /// Asks the backend about a project.
    pub(super) fn look(&self, project: Project) -> ProjectState {
        let observation = self.observation(&project);
        self.state_of(project, observation)
    }

    /// A project after a call that needed no answer about its usage: only records on this machine are read.
    pub(super) fn at_hand(&self, project: Project) -> ProjectState {
        match self.backend.metering() {
            Metering::Local => self.look(project),
            Metering::None | Metering::Remote => self.state_of(project, Observation::Unknown),
        }
    }

    /// A project whose resource was created by this call, so that it has cost nothing yet.
    pub(super) fn just_created(&self, project: Project) -> ProjectState {
        let usage = match self.backend.metering() {
            Metering::Local | Metering::Remote => Some(MicroUsd::ZERO),
            Metering::None => None,
        };
        self.state_of(project, Observation::Present { suspended: false, usage })
    }

    pub(super) fn observation(&self, project: &Project) -> Observation {
        let Some(resource) = self.askable(project) else { return Observation::Unknown };
        match self.wait(self.backend.observe(Scope::Resources(&[resource]))) {
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
        let enforcement = match self.backend.cap_scope() {
            _ if project.backend != self.backend.name() => CapEnforcement::OtherBackend,
            CapScope::Project => CapEnforcement::Project,
            CapScope::ProviderAndMonth => {
                CapEnforcement::ProviderAndMonth { shared: sharing.contains(project.service.provider()) }
            }
        };
        ProjectState { project, observation, enforcement, notes: Vec::new() }
    }

    /// Stripe's providers whose limit is shared by several live projects.
    pub(super) fn sharing(&self) -> Result<BTreeSet<String>, Error> {
        match self.backend.cap_scope() {
            CapScope::Project => Ok(BTreeSet::new()),
            CapScope::ProviderAndMonth => Ok(self.ledger.shared_providers(self.backend.name())?),
        }
    }
}
