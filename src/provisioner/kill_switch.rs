//! The kill: disables keys before anything else is done about them.
//!
//! It needs no project lock, no free disk, no writable ledger and no env file. It leaves a halt request, which every other
//! operation on the project reads after locking, before acting and before delivering, and then disables the keys at the
//! backend, all at once. Its caller records that afterwards.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use backends::{BackendError, collect_request_ids};
use domain::{name::ProjectName, project::ProjectId};
use files::fs;
use storage::ledger::KillTarget;

use super::{Phase, Ports};
use crate::error::Error;

/// Disables keys.
pub(super) struct KillSwitch {
    pub ports: Arc<Ports>,
}

/// A project whose key was to be disabled.
pub(super) struct Killed {
    pub target: KillTarget,
    pub answer: Answer,
    /// Whether operations that are under way will stand back.
    pub is_halted: bool,
    pub request_ids: Vec<String>,
}

/// What the backend did about it.
pub(super) enum Answer {
    /// The key is disabled.
    Disabled,
    Failed(BackendError),
    /// No resource is known yet. An operation that is under way withholds the key.
    NoResource,
    /// The project is another backend's.
    OtherBackend,
}

impl Killed {
    fn without_a_call(target: KillTarget, answer: Answer) -> Self {
        Self { target, answer, is_halted: true, request_ids: Vec::new() }
    }
}

impl KillSwitch {
    /// Disables the keys of every live project, or of the one of that name. Returns them, and how long the backend took.
    ///
    /// # Errors
    /// When the ledger cannot be read; nothing was done then.
    pub(super) fn kill(&self, name: Option<&ProjectName>) -> Result<(Vec<Killed>, Duration), Error> {
        let ledger = &self.ports.ledger;
        if !ledger.exists() {
            return Ok((Vec::new(), Duration::ZERO));
        }
        let mut began = Instant::now();
        let mut killed = self.kill_targets(ledger.halts().targets(name)?);
        let mut took = began.elapsed();
        // A purchase that was recorded meanwhile is a live project, too.
        for _ in 0..ROUNDS {
            let mut later = if name.is_none() { ledger.halts().targets(None)? } else { Vec::new() };
            later.retain(|target| killed.iter().all(|known| known.target.id != target.id));
            if later.is_empty() {
                break;
            }
            began = Instant::now();
            killed.extend(self.kill_targets(later));
            took = took.max(began.elapsed());
        }
        Ok((killed, took))
    }

    /// Requests the halt of these projects, and disables their keys.
    pub(super) fn kill_targets(&self, targets: Vec<KillTarget>) -> Vec<Killed> {
        let ours = self.ports.backend.name();
        let (targets, others): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| target.backend == ours);
        let other = |target| Killed::without_a_call(target, Answer::OtherBackend);
        let mut killed: Vec<Killed> = others.into_iter().map(other).collect();
        if !targets.is_empty() {
            self.make_room();
            let unhalted = self.request_halt(&targets);
            killed.extend(self.disable(targets).into_iter().map(|killed| {
                let is_halted = !unhalted.contains(&killed.target.id);
                Killed { is_halted, ..killed }
            }));
        }
        killed
    }

    /// Requests that every other operation on these projects stands back; returns those that this failed for.
    fn request_halt(&self, targets: &[KillTarget]) -> Vec<ProjectId> {
        self.ports.phase(Phase::Checked);
        let failed = targets.iter().filter(|target| self.ports.ledger.halts().request(target).is_err());
        failed.map(|target| target.id.clone()).collect()
    }

    /// Releases the space that is kept for a kill, where there is no other.
    fn make_room(&self) {
        if fs::free_space(self.ports.state.path()).is_some_and(|free| free < TOO_LITTLE) {
            self.ports.ledger.halts().release_reserve();
        }
    }

    /// Disables the keys at the backend, all at once, while the halt requests reach the disk.
    fn disable(&self, targets: Vec<KillTarget>) -> Vec<Killed> {
        let mut killed = Vec::with_capacity(targets.len());
        let mut targets = targets.into_iter();
        thread::scope(|scope| {
            // Where this fails, a power loss is needed to lose the requests.
            scope.spawn(|| drop(self.ports.ledger.halts().sync()));
            loop {
                let calls = targets.by_ref().take(CONCURRENCY).map(|target| scope.spawn(|| self.disable_one(target)));
                let calls: Vec<_> = calls.collect();
                if calls.is_empty() {
                    break;
                }
                killed.extend(calls.into_iter().filter_map(|call| call.join().ok()));
            }
        });
        self.ports.phase(Phase::Acted);
        killed
    }

    fn disable_one(&self, target: KillTarget) -> Killed {
        let Some(resource) = &target.resource else {
            return Killed::without_a_call(target, Answer::NoResource);
        };
        if target.is_disabled() {
            return Killed::without_a_call(target, Answer::Disabled);
        }
        let (outcome, request_ids) = self.ports.wait(collect_request_ids(self.ports.backend.suspend(resource)));
        let answer = outcome.map_or_else(Answer::Failed, |()| Answer::Disabled);
        Killed { target, answer, is_halted: true, request_ids }
    }
}

/// How often new projects are looked for after a kill of all. An agent that buys on cannot keep it busy.
const ROUNDS: usize = 3;

/// How many calls are made to the backend at once.
const CONCURRENCY: usize = 64;

/// In bytes; with less, a database cannot take the rows of a kill.
const TOO_LITTLE: u64 = 512 * 1024;
