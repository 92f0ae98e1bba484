//! Searches files, file names and git history for leaked credentials.
//!
//! This module holds no credential: [`Matcher`] has the fingerprint and mask of each from the ledger. Results are places,
//! never contents. A path that is shown goes through [`Matcher::censored`], because a file name can contain a key.

mod history;
mod matcher;
mod names;
mod places;
mod stop;
mod stream;
mod walk;

use std::path::PathBuf;

pub use history::{HistoryLocation, git_folder_of, repository_of, search_history};
pub use matcher::{CONTEXT, Hit, KnownKey, Matcher, Window};
pub use places::Homes;
pub use stop::Stop;
pub use stream::{Lines, Occurrence, Stream};
pub use walk::{ReadCache, WalkReport, walk};

/// One credential in one place, with the number of its occurrences.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Leak {
    pub place: Place,
    /// The line of the first occurrence, from 1; `None` in a name.
    pub line: Option<u64>,
    /// The number of occurrences.
    pub count: u64,
    /// The index in the list that the matcher was created from.
    pub index: usize,
}

/// The place of a credential.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In the history of a repository.
    History(HistoryLocation),
    /// In the name of a file or folder.
    Name(PathBuf),
}
