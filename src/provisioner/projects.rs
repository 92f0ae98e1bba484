//! The use cases about projects.

use std::{collections::BTreeSet, mem, slice, sync::Arc};

use backends::{BackendError, Scope};
use domain::{
    clock::Timestamp,
    diagnostic::Diagnostic as _,
    money::{Cents, MicroUsd},
    name::{EnvVar, ProjectName},
    project::{Project, ResourceId, Status},
    secret::{Fingerprint, Secret},
};
use files::env_file::Replace;
use serde_json::json;
use storage::ledger::{Verdict, Visibility};

use super::{
    Abandoned, Listing, Outcome, Ports, Principal, ProjectPage, ProvisionRequest, Recovered, UnresolvedOrder,
    abandonment::Abandonment,
    batch::each,
    cap_changes::CapChanges,
    list::{Cursor, find},
    observer::Observer,
    provision::Provision,
    reconciler::Reconciler,
    recovery::{record_kills, recover},
    rotation::Rotation,
    suspension::Suspension,
    teardown::Teardown,
};
use crate::{
    error::Error,
    project_state::{Observation, ProjectState},
};

/// Provisions, lists, rotates, suspends and removes projects.
pub struct Projects {
    pub(super) ports: Arc<Ports>,
    pub(super) observer: Arc<Observer>,
    pub(super) reconciler: Arc<Reconciler>,
    pub(super) provision: Provision,
    pub(super) rotation: Rotation,
    pub(super) suspension: Suspension,
    pub(super) teardown: Arc<Teardown>,
    pub(super) abandonment: Abandonment,
    pub(super) cap_changes: Arc<CapChanges>,
}

impl Projects {
    /// Creates a project, and writes its key to the env file.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] with the live project of that name; a rule's, the registry's or the env file's
    /// before anything is spent; [`Error::NotDelivered`] and [`Error::OutcomeUnknown`] when it may have been.
    pub fn provision(&self, request: &ProvisionRequest, principal: &Principal) -> Result<ProjectState, Error> {
        self.provision.provision(request, principal)
    }

    /// Replaces the credential of a live project.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; [`Error::Suspended`], whose key is withheld; [`Error::KeyWithheld`] where version
    /// control would take the new one, and the old one is revoked; the env file's others, before the old key is touched; [`Error::NotDelivered`] and [`Error::OutcomeUnknown`] after.
    pub fn rotate(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        self.rotate_replacing(name, Replace::OursOnly, principal)
    }

    /// As [`Self::rotate`]; the new credential may overwrite what `replace` permits.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub fn rotate_replacing(
        &self,
        name: &ProjectName,
        replace: Replace,
        principal: &Principal,
    ) -> Result<ProjectState, Error> {
        self.rotation.rotate(name, replace, principal)
    }

    /// Disables the key of a live project until it is resumed. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; [`Error::NotSuspended`] when the key may still work; [`Error::NotRecorded`] and
    /// [`Error::NotWithdrawn`] when it does not and the rest is left to do, which the same call finishes;
    /// [`Error::CannotDisable`] when only a teardown ends it.
    pub fn suspend(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        self.suspension.suspend(name, principal)
    }

    /// Suspends every live project. The failure of one stops no other.
    pub fn suspend_all(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        self.suspension.suspend_all(principal)
    }

    /// Changes the cap of a live project. Zero is the provider's default.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; a rule's, before anything is done; the backend's refusal, which leaves the earlier cap;
    /// [`Error::OutcomeUnknown`] after.
    pub fn set_cap(&self, name: &ProjectName, cap: Cents, principal: &Principal) -> Result<ProjectState, Error> {
        self.cap_changes.set(name, cap, principal)
    }

    /// Enables the key of a suspended project and delivers it, unless its cap is used up.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; [`Error::CapReached`] or the env file's, before anything is done; [`Error::NotDelivered`] and [`Error::OutcomeUnknown`] after.
    pub fn resume(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        self.resume_replacing(name, Replace::OursOnly, principal)
    }

    /// As [`Self::resume`]; the credential may overwrite what `replace` permits.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn resume_replacing(
        &self,
        name: &ProjectName,
        replace: Replace,
        principal: &Principal,
    ) -> Result<ProjectState, Error> {
        self.suspension.resume(name, replace, principal)
    }

    /// Tears a project down. Safe to repeat: one that is torn down already is returned as it is.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`] for a name that never was; [`Error::NotTornDown`] and [`Error::NotWithdrawn`] when
    /// it stopped half way, and then the same call finishes it.
    pub fn teardown(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        self.teardown.teardown(name, principal)
    }

    /// Tears every live project down. The failure of one stops no other.
    pub fn teardown_all(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        let names = self.live_names()?;
        if !names.is_empty() {
            self.teardown.kill_held(&names)?;
        }
        Ok(each(names, |name| self.teardown(name, principal)))
    }

    /// Asks the backend once more about a purchase whose outcome is unknown, and abandons it if that can never be
    /// determined and `agree` does.
    ///
    /// The project stays locked while `agree` runs, so what it agrees to is what is done.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; [`Error::NothingToAbandon`] where there is no open purchase;
    /// [`Error::OutcomeUnknown`] where the backend may still tell, later; and whatever `agree` refuses with.
    pub fn abandon(
        &self,
        name: &ProjectName,
        principal: &Principal,
        agree: impl FnOnce(&UnresolvedOrder) -> Result<(), Error>,
    ) -> Result<Abandoned, Error> {
        self.abandonment.abandon(name, principal, agree)
    }

    /// Finishes or closes the operations that crashed processes left open. A project that is in use is skipped.
    pub fn recover(&self) -> Result<Vec<Recovered>, Error> {
        recover(&self.ports, &self.reconciler)
    }

    /// Records the kills that could not be recorded when they happened.
    pub fn record_kills(&self) -> Result<(), Error> {
        record_kills(&self.ports, &self.reconciler)
    }

    /// Whether the newest project of that name was changed at that time or later.
    pub fn changed_since(&self, name: &ProjectName, at: Timestamp) -> bool {
        let ledger = &self.ports.ledger;
        let newest = ledger.exists().then(|| ledger.projects().newest(name).ok().flatten()).flatten();
        newest.is_some_and(|project| project.updated_at >= at)
    }

    /// Lists projects, oldest first, with the backend's observation of each.
    ///
    /// Where the backend does not answer, usage is unknown and the page says why; a project is never left out.
    pub fn list(&self, listing: &Listing) -> Result<ProjectPage, Error> {
        if !self.ports.ledger.exists() {
            return Ok(ProjectPage { projects: Vec::new(), live: 0, torn_down: 0, next: None, unobserved: None });
        }
        let after = listing.after.map_or(0, |cursor| cursor.0);
        let page = self.ports.ledger.projects().page(listing.visibility, after, listing.limit)?;
        let asked: Vec<ResourceId> =
            page.projects.iter().filter_map(|project| self.observer.askable(project)).collect();
        let answer = if asked.is_empty() {
            Ok(Vec::new())
        } else {
            self.ports.wait(self.ports.backend.observe(Scope::Resources(&asked)))
        };
        if let Ok(observed) = &answer {
            let seen = page.projects.iter().filter_map(|project| Some((project, self.observer.askable(project)?)));
            self.observer
                .observe_usage(seen.filter_map(|(project, resource)| Some((project, find(observed, &resource)?))));
        }
        let sharing = self.observer.sharing()?;
        let halted = self.ports.ledger.halts().requested_among(&page.projects)?;
        let projects = page.projects.into_iter().map(|project| {
            let project = as_halted(project, &halted);
            let observation = match (&answer, self.observer.askable(&project)) {
                (Ok(observed), Some(resource)) => find(observed, &resource).into(),
                _ => Observation::Unknown,
            };
            self.observer.state_among(project, observation, &sharing)
        });
        Ok(ProjectPage {
            projects: projects.collect(),
            live: page.live,
            torn_down: page.torn_down,
            next: page.next.map(Cursor),
            unobserved: answer.err().map(Error::from),
        })
    }

    /// Lists every project, however many pages there are.
    pub fn list_all(&self, visibility: Visibility) -> Result<ProjectPage, Error> {
        let mut listing = Listing::first(visibility);
        let mut list = self.list(&listing)?;
        while let Some(cursor) = mem::take(&mut list.next) {
            listing.after = Some(cursor);
            let mut page = self.list(&listing)?;
            list.projects.append(&mut page.projects);
            list.next = page.next;
            list.unobserved = list.unobserved.or(page.unobserved);
        }
        Ok(list)
    }

    /// Returns the newest project of that name, live or not.
    pub fn show(&self, name: &ProjectName) -> Result<Option<ProjectState>, Error> {
        if !self.ports.ledger.exists() {
            return Ok(None);
        }
        let Some(project) = self.ports.ledger.projects().newest(name)? else { return Ok(None) };
        let halted = self.ports.ledger.halts().requested_among(slice::from_ref(&project))?;
        Ok(Some(self.observer.look(as_halted(project, &halted))))
    }

    /// Adds usage to a live project. At the cap, the backend suspends it.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; the backend's refusal for what is suspended, or metered by its provider.
    pub fn record_usage(
        &self,
        name: &ProjectName,
        amount: MicroUsd,
        principal: &Principal,
    ) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        let project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?;
        let resource = project.resource.as_ref().ok_or_else(|| self.ports.missing(name))?;
        let detail = json!({ "micro_usd": amount.micro_usd() });
        let event = self.ports.event(principal, "usage record", Verdict::Intended, detail);
        self.ports.ledger.audit().note(&event, Some(name))?;
        let observed = self.ports.wait(self.ports.backend.record_usage(resource, amount))?;
        if let Some(usage) = observed.usage {
            let event =
                self.ports.event(principal, "usage record", Verdict::Done, json!({ "usage": usage.micro_usd() }));
            self.ports.ledger.budget().note_usage(name, usage, &event)?;
        }
        let observation = self.observer.noticed(&project, Some(&observed));
        Ok(self.observer.state_of(project, observation))
    }

    /// Writes the current key of an active project to its variable once more.
    ///
    /// A value of the user's own is not overwritten, and a key that was never recorded is not delivered.
    ///
    /// # Errors
    /// [`Error::KeyNotRecorded`] when the backend holds another key than the ledger knows; else the backend's or the
    /// env file's. Nothing was changed then.
    pub fn deliver_again(&self, name: &ProjectName, principal: &Principal) -> Result<(), Error> {
        let _lock = self.ports.lock_project(name)?;
        let project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?;
        if project.status != Status::Active {
            return Err(Error::ProjectBusy);
        }
        self.ports.check_not_halted(&project)?;
        let intended = self.ports.event(principal, DELIVER, Verdict::Intended, json!({}));
        self.ports.ledger.audit().note(&intended, Some(name))?;
        let delivered = self.reveal_and_write(&project);
        let (verdict, detail) = match &delivered {
            Ok(()) => (Verdict::Done, json!({ "key_version": project.key_version })),
            Err(error) => (Verdict::Failed, json!({ "code": error.code() })),
        };
        self.ports.ledger.audit().note(&self.ports.event(principal, DELIVER, verdict, detail), Some(name))?;
        delivered
    }

    fn reveal_and_write(&self, project: &Project) -> Result<(), Error> {
        self.ports.delivery.preflight(&project.env_file)?;
        let resource = project.resource.as_ref().ok_or(BackendError::NotFound)?;
        let credentials = self.ports.wait(self.ports.backend.reveal(resource))?;
        let names = project.deliveries.iter().map(|delivery| delivery.credential.as_deref());
        let picked: Vec<&Secret> = names.map(|name| credentials.pick(name)).collect::<Result<_, _>>()?;
        let found: Vec<Fingerprint> = picked.iter().map(|secret| secret.fingerprint()).collect();
        if found != self.ports.ledger.issued_keys().current_fingerprints(project)? {
            return Err(Error::KeyNotRecorded { name: project.name.clone() });
        }
        self.ports.check_not_halted(project)?;
        let variables = project.deliveries.iter().map(|delivery| &delivery.env_var);
        let pairs: Vec<(&EnvVar, &Secret)> = variables.zip(picked).collect();
        let recognise = |found: &[Fingerprint]| self.ports.recognise(found);
        self.ports.delivery.deliver(&project.env_file, &pairs, Replace::OursOnly, &recognise)
    }

    fn live_names(&self) -> Result<Vec<ProjectName>, Error> {
        if !self.ports.ledger.exists() {
            return Ok(Vec::new());
        }
        Ok(self.ports.ledger.projects().all_live()?.into_iter().map(|project| project.name).collect())
    }
}

/// Shows a project as suspended whose kill could not be recorded yet.
fn as_halted(mut project: Project, halted: &BTreeSet<String>) -> Project {
    let may_have_a_key = matches!(project.status, Status::Active | Status::Provisioning | Status::Rotating);
    if may_have_a_key && halted.contains(project.id.as_str()) {
        project.status = Status::Suspended;
    }
    project
}

const DELIVER: &str = "deliver";
