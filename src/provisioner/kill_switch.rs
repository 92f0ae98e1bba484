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
use domain::name::ProjectName;
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
        let other = |target| Killed { target, answer: Answer::OtherBackend, request_ids: Vec::new() };
        let mut killed: Vec<Killed> = others.into_iter().map(other).collect();
        if !targets.is_empty() {
            self.make_room();
            self.request_halt(&targets);
            killed.extend(self.disable(targets));
        }
        killed
    }

    /// Requests that every other operation on these projects stands back.
    pub(super) fn request_halt(&self, targets: &[KillTarget]) {
        self.ports.phase(Phase::Checked);
        for target in targets {
            // Where this fails, the key is disabled all the same, and recording it takes the project's lock.
            let _ = self.ports.ledger.halts().request(target);
        }
    }

    /// Releases the space that is kept for a kill, where there is no other.
    pub(super) fn make_room(&self) {
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
            return Killed { target, answer: Answer::NoResource, request_ids: Vec::new() };
        };
        if target.is_disabled() {
            return Killed { target, answer: Answer::Disabled, request_ids: Vec::new() };
        }
        let (outcome, request_ids) = self.ports.wait(collect_request_ids(self.ports.backend.suspend(resource)));
        Killed { target, answer: outcome.map_or_else(Answer::Failed, |()| Answer::Disabled), request_ids }
    }
}

/// How often new projects are looked for after a kill of all. An agent that buys on cannot keep it busy.
const ROUNDS: usize = 3;

/// How many calls are made to the backend at once.
const CONCURRENCY: usize = 64;

/// In bytes; with less, a database cannot take the rows of a kill.
const TOO_LITTLE: u64 = 512 * 1024;
