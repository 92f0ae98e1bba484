//! How long the recording of kills waits for other processes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use storage::ledger::{KillTarget, LedgerError};

use super::{Phase, Ports};
use crate::error::Error;

/// How long the recording of one or many kills waits for others. What one has waited for in full, no other waits for.
pub(super) struct Waits {
    project_lock: Wait,
    /// Its ledger limits each wait itself.
    ledger: Wait,
    pub env_file: Wait,
}

/// A wait for one thing that others may hold.
pub(super) struct Wait {
    at_most: Duration,
    is_used_up: AtomicBool,
}

impl Waits {
    /// An operation that a kill has halted ends its own call, and makes one more to the backend before it unlocks the project.
    pub(super) fn after(kill: Duration) -> Self {
        let wait = |at_most| Wait { at_most, is_used_up: AtomicBool::new(false) };
        Self {
            project_lock: wait((kill * 2 + PROJECT_LOCK).min(LONGEST_PROJECT_LOCK)),
            ledger: wait(Duration::ZERO),
            env_file: wait(ENV_FILE),
        }
    }

    /// Does `work` under the project's lock.
    pub(super) fn locked<T>(
        &self,
        ports: &Ports,
        target: &KillTarget,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.ledger.is_used_up.load(Ordering::Relaxed) {
            return Err(LedgerError::locked().into());
        }
        let Some(_lock) = ports.try_lock_project(&target.name, self.project_lock.left())? else {
            self.project_lock.use_up();
            return Err(Error::ProjectBusy);
        };
        ports.phase(Phase::Locked);
        let done = work();
        if matches!(&done, Err(Error::Ledger(error)) if error.is_locked()) {
            self.ledger.use_up();
        }
        done
    }
}

impl Wait {
    /// How long the next one waits.
    pub(super) fn left(&self) -> Duration {
        if self.is_used_up.load(Ordering::Relaxed) { Duration::ZERO } else { self.at_most }
    }

    pub(super) fn use_up(&self) {
        self.is_used_up.store(true, Ordering::Relaxed);
    }
}

const PROJECT_LOCK: Duration = Duration::from_secs(1);
const LONGEST_PROJECT_LOCK: Duration = Duration::from_secs(5);

/// Writers hold the env file for milliseconds.
const ENV_FILE: Duration = Duration::from_secs(2);
