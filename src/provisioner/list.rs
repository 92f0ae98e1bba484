//! List: what is live, what it costs, and what there was.

use super::Provisioner;
use crate::{
    backend::{Observed, Scope},
    error::Error,
    ledger::Visibility,
    name::ProjectName,
    project::{Project, ResourceId},
    view::{ProjectList, ProjectView, Sight},
};

/// Which part of the list is asked for.
#[derive(Clone, Debug)]
pub struct Listing {
    pub visibility: Visibility,
    pub limit: u32,
    /// As an earlier answer gave it out.
    pub cursor: Option<String>,
}

/// A page, when nobody asks for another size.
pub const USUAL_PAGE: u32 = 50;

pub const LARGEST_PAGE: u32 = 200;

impl Provisioner {
    /// Lists projects, oldest first, with what the backend says of each. Where it does not answer, usage is null and
    /// the warning says why; a project is never left out.
    ///
    /// # Errors
    /// [`Error::InvalidLimit`], [`Error::InvalidCursor`], or the ledger's.
    pub fn list(&self, listing: &Listing) -> Result<ProjectList, Error> {
        if !(1..=LARGEST_PAGE).contains(&listing.limit) {
            return Err(Error::InvalidLimit);
        }
        let after = listing.cursor.as_deref().map_or(Ok(0), place)?;
        if !self.ledger.exists() {
            let (projects, next_cursor, warning) = (Vec::new(), None, None);
            return Ok(ProjectList { projects, live_count: 0, torn_down_count: 0, next_cursor, warning });
        }
        let page = self.ledger.projects().page(listing.visibility, after, listing.limit)?;
        let asked: Vec<ResourceId> = page.projects.iter().filter_map(|project| self.askable(project)).collect();
        let answer =
            if asked.is_empty() { Ok(Vec::new()) } else { self.wait(self.backend.observe(Scope::Resources(&asked))) };
        if let Ok(observed) = &answer {
            let seen = page.projects.iter().filter_map(|project| Some((project, self.askable(project)?)));
            self.observe_usage(seen.filter_map(|(project, resource)| Some((project, find(observed, &resource)?))));
        }
        let sharing = self.sharing()?;
        let projects = page.projects.iter().map(|project| {
            let sight = match (&answer, self.askable(project)) {
                (Ok(observed), Some(resource)) => find(observed, &resource).map_or(Sight::Gone, Sight::Seen),
                _ => Sight::Unknown,
            };
            ProjectView::new(project, sight, &*self.backend, sharing.contains(project.service.provider()))
        });
        Ok(ProjectList {
            projects: projects.collect(),
            live_count: page.live,
            torn_down_count: page.torn_down,
            next_cursor: page.next.map(|row| format!("{CURSOR}{row}")),
            warning: answer.err().map(|error| {
                let error = Error::from(error);
                format!("status and usage are as last known: {error}; {}", error.hint())
            }),
        })
    }

    /// The newest project of that name, live or not.
    ///
    /// # Errors
    /// The ledger's.
    pub fn show(&self, name: &ProjectName) -> Result<Option<ProjectView>, Error> {
        if !self.ledger.exists() {
            return Ok(None);
        }
        Ok(self.ledger.projects().newest(name)?.map(|project| self.view(&project)))
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

fn place(cursor: &str) -> Result<i64, Error> {
    let row = cursor.strip_prefix(CURSOR).and_then(|row| row.parse().ok());
    row.filter(|row| *row > 0).ok_or(Error::InvalidCursor)
}

/// Tells our cursors from anything else that a client may send.
const CURSOR: &str = "after-";
