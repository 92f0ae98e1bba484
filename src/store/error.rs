//! Why a store could not be used.

use std::error::Error;

use crate::fs::FsError;

/// A failure of a database, independent of which database it is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A constraint refused a row, such as a second one under a unique key.
    #[error("the database refused a row: {0}")]
    Conflict(Cause),
    /// The database cannot be read, or contradicts itself.
    #[error("the database is damaged: {0}")]
    Damaged(Cause),
    #[error(transparent)]
    File(#[from] FsError),
    #[error("another process holds the database for too long")]
    Locked,
    /// A column has another type than the statement's reader expects.
    #[error("the database holds something unreadable in column {column} of a row")]
    Mistyped { column: usize },
    #[error("the database was written by a newer version of this program (schema {found}, this one knows {known})")]
    Newer { found: usize, known: usize },
    #[error("the database does not answer: {0}")]
    Unavailable(Cause),
    /// A stored word that this program does not know: it was edited by hand.
    #[error("the database holds something unreadable in `{column}`")]
    Unreadable { column: &'static str },
}

/// The database's own error.
pub type Cause = Box<dyn Error + Send + Sync>;
