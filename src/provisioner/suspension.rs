//! Suspend and resume: disables a key, and enables it again.
//!
//! A suspension is a kill that is recorded afterwards: the key is disabled at the backend first, and then the ledger gets
//! the intent and the outcome, and the variable leaves the env file. The resource stays, and so does any cost that does
//! not depend on the key.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backends::{BackendError, Metering, Scope};
use domain::{
    name::ProjectName,
    project::{Project, Status},
};
use files::env_file::{EnvFileError, Replace};
use serde_json::{Value, json};
use storage::ledger::{Intent, KillTarget, LedgerError, Operation, OperationId, Verdict};

use super::{
    Outcome, Phase, Ports, Principal,
    batch::each_item,
    kill_switch::{Answer, KillSwitch, Killed},
    observer::Observer,
    reconciler::{Reconciled, Reconciler},
    waits::Waits,
};
use crate::{
    error::Error,
    project_state::{Observation, ProjectState},
};

/// Suspends projects, and resumes them.
#[derive(Clone)]
pub(super) struct Suspension {
    pub ports: Arc<Ports>,
    pub kill_switch: Arc<KillSwitch>,
    pub reconciler: Arc<Reconciler>,
    pub observer: Arc<Observer>,
}

impl Suspension {
    /// As [`super::Projects::suspend`].
    pub(super) fn suspend(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        let refused = |error| self.ports.refused(principal, SUSPEND, name, error);
        let (killed, took) = self.kill_switch.kill(Some(name)).map_err(refused)?;
        let Some(killed) = killed.into_iter().next() else {
            return Err(refused(self.ports.missing(name)));
        };
        self.record(Recording { killed, why: json!({}), before: Observation::Unknown }, &Waits::after(took), principal)
    }

    /// As [`super::Projects::suspend_all`].
    pub(super) fn suspend_all(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        let (killed, took) = self.kill_switch.kill(None)?;
        let recording = |killed| Recording { killed, why: json!({}), before: Observation::Unknown };
        Ok(self.record_all(killed.into_iter().map(recording), took, principal))
    }

    /// Suspends those of the projects whose cap is still used up; returns the others as they are. `why` goes into the
    /// audit.
    pub(super) fn suspend_exhausted(
        &self,
        names: impl Iterator<Item = ProjectName>,
        why: &Value,
        principal: &Principal,
    ) -> Vec<Outcome> {
        let (mut outcomes, mut due) = (Vec::new(), Vec::new());
        for name in names {
            match self.exhausted(&name) {
                Ok(Exhausted::No(state)) => outcomes.push(Outcome { name, result: Ok(*state) }),
                Ok(Exhausted::Yes(target, observation)) => due.push((*target, observation)),
                Err(error) => outcomes.push(Outcome { name, result: Err(error) }),
            }
        }
        let (targets, observations): (Vec<KillTarget>, Vec<_>) = due.into_iter().unzip();
        let before: Vec<_> = targets.iter().map(|target| target.name.clone()).zip(observations).collect();
        let began = Instant::now();
        let killed = self.kill_switch.kill_targets(targets);
        let recordings = killed.into_iter().map(|killed| {
            let found = before.iter().find(|(name, _)| *name == killed.target.name);
            let before = found.map_or(Observation::Unknown, |(_, observation)| *observation);
            Recording { killed, why: why.clone(), before }
        });
        outcomes.extend(self.record_all(recordings, began.elapsed(), principal));
        outcomes.sort_by(|one, other| one.name.cmp(&other.name));
        outcomes
    }

    /// As [`super::Projects::resume`].
    pub(super) fn resume(
        &self,
        name: &ProjectName,
        replace: Replace,
        principal: &Principal,
    ) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        match self.prepare_resumption(name, replace, principal) {
            Ok(Prepared::Begun(intent, observation)) => {
                self.ports.phase(Phase::Intended);
                let project = self.reconciler.reactivate(*intent, replace, principal)?;
                Ok(self.after(project, observation))
            }
            Ok(Prepared::AsItIs(project, observation)) => Ok(self.after(*project, observation)),
            Err(error) => Err(self.ports.refused(principal, Operation::Resume.as_str(), name, error)),
        }
    }

    /// Records kills, several at a time, after a first one that finds out whether the ledger is held.
    fn record_all(
        &self,
        recordings: impl Iterator<Item = Recording>,
        took: Duration,
        principal: &Principal,
    ) -> Vec<Outcome> {
        let waits = Waits::after(took);
        let mut named = recordings.map(|recording| (recording.killed.target.name.clone(), recording));
        let mut outcomes = Vec::new();
        if let Some((name, first)) = named.next() {
            outcomes.push(Outcome { name, result: self.record(first, &waits, principal) });
        }
        outcomes.extend(each_item(named.collect(), |recording| self.record(recording, &waits, principal)));
        outcomes.sort_by(|one, other| one.name.cmp(&other.name));
        outcomes
    }

    /// Records one kill, and says what of it could not be recorded.
    fn record(&self, recording: Recording, waits: &Waits, principal: &Principal) -> Result<ProjectState, Error> {
        let Recording { killed: Killed { target, answer, is_halted, request_ids }, why, before } = recording;
        let name = target.name.clone();
        let recorded = match answer {
            Answer::OtherBackend => {
                let error = Error::WrongBackend { theirs: target.backend, ours: self.ports.backend.name() };
                return Err(self.ports.refused(principal, SUSPEND, &name, error));
            }
            Answer::Disabled if is_halted => {
                let recorded = self.record_disabled(&target, &request_ids, &why, waits, principal);
                recorded.map_err(|error| {
                    let is_recorded = !is_not_recorded(&error);
                    if is_recorded { error } else { Error::NotRecorded { name, why: Box::new(error) } }
                })
            }
            Answer::Failed(error) => self.record_failure(&target, error, why, waits, principal),
            // Without a halt, an operation that was under way may have enabled another key since.
            Answer::Disabled | Answer::NoResource => self.record_unknown(&target, why, waits, principal),
        };
        Ok(self.after(recorded?, before))
    }

    fn record_disabled(
        &self,
        target: &KillTarget,
        request_ids: &[String],
        why: &Value,
        waits: &Waits,
        principal: &Principal,
    ) -> Result<Project, Error> {
        let attempt =
            || waits.locked(&self.ports, target, || self.write_rows(target, request_ids, why, waits, principal));
        match attempt() {
            Err(Error::Ledger(error)) if !error.is_locked() && self.ports.ledger.halts().release_reserve() => attempt(),
            recorded => recorded,
        }
    }

    /// Writes the intent and the outcome of a suspension that has happened. The caller holds the project's lock.
    fn write_rows(
        &self,
        target: &KillTarget,
        request_ids: &[String],
        why: &Value,
        waits: &Waits,
        principal: &Principal,
    ) -> Result<Project, Error> {
        let project = self.still_live(target)?;
        let mut intent = match self.ports.ledger.journal().open_intent(&project.id)? {
            // An operation that was halted recorded it, and may have left a file behind.
            None if project.status == Status::Suspended => {
                let _ = self.ports.delivery.sweep(&project.env_file);
                return Ok(project);
            }
            Some(open) if open.operation == Operation::Suspend => open,
            Some(open) if open.operation == Operation::Teardown => {
                return self.settled(&target.name, Replace::OursOnly, principal);
            }
            _ => self.begin(&target.name, Operation::Suspend, why.clone(), principal)?,
        };
        intent.request_ids.extend_from_slice(request_ids);
        self.ports.phase(Phase::Intended);
        let tidied = self.reconciler.remove_variables(intent, waits.env_file.left(), principal);
        if let Err(Error::NotWithdrawn { why, .. }) = &tidied
            && matches!(**why, Error::EnvFile(EnvFileError::Locked { .. }))
        {
            waits.env_file.use_up();
        }
        tidied
    }

    /// Records that the backend did not disable a key, or may not have.
    fn record_failure(
        &self,
        target: &KillTarget,
        error: BackendError,
        why: Value,
        waits: &Waits,
        principal: &Principal,
    ) -> Result<Project, Error> {
        let name = &target.name;
        let failed = waits.locked(&self.ports, target, || {
            if error.is_definite() {
                self.reconciler.lift_halt(&target.id)?;
                self.settled(name, Replace::OursOnly, principal)?;
            }
            self.begin(name, Operation::Suspend, why, principal)
        });
        let intent = match failed {
            Ok(intent) => intent,
            Err(unrecorded) if is_not_recorded(&unrecorded) => {
                return Err(Error::NotSuspended { name: name.clone(), why: Box::new(error.into()) });
            }
            Err(other) => return Err(other),
        };
        self.ports.phase(Phase::Intended);
        Err(self.reconciler.not_disabled(intent, error, principal))
    }

    /// Suspends a project under its lock, as its resource is not known or no operation stands back: what is open is
    /// looked up, and its key withheld.
    fn record_unknown(
        &self,
        target: &KillTarget,
        why: Value,
        waits: &Waits,
        principal: &Principal,
    ) -> Result<Project, Error> {
        let name = &target.name;
        let settled = waits.locked(&self.ports, target, || {
            let project = self.settled(name, Replace::OursOnly, principal)?;
            if project.status == Status::Suspended {
                let _ = self.ports.delivery.sweep(&project.env_file);
                return Ok(project);
            }
            let intent = self.begin(name, Operation::Suspend, why, principal)?;
            self.reconciler.disable_key(intent, principal)
        });
        settled.map_err(|error| {
            if is_not_recorded(&error) {
                return Error::NotSuspended { name: name.clone(), why: Box::new(error) };
            }
            self.ports.refused(principal, SUSPEND, name, error)
        })
    }

    fn prepare_resumption(
        &self,
        name: &ProjectName,
        replace: Replace,
        principal: &Principal,
    ) -> Result<Prepared, Error> {
        let mut project = self.settled(name, replace, principal)?;
        if project.status != Status::Suspended && self.ports.ledger.halts().is_requested(&project.id)? {
            project = self.reconciler.record_kill(&project, principal)?;
        }
        // A kill from here on has another number, and wins.
        let number = self.ports.ledger.halts().number(&project.id)?;
        let observation = self.metered(&project);
        if is_used_up(&project, observation) {
            return Err(Error::CapReached { name: name.clone(), cap: project.cap });
        }
        let is_stopped = matches!(observation, Observation::Present { suspended: true, .. });
        if project.status != Status::Suspended && !is_stopped {
            return Ok(Prepared::AsItIs(Box::new(project), observation)); // it was never suspended
        }
        self.ports.can_deliver(&project, replace)?;
        let intent = self.begin(name, Operation::Resume, json!({}), principal)?;
        if let Some(number) = number {
            self.ports.ledger.halts().resume(&project.id, number)?;
        }
        Ok(Prepared::Begun(Box::new(intent), observation))
    }

    /// Tells whether the cap of a live project is used up by now.
    fn exhausted(&self, name: &ProjectName) -> Result<Exhausted, Error> {
        let project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?;
        if project.status == Status::Suspended {
            return Ok(Exhausted::No(Box::new(self.observer.at_hand(project))));
        }
        let observation = self.metered(&project);
        let mut targets = self.ports.ledger.halts().targets(Some(name))?;
        match targets.pop().filter(|target| target.id == project.id) {
            Some(target) if is_used_up(&project, observation) => Ok(Exhausted::Yes(Box::new(target), observation)),
            _ => Ok(Exhausted::No(Box::new(self.after(project, observation)))),
        }
    }

    fn still_live(&self, target: &KillTarget) -> Result<Project, Error> {
        let project = self.ports.live(&target.name)?.filter(|project| project.id == target.id);
        project.ok_or_else(|| self.ports.missing(&target.name))
    }

    /// Returns the live project of that name after reconciling it.
    fn settled(&self, name: &ProjectName, replace: Replace, principal: &Principal) -> Result<Project, Error> {
        let project = self.ports.live(name)?.ok_or_else(|| self.ports.missing(name))?;
        match self.reconciler.reconcile_open_replacing(&project, replace, principal)? {
            Some(Reconciled::Open { why }) => Err(why),
            Some(_) => self.ports.live(name)?.ok_or_else(|| self.ports.missing(name)),
            None => Ok(project),
        }
    }

    fn begin(
        &self,
        name: &ProjectName,
        operation: Operation,
        detail: Value,
        principal: &Principal,
    ) -> Result<Intent, Error> {
        let event = self.ports.event(principal, operation.as_str(), Verdict::Intended, detail);
        let begun = self.ports.ledger.journal().begin(name, operation, &OperationId::random()?, &event)?;
        begun.ok_or_else(|| self.ports.missing(name))
    }

    /// Asks the backend for the usage of a project, unless it cannot know.
    fn metered(&self, project: &Project) -> Observation {
        match self.ports.backend.metering() {
            Metering::None => Observation::Unknown,
            Metering::Local | Metering::Remote => {
                let asked: Vec<_> = project.resource.iter().cloned().collect();
                let observed = self.ports.wait(self.ports.backend.observe(Scope::Resources(&asked)));
                observed.map_or(Observation::Unknown, |observed| observed.first().into())
            }
        }
    }

    /// Returns the state after the operation, with the usage that was reported before it.
    fn after(&self, project: Project, before: Observation) -> ProjectState {
        match (self.ports.backend.metering(), before) {
            (Metering::Remote, Observation::Present { usage, .. }) => {
                self.observer.state_of(project, Observation::Present { suspended: false, usage })
            }
            _ => self.observer.at_hand(project),
        }
    }
}

/// A kill that is to be recorded.
struct Recording {
    killed: Killed,
    why: Value,
    /// What the backend reported before it.
    before: Observation,
}

/// Whether a cap is used up, with what a suspension needs then.
enum Exhausted {
    No(Box<ProjectState>),
    Yes(Box<KillTarget>, Observation),
}

/// A checked operation, with what the backend reported during the check.
enum Prepared {
    /// There is nothing to do.
    AsItIs(Box<Project>, Observation),
    Begun(Box<Intent>, Observation),
}

fn is_used_up(project: &Project, observation: Observation) -> bool {
    let Observation::Present { usage: Some(usage), .. } = observation else { return false };
    usage >= project.cap.micro_usd()
}

/// Whether the ledger does not have it: another process holds it or the project, or it cannot be written.
fn is_not_recorded(error: &Error) -> bool {
    match error {
        Error::ProjectBusy | Error::File(_) | Error::NoRandomness(_) => true,
        Error::Ledger(error) => !matches!(error, LedgerError::Moved { .. }),
        _ => false,
    }
}

const SUSPEND: &str = Operation::Suspend.as_str();
