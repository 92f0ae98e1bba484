//! Changes of a live project's cap: by a person, or by an agent with a person's approval.

use std::sync::Arc;

use backends::{Metering, NewCap};
use domain::{
    approval::{ApprovalId, Subject, SubjectFacts},
    budget::{Added, BudgetFacts},
    money::Cents,
    name::ProjectName,
    project::{Project, Status},
    secret::Fingerprint,
};
use files::{
    env_file::Replace,
    registry::{Provider, Registry},
};
use serde_json::json;
use storage::ledger::{Intent, Operation, OperationId, Verdict};

use super::{
    Approvals, Phase, Ports, Principal, ProvisionRequest,
    observer::Observer,
    provision::spend,
    reconciler::{Reconciled, Reconciler},
};
use crate::{
    error::Error,
    policy::{self, Decision},
    project_state::{Observation, ProjectState},
};

/// Changes caps.
pub(super) struct CapChanges {
    pub ports: Arc<Ports>,
    pub approvals: Arc<Approvals>,
    pub reconciler: Arc<Reconciler>,
    pub observer: Arc<Observer>,
}

impl CapChanges {
    /// As [`super::Projects::set_cap`].
    pub(super) fn set(&self, name: &ProjectName, cap: Cents, principal: &Principal) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        let prepared = self.settled(name, principal).and_then(|project| self.prepare(&project, cap, principal));
        match prepared.map_err(|error| self.ports.refused(principal, ACTION, name, error))? {
            Prepared::AsItIs(project) => Ok(self.observer.at_hand(*project)),
            Prepared::Begun(intent) => self.finish(*intent, principal),
        }
    }

    /// Raises the cap of a settled project, whose lock the caller holds.
    pub(super) fn raise(&self, project: &Project, cap: Cents, principal: &Principal) -> Result<ProjectState, Error> {
        let prepared = self.prepare(project, cap, principal);
        match prepared.map_err(|error| self.ports.refused(principal, ACTION, &project.name, error))? {
            Prepared::AsItIs(project) => Ok(self.observer.at_hand(*project)),
            Prepared::Begun(intent) => self.finish(*intent, principal),
        }
    }

    fn finish(&self, intent: Intent, principal: &Principal) -> Result<ProjectState, Error> {
        self.ports.phase(Phase::Intended);
        let project = self.reconciler.apply_cap(intent, principal)?;
        Ok(match (self.ports.backend.metering(), project.last_usage) {
            (Metering::Remote, usage @ Some(_)) => {
                self.observer.state_of(project, Observation::Present { suspended: false, usage })
            }
            _ => self.observer.at_hand(project),
        })
    }

    fn settled(&self, name: &ProjectName, principal: &Principal) -> Result<Project, Error> {
        let project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?;
        match self.reconciler.reconcile_open(&project, principal)? {
            Some(Reconciled::Open { why }) => Err(why),
            Some(_) => self.ports.live(name)?.ok_or_else(|| self.ports.missing(name)),
            None => Ok(project),
        }
    }

    /// Decides, and records the intent.
    fn prepare(&self, project: &Project, cap: Cents, principal: &Principal) -> Result<Prepared, Error> {
        let registry = self.ports.registry()?;
        let provider = registry.get(&project.provider);
        let cap = match (provider, cap.is_zero()) {
            (Some(provider), true) => provider.default_cap,
            _ => cap,
        };
        if cap == project.cap || cap.is_zero() {
            return Ok(Prepared::AsItIs(Box::new(project.clone())));
        }
        let Some(provider) = provider.filter(|_| cap > project.cap) else {
            return if cap > project.cap {
                Err(unknown(&registry, project))
            } else {
                self.begin_lower(project, cap, principal)
            };
        };
        let approval = self.approval_for(project, cap, provider, &registry, principal)?;
        let event = self.ports.event(principal, ACTION, Verdict::Intended, detail(project, cap, approval.as_ref()));
        let intent =
            self.ports.ledger.journal().begin_cap(&project.name, &OperationId::random()?, &event, |tx, change| {
                let committed = tx.committed(project.money(), project.service.provider(), event.at)?;
                let added = change.added(cap);
                match policy::decide_raise(cap, &added, principal.role, provider, &registry.policy, &committed) {
                    Decision::Allowed { cap } => Ok(cap),
                    Decision::NeedsApproval { cap, .. } => {
                        spend(tx, &self.subject(project, provider, cap)?, approval.as_ref(), &project.id, event.at)?;
                        Ok(cap)
                    }
                    Decision::Refused(rule) => Err(Error::from(rule)),
                }
            })?;
        intent.map(|intent| Prepared::Begun(Box::new(intent))).ok_or_else(|| self.ports.missing(&project.name))
    }

    /// A lower cap needs no decision: any caller may commit less.
    fn begin_lower(&self, project: &Project, cap: Cents, principal: &Principal) -> Result<Prepared, Error> {
        let event = self.ports.event(principal, ACTION, Verdict::Intended, detail(project, cap, None));
        let begun = self
            .ports
            .ledger
            .journal()
            .begin_cap(&project.name, &OperationId::random()?, &event, |_, _| Ok::<_, Error>(cap))?;
        begun.map(|intent| Prepared::Begun(Box::new(intent))).ok_or_else(|| self.ports.missing(&project.name))
    }

    /// Decides before the transaction does, and returns the approval that the decision needs.
    fn approval_for(
        &self,
        project: &Project,
        cap: Cents,
        provider: &Provider,
        registry: &Registry,
        principal: &Principal,
    ) -> Result<Option<ApprovalId>, Error> {
        let now = self.ports.ledger.budget().purchase_time(self.ports.clock.now())?;
        let committed = self.ports.ledger.budget().committed(project.money(), project.service.provider(), now)?;
        let added = Added::by_raise(&project.terms(), cap, committed.month, now);
        match policy::decide_raise(cap, &added, principal.role, provider, &registry.policy, &committed) {
            Decision::Allowed { .. } => Ok(None),
            Decision::NeedsApproval { cap, without, excess } => {
                let raised_from = Some(project.cap);
                let budget = BudgetFacts { cap, period: project.cap_period, raised_from, committed, excess };
                let (subject, asked) = (self.subject(project, provider, cap)?, (without, budget));
                let approval = self.approvals.human_approval(&subject, &registry.policy, asked, principal)?;
                Ok(Some(approval))
            }
            Decision::Refused(rule) => Err(rule.into()),
        }
    }

    /// What the approval of a raise is bound to: also this very project and its present cap.
    fn subject(&self, project: &Project, provider: &Provider, cap: Cents) -> Result<Subject, Error> {
        let request = ProvisionRequest {
            name: project.name.clone(),
            provider: project.provider.clone(),
            cap,
            lifetime: None,
            replace: Replace::OursOnly,
        };
        let subject = self.approvals.subject(&request, provider, cap)?;
        let whole = json!(["raise", subject.digest, project.id.as_str(), project.cap.cents()]);
        let digest = Fingerprint::of(whole.to_string().as_bytes()).as_str().to_owned();
        let shown = SubjectFacts { raised_from: Some(project.cap), period: project.cap_period, ..subject.shown };
        Ok(Subject { digest, shown, ..subject })
    }
}

/// The new cap of an intent, for the backend. A key that a person suspended stays disabled.
pub(super) fn new_cap(intent: &Intent) -> Option<NewCap> {
    let project = &intent.project;
    Some(NewCap {
        resource: project.resource.clone()?,
        service: project.service.clone(),
        cap: project.cap,
        enables: intent.when_done() == Status::Active,
    })
}

enum Prepared {
    /// It has that cap already.
    AsItIs(Box<Project>),
    Begun(Box<Intent>),
}

fn detail(project: &Project, cap: Cents, approval: Option<&ApprovalId>) -> serde_json::Value {
    json!({
        "cap_cents": cap.cents(),
        "was_cap_cents": project.cap.cents(),
        "approval": approval.map(ApprovalId::as_str),
    })
}

fn unknown(registry: &Registry, project: &Project) -> Error {
    Error::UnknownProvider {
        closest: registry.closest(project.provider.as_str()).cloned(),
        known: registry.providers().map(|provider| provider.key.clone()).collect(),
    }
}

const ACTION: &str = Operation::Cap.as_str();
