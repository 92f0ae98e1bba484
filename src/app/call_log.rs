//! The audit rows of calls.
//!
//! A call that may change something has its row before its answer. The rows of reads are collected and written later,
//! together, so that a read costs no write; a process that is killed in between loses them.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::sync::Notify;

use super::repeats::Repeats;
use crate::provisioner::{Access, Called, Provisioner};

/// Receives what could not be recorded, for people to read.
pub type WarningSink = Arc<dyn Fn(&str) + Send + Sync>;

/// The rows of answered calls that are not written yet.
pub struct CallLog {
    services: Arc<Provisioner>,
    waiting: Mutex<Vec<Called>>,
    repeats: Mutex<Repeats>,
    /// Held while writing, so that the last flush leaves no row behind.
    writing: tokio::sync::Mutex<()>,
    changed: Notify,
    warn: WarningSink,
    /// A broken head record does not repair itself, so it is reported once.
    break_reported: AtomicBool,
}

impl CallLog {
    pub fn new(services: Arc<Provisioner>, warn: WarningSink) -> Self {
        Self {
            services,
            waiting: Mutex::default(),
            repeats: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            warn,
            break_reported: AtomicBool::new(false),
        }
    }

    /// Adds a row; one of a write is written at once, unless `is_deferred`: then the next flush writes it. Of equal calls
    /// without an effect, the first has a row, and the others of the same minute have one together.
    pub async fn add(&self, called: Called, is_deferred: bool) {
        let is_write = called.access == Access::Write;
        let due = self.repeats().add(called, Instant::now());
        if due.is_empty() {
            return self.changed.notify_one();
        }
        let waiting = {
            let mut waiting = self.waiting();
            waiting.extend(due);
            waiting.len()
        };
        if (is_write && !is_deferred) || waiting >= MAX_WAITING {
            let _alone = self.writing.lock().await;
            self.write(false).await;
        }
        self.changed.notify_one();
    }

    /// Writes the rows that wait, and seals the audit up to the last of them if `seal`.
    pub async fn flush(&self, seal: bool) {
        let _alone = self.writing.lock().await;
        let due = self.repeats().due(Instant::now());
        self.waiting().extend(due);
        self.write(seal).await;
    }

    /// Writes all rows, also of calls that are still being counted, and seals the audit.
    pub async fn close(&self) {
        let _alone = self.writing.lock().await;
        let rest = self.repeats().rest();
        self.waiting().extend(rest);
        self.write(true).await;
    }

    /// Returns once a row was added since the last time.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn write(&self, seal: bool) {
        let calls = mem::take(&mut *self.waiting());
        let services = Arc::clone(&self.services);
        let work = tokio::task::spawn_blocking(move || {
            if !calls.is_empty() {
                services.audit.note_calls(&calls).map_err(|error| ("calls are missing from the audit", error))?;
            }
            if seal { services.audit.seal().map_err(|error| ("the audit is not sealed", error)) } else { Ok(None) }
        });
        // The answer stands: every effect has rows of its own, written before it.
        match work.await {
            Ok(Err((problem, error))) => (self.warn)(&format!("{problem}: {error}")),
            Ok(Ok(Some(broken))) if !self.break_reported.swap(true, Ordering::Relaxed) => {
                (self.warn)(&format!("{broken}: run `stripe-projects-mcp audit --verify`"));
            }
            _ => {}
        }
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Called>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that only reads waits for its own rows once in so many calls.
const MAX_WAITING: usize = 1_000;
