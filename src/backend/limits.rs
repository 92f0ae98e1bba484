//! What a provider may bill in a month, where the backend can limit providers and not projects.
//!
//! The limit set for a provider is the sum of the caps of our live projects with it. It is raised before something
//! new can bill, and lowered once something has ended. What was last set is noted in the ledger: before a raise and
//! after a lowering, so that after a crash at any point a limit that is too high shows as one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::task;

use super::BackendError;
use crate::{
    fs::Lock,
    ledger::{Ledger, LedgerError},
    money::Cents,
};

/// The limits that one backend has set for this workspace.
pub struct Limits {
    ledger: Arc<Ledger>,
    backend: &'static str,
    lock: PathBuf,
}

/// A limit that is about to be set. While it lives, nobody else changes one.
#[must_use = "tell Stripe, then say that it is made"]
pub struct Change {
    pub provider: String,
    pub limit: Cents,
    was: Option<Cents>,
    _lock: Lock,
}

impl Limits {
    /// `lock` is a file of the state folder.
    pub fn new(ledger: Arc<Ledger>, backend: &'static str, lock: PathBuf) -> Self {
        Self { ledger, backend, lock }
    }

    /// What the provider's limit is to be now. Before it is set, that it may be higher is noted.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when the ledger or the lock cannot be had.
    pub async fn change(&self, provider: &str) -> Result<Change, BackendError> {
        let (ledger, backend, lock) = (Arc::clone(&self.ledger), self.backend, self.lock.clone());
        let provider = provider.to_owned();
        blocking(move || {
            let lock = Lock::on_file(&lock, TIMEOUT).map_err(|error| unavailable(&error))?;
            let lock = lock.ok_or_else(|| unavailable(&"another call is setting limits"))?;
            let was = noted(&ledger, backend, &provider)?;
            let limit = ledger.projects().committed_with(backend, &provider)?;
            if was.is_none_or(|was| limit > was) {
                note(&ledger, backend, &provider, limit)?;
            }
            Ok(Change { provider, limit, was, _lock: lock })
        })
        .await
    }

    /// Notes that Stripe has taken it.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when the ledger cannot be written.
    pub async fn made(&self, change: Change) -> Result<(), BackendError> {
        if change.was.is_none_or(|was| change.limit >= was) {
            return Ok(());
        }
        let (ledger, backend) = (Arc::clone(&self.ledger), self.backend);
        blocking(move || Ok(note(&ledger, backend, &change.provider, change.limit)?)).await
    }

    /// Whether there are changes still to be made. Waits for nobody.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when the ledger cannot be had.
    pub async fn has_drift(&self) -> Result<bool, BackendError> {
        Ok(self.drifted().await?.is_some())
    }

    /// The changes still to be made, one at a time: limits that are not what the live projects add up to.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub async fn next_drift(&self) -> Result<Option<Change>, BackendError> {
        match self.drifted().await? {
            Some(provider) => self.change(&provider).await.map(Some),
            None => Ok(None),
        }
    }

    /// A provider whose limit is not what its live projects add up to.
    async fn drifted(&self) -> Result<Option<String>, BackendError> {
        let (ledger, backend) = (Arc::clone(&self.ledger), self.backend);
        blocking(move || {
            for (provider, was) in ledger.kv().list_notes(backend, PREFIX)? {
                if ledger.projects().committed_with(backend, &provider)?.cents().to_string() != was {
                    return Ok(Some(provider));
                }
            }
            Ok(None)
        })
        .await
    }
}

fn noted(ledger: &Ledger, backend: &str, provider: &str) -> Result<Option<Cents>, LedgerError> {
    let text = ledger.kv().get_note(backend, &format!("{PREFIX}{provider}"))?;
    Ok(text.and_then(|text| text.parse().ok()).map(Cents::sum_of))
}

fn note(ledger: &Ledger, backend: &str, provider: &str, limit: Cents) -> Result<(), LedgerError> {
    ledger.kv().put_note(backend, &format!("{PREFIX}{provider}"), &limit.cents().to_string())
}

/// Locks and the ledger block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
) -> Result<T, BackendError> {
    task::spawn_blocking(work).await.unwrap_or_else(|_| Err(unavailable(&"the ledger stopped half way")))
}

fn unavailable(why: &impl ToString) -> BackendError {
    BackendError::Unavailable { why: why.to_string() }
}

/// Keys of the notes: `limit/supermemory`, in cents.
const PREFIX: &str = "limit/";

/// How long a call waits for another one that is setting a limit.
const TIMEOUT: Duration = Duration::from_secs(60);
