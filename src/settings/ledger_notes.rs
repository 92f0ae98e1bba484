//! The ledger as the store of one backend's notes.

use std::sync::Arc;

use backends::{BackendNotes, CommittedCaps, NotesError};
use domain::money::Cents;
use storage::ledger::Ledger;

/// The notes of one backend in the ledger, and the caps of its projects. Reading creates no ledger.
pub struct LedgerNotes {
    ledger: Arc<Ledger>,
    backend: &'static str,
}

impl LedgerNotes {
    /// `backend` is the name by which the ledger knows the backend.
    pub fn new(ledger: Arc<Ledger>, backend: &'static str) -> Self {
        Self { ledger, backend }
    }
}

impl BackendNotes for LedgerNotes {
    fn get(&self, key: &str) -> Result<Option<String>, NotesError> {
        if !self.ledger.exists() {
            return Ok(None);
        }
        self.ledger.kv().get_note(self.backend, key).map_err(NotesError::new)
    }

    fn put(&self, key: &str, value: &str) -> Result<(), NotesError> {
        self.ledger.kv().put_note(self.backend, key, value).map_err(NotesError::new)
    }

    fn put_if_absent(&self, key: &str, value: &str) -> Result<String, NotesError> {
        self.ledger.kv().put_note_if_absent(self.backend, key, value).map_err(NotesError::new)
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, NotesError> {
        if !self.ledger.exists() {
            return Ok(Vec::new());
        }
        self.ledger.kv().list_notes(self.backend, prefix).map_err(NotesError::new)
    }
}

impl CommittedCaps for LedgerNotes {
    fn committed_with(&self, provider: &str) -> Result<Cents, NotesError> {
        self.ledger.projects().committed_with(self.backend, provider).map_err(NotesError::new)
    }
}
