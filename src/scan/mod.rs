//! The search for leaked credentials: in files, in their names, and in everything that git keeps.
//!
//! No credential is known here; [`Matcher`] has what the ledger keeps of each. What comes out are places, never what
//! stands there, and a path on its way to a reader goes through [`Matcher::censored`], because a name can be a key.

mod history;
mod matcher;
mod names;
mod places;
mod stop;
mod stream;
mod walk;

use std::path::PathBuf;

pub use history::{Past, kept_around, repository_of, search_history};
pub use matcher::{CONTEXT, Hit, Known, Matcher, Window};
pub use places::Homes;
pub use stop::Stop;
pub use stream::{Lines, Occurrence, Stream};
pub use walk::{ReadCache, Walked, walk};

/// One credential in one place, however often it stands there.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Leak {
    pub place: Place,
    /// Of the first occurrence, from 1; `None` in a name.
    pub line: Option<u64>,
    /// How often it stands there.
    pub count: u64,
    /// Its place in the list that the matcher was made of.
    pub known: usize,
}

/// Where a credential stands.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In what a repository keeps.
    History(Past),
    /// In the name of a file or folder.
    Name(PathBuf),
}
