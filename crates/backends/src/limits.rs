//! Monthly limits of providers, for backends that can limit providers and not projects.
//!
//! The limit of a provider is the sum of the caps of our live projects with it. It is raised before anything new can
//! bill, and lowered once something has ended. The limit is noted before a raise and after a lowering, so that after a
//! crash at any point a limit that is too high shows as one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use domain::money::Cents;
use files::fs::Lock;

use super::{BackendError, BackendNotes, Cause, CommittedCaps, NotesError, blocking::blocking};

/// The limits that one backend has set for this workspace.
pub struct Limits {
    notes: Arc<dyn BackendNotes>,
    caps: Arc<dyn CommittedCaps>,
    lock: PathBuf,
}

/// A limit that is about to be set. No other limit changes while it exists.
#[must_use = "set the limit at Stripe, then call `Limits::confirm`"]
pub struct LimitChange {
    pub provider: String,
    pub limit: Cents,
    previous: Option<Cents>,
    _lock: Lock,
}

impl Limits {
    /// `lock` is a file of the state folder.
    pub fn new(notes: Arc<dyn BackendNotes>, caps: Arc<dyn CommittedCaps>, lock: PathBuf) -> Self {
        Self { notes, caps, lock }
    }

    /// Begins to set the limit of a provider. A raise is noted before this returns.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`], also if another call keeps the lock.
    pub async fn change(&self, provider: &str) -> Result<LimitChange, BackendError> {
        let (notes, caps, lock) = (Arc::clone(&self.notes), Arc::clone(&self.caps), self.lock.clone());
        let provider = provider.to_owned();
        let work = move || {
            let lock = Lock::on_file(&lock, LOCK_TIMEOUT).map_err(unavailable)?;
            let lock = lock.ok_or_else(|| unavailable("another call is setting limits"))?;
            let previous = noted(&*notes, &provider)?;
            let limit = caps.committed_with(&provider)?;
            if previous.is_none_or(|previous| limit > previous) {
                note(&*notes, &provider, limit)?;
            }
            Ok(LimitChange { provider, limit, previous, _lock: lock })
        };
        blocking(work, panicked).await
    }

    /// Notes that Stripe has accepted the limit.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`]
    pub async fn confirm(&self, change: LimitChange) -> Result<(), BackendError> {
        if change.previous.is_none_or(|previous| change.limit >= previous) {
            return Ok(());
        }
        let notes = Arc::clone(&self.notes);
        blocking(move || Ok(note(&*notes, &change.provider, change.limit)?), panicked).await
    }

    /// Whether a limit differs from the sum of caps. Takes no lock.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`]
    pub async fn has_drift(&self) -> Result<bool, BackendError> {
        Ok(self.drifted().await?.is_some())
    }

    /// Begins to set the next limit that differs from the sum of caps.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`], also if another call keeps the lock.
    pub async fn next_drift(&self) -> Result<Option<LimitChange>, BackendError> {
        match self.drifted().await? {
            Some(provider) => self.change(&provider).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns a provider whose limit differs from the sum of caps.
    async fn drifted(&self) -> Result<Option<String>, BackendError> {
        let (notes, caps) = (Arc::clone(&self.notes), Arc::clone(&self.caps));
        let work = move || {
            for (provider, limit) in notes.list(PREFIX)? {
                if caps.committed_with(&provider)?.cents().to_string() != limit {
                    return Ok(Some(provider));
                }
            }
            Ok(None)
        };
        blocking(work, panicked).await
    }
}

fn noted(notes: &dyn BackendNotes, provider: &str) -> Result<Option<Cents>, NotesError> {
    let text = notes.get(&format!("{PREFIX}{provider}"))?;
    Ok(text.and_then(|text| text.parse().ok()).map(Cents::sum_of))
}

fn note(notes: &dyn BackendNotes, provider: &str, limit: Cents) -> Result<(), NotesError> {
    notes.put(&format!("{PREFIX}{provider}"), &limit.cents().to_string())
}

fn panicked() -> BackendError {
    unavailable("reading the limits failed unexpectedly")
}

fn unavailable(why: impl Into<Cause>) -> BackendError {
    BackendError::Unavailable { why: why.into() }
}

/// Keys of the notes: `limit/supermemory`, in cents.
const PREFIX: &str = "limit/";

/// How long a call waits for another one that is setting a limit.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
