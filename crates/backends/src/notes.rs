//! What a backend needs from the application: a place for its notes, and the caps that were granted.

use domain::money::Cents;

use super::Cause;

/// The notes that one backend keeps between two processes, by key. Calls block.
///
/// # Contract
/// A note is durable when `put` or `put_if_absent` returns. Reading creates nothing.
pub trait BackendNotes: Send + Sync {
    fn get(&self, key: &str) -> Result<Option<String>, NotesError>;

    /// Writes a note, in place of the one before.
    fn put(&self, key: &str, value: &str) -> Result<(), NotesError>;

    /// Writes a note unless there is one, and returns the note that is there now.
    ///
    /// If two processes race, one wins and both get its value.
    fn put_if_absent(&self, key: &str, value: &str) -> Result<String, NotesError>;

    /// Returns every note whose key begins with `prefix`, as the rest of its key and its value, by key.
    fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, NotesError>;
}

/// The caps of the live projects that one backend holds. Calls block.
pub trait CommittedCaps: Send + Sync {
    /// Returns the sum of the caps with one of Stripe's providers, the `supermemory` of `supermemory/memory`.
    fn committed_with(&self, provider: &str) -> Result<Cents, NotesError>;
}

/// Notes or caps cannot be read or written. The message quotes no note.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotesError(Cause);

impl NotesError {
    pub fn new(cause: impl Into<Cause>) -> Self {
        Self(cause.into())
    }

    pub fn into_cause(self) -> Cause {
        self.0
    }
}
