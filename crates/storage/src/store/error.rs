//! Why a store could not be used.

use std::error::Error;

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit};
use files::fs::FsError;

use super::sqlite::Difference;

/// A failure of a database, in the same terms for every database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A constraint refused a row, such as a second one under a unique key.
    #[error("the database refused a row: {0}")]
    Conflict(#[source] Cause),
    /// The database cannot be read, or contradicts itself.
    #[error("the database is damaged: {0}")]
    Damaged(#[source] Cause),
    #[error(transparent)]
    File(#[from] FsError),
    /// A file of the database that another user or program has put there.
    #[error("`{name}` is no database file of ours: {why}")]
    ForeignFile { name: String, why: &'static str },
    /// Tables, triggers or views that this program did not make.
    #[error("the database is not as this program makes it: {0}")]
    ForeignSchema(Difference),
    #[error("another process holds the database for too long")]
    Locked,
    /// A column has another type than the statement's reader expects.
    #[error("the database holds something unreadable in column {column} of a row")]
    Mistyped { column: usize },
    #[error("the database was written by a newer version of this program (schema {found}, this version reads {known})")]
    Newer { found: usize, known: usize },
    /// The file is on a file system that hosts share, and another one has used it within a minute.
    #[error("the database is in use on another host: {host}, process {process}")]
    OnAnotherHost { host: String, process: u32 },
    #[error("the database does not answer: {0}")]
    Unavailable(#[source] Cause),
    /// A stored word that this program does not know: it was edited by hand.
    #[error("the database holds something unreadable in `{column}`")]
    Unreadable { column: &'static str },
}

impl Diagnostic for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "ledger_damaged",
            Self::ForeignFile { .. } => "ledger_foreign_file",
            Self::ForeignSchema(_) => "ledger_foreign_schema",
            Self::Newer { .. } => "ledger_newer",
            Self::OnAnotherHost { .. } => "ledger_on_another_host",
            Self::Conflict(_) | Self::File(_) | Self::Locked | Self::Unavailable(_) => "ledger_unavailable",
            Self::Mistyped { .. } | Self::Unreadable { .. } => "ledger_unreadable",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::Damaged(_) | Self::Mistyped { .. } | Self::Unreadable { .. } => channel.person(
                "end every server of this folder and put a backup of ledger.db into the state folder, without the files \
                 ledger.db-wal and ledger.db-shm; the projects in it are still billed, and Stripe shows them",
            ),
            Self::Conflict(_) | Self::File(_) | Self::Unavailable(_) => {
                channel.person("check that the state folder has free space and is writable")
            }
            Self::Locked => channel.select(
                "try again; if it stays locked, ask the user to end the process that is stuck".to_owned(),
                "try again; if it stays locked, end the process that is stuck".to_owned(),
            ),
            Self::ForeignFile { .. } => channel.person(
                "find out who put it there, and move it out of the state folder; a ledger.db of your own is a regular \
                 file with one name that belongs to you",
            ),
            Self::ForeignSchema(_) => channel.person(
                "find out who changed the file; if it came with a repository, move the state folder away; else end every \
                 server and put a backup of ledger.db into the state folder, without ledger.db-wal and ledger.db-shm; the \
                 projects in it are still billed, and Stripe shows them",
            ),
            Self::Newer { .. } => channel.person("update this program"),
            Self::OnAnotherHost { .. } => channel.person(
                "end the program on that host, and wait a minute if it did not end by itself; or name a folder that only \
                 this host uses with `--state-dir`",
            ),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Failure
    }
}

/// The database's own error.
pub type Cause = Box<dyn Error + Send + Sync>;
