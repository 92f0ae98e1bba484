//! Pages of the list of projects.

use std::fmt;

use backends::Observed;
use domain::project::ResourceId;
use storage::ledger::Visibility;

use crate::{error::Error, project_state::ProjectState};

/// Which part of the list to return.
#[derive(Clone, Debug)]
pub struct Listing {
    pub(super) visibility: Visibility,
    pub(super) limit: u32,
    pub(super) after: Option<Cursor>,
}

/// The end of a page, from which the next one goes on. It reads `after-<number>`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor(pub(super) i64);

/// Some of the projects, oldest first.
#[derive(Debug)]
pub struct ProjectPage {
    pub projects: Vec<ProjectState>,
    pub live: u64,
    pub torn_down: u64,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
    /// Why the backend could not be asked, if so.
    pub unobserved: Option<Error>,
}

/// The size of a page without a limit in the request.
pub const USUAL_PAGE: u32 = 50;

pub const LARGEST_PAGE: u32 = 200;

impl Listing {
    /// Parses the limit and the cursor of a request.
    ///
    /// # Errors
    /// [`Error::InvalidLimit`] or [`Error::InvalidCursor`].
    pub fn new(visibility: Visibility, limit: u32, cursor: Option<&str>) -> Result<Self, Error> {
        if !(1..=LARGEST_PAGE).contains(&limit) {
            return Err(Error::InvalidLimit);
        }
        let after = cursor.map(|cursor| Cursor::parse(cursor).ok_or(Error::InvalidCursor)).transpose()?;
        Ok(Self { visibility, limit, after })
    }

    /// The first page, as large as it may be.
    pub fn first(visibility: Visibility) -> Self {
        Self { visibility, limit: LARGEST_PAGE, after: None }
    }
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let row = text.strip_prefix(CURSOR)?.parse().ok();
        row.filter(|row| *row > 0).map(Self)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CURSOR}{}", self.0)
    }
}

pub(super) fn find<'a>(observed: &'a [Observed], resource: &ResourceId) -> Option<&'a Observed> {
    observed.iter().find(|observed| observed.resource == *resource)
}

/// Distinguishes our cursors from other input.
const CURSOR: &str = "after-";
