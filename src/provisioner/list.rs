//! List: what is live, what it costs, and what there was.

use std::{fmt, mem};

use super::Provisioner;
use crate::{
    backend::{Observed, Scope},
    error::Error,
    ledger::Visibility,
    name::ProjectName,
    project::{Project, ResourceId},
    project_state::{Observation, ProjectState},
};

/// Which part of the list is wanted.
#[derive(Clone, Debug)]
pub struct Listing {
    visibility: Visibility,
    limit: u32,
    after: Option<Cursor>,
}

/// The end of a page, from which the next one goes on. It reads `after-<number>`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor(i64);

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

/// The size of a page that is asked for without one.
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

impl Provisioner {
    /// Lists projects, oldest first, with what the backend reports about each. Where it does not answer, usage is
    /// unknown and the page says why; a project is never left out.
    pub fn list(&self, listing: &Listing) -> Result<ProjectPage, Error> {
        if !self.ledger.exists() {
            return Ok(ProjectPage { projects: Vec::new(), live: 0, torn_down: 0, next: None, unobserved: None });
        }
        let after = listing.after.map_or(0, |cursor| cursor.0);
        let page = self.ledger.page(listing.visibility, after, listing.limit)?;
        let asked: Vec<ResourceId> = page.projects.iter().filter_map(|project| self.askable(project)).collect();
        let answer =
            if asked.is_empty() { Ok(Vec::new()) } else { self.wait(self.backend.observe(Scope::Resources(&asked))) };
        if let Ok(observed) = &answer {
            let seen = page.projects.iter().filter_map(|project| Some((project, self.askable(project)?)));
            self.observe_usage(seen.filter_map(|(project, resource)| Some((project, find(observed, &resource)?))));
        }
        let sharing = self.sharing()?;
        let projects = page.projects.into_iter().map(|project| {
            let observation = match (&answer, self.askable(&project)) {
                (Ok(observed), Some(resource)) => find(observed, &resource).into(),
                _ => Observation::Unknown,
            };
            self.state_among(project, observation, &sharing)
        });
        Ok(ProjectPage {
            projects: projects.collect(),
            live: page.live,
            torn_down: page.torn_down,
            next: page.next.map(Cursor),
            unobserved: answer.err().map(Error::from),
        })
    }

    /// Lists every project, however many pages there are.
    pub fn list_all(&self, visibility: Visibility) -> Result<ProjectPage, Error> {
        let mut listing = Listing::first(visibility);
        let mut list = self.list(&listing)?;
        while let Some(cursor) = mem::take(&mut list.next) {
            listing.after = Some(cursor);
            let mut page = self.list(&listing)?;
            list.projects.append(&mut page.projects);
            list.next = page.next;
            list.unobserved = list.unobserved.or(page.unobserved);
        }
        Ok(list)
    }

    /// The newest project of that name, live or not.
    pub fn show(&self, name: &ProjectName) -> Result<Option<ProjectState>, Error> {
        if !self.ledger.exists() {
            return Ok(None);
        }
        Ok(self.ledger.newest(name)?.map(|project| self.look(project)))
    }

    /// The resource that our backend can be asked about.
    pub(super) fn askable(&self, project: &Project) -> Option<ResourceId> {
        let ours = project.status.is_live() && project.backend == self.backend.name();
        project.resource.clone().filter(|_| ours)
    }
}

pub(super) fn find<'a>(observed: &'a [Observed], resource: &ResourceId) -> Option<&'a Observed> {
    observed.iter().find(|observed| observed.resource == *resource)
}

/// Tells our cursors from anything else that a client may send.
const CURSOR: &str = "after-";
