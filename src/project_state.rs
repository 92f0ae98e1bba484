//! A project and what is known of it at this moment: the result of every use case about one project.

use backends::Observed;
use domain::{
    budget::Month,
    money::{Cents, MicroUsd},
    name::EnvVar,
    project::{Project, Status},
};

/// A project as the ledger has it, with what the backend reported about it.
#[derive(Clone, Debug)]
pub struct ProjectState {
    pub project: Project,
    pub observation: Observation,
    pub enforcement: CapEnforcement,
    /// What the user should know beyond the status.
    pub notes: Vec<Note>,
}

/// What the backend reported about a project.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Observation {
    /// The backend has no such resource.
    Gone,
    Present {
        suspended: bool,
        /// The cost so far, where the backend knows it.
        usage: Option<MicroUsd>,
    },
    /// The backend was not asked, or did not answer.
    Unknown,
}

/// Who stops the spending at the cap, and for what the cap counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CapEnforcement {
    /// A backend that is not in use here.
    OtherBackend,
    /// The backend, for this project alone.
    Project,
    /// Stripe, for everything with this provider in a calendar month. `shared`: several live projects have it.
    ProviderAndMonth { shared: bool },
}

/// A fact about an operation that its status does not show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// Git would have committed the env file, so a line was added to `.git/info/exclude`.
    ExcludedFromGit,
    /// A resource of that name may exist at `place`, billed and not listed here.
    MayExist { resource: String, place: &'static str },
    /// The project has ended; this much of its cap still counts in the month, as it was used or may have been.
    StaysCommitted { amount: Cents, used: Option<MicroUsd>, month: Month },
}

impl ProjectState {
    /// The status by the ledger, corrected by what the backend reported.
    pub fn status(&self) -> Status {
        match (self.project.status, self.observation) {
            (Status::Active, Observation::Present { suspended: true, .. }) => Status::Suspended,
            (Status::Active | Status::Suspended, Observation::Gone) => Status::Failed,
            (status, _) => status,
        }
    }

    /// The variable that holds the project's key.
    pub fn env_var(&self) -> Option<&EnvVar> {
        self.project.deliveries.first().map(|delivery| &delivery.env_var)
    }

    /// The cost so far, where it is known; of an ended project the last one known.
    pub fn usage(&self) -> Option<MicroUsd> {
        match self.observation {
            Observation::Present { usage, .. } => usage,
            Observation::Unknown if !self.project.status.is_live() => self.project.last_usage,
            Observation::Gone | Observation::Unknown => None,
        }
    }

    /// What is left of the cap, where the usage is known.
    pub fn remaining(&self) -> Option<MicroUsd> {
        self.usage().map(|usage| self.project.cap.micro_usd().saturating_sub(usage))
    }

    /// Whether the env file holds the project's current key.
    pub fn is_delivered(&self) -> bool {
        self.status().is_live() && self.project.key_version > 0 && self.project.status != Status::Suspended
    }

    /// Adds a note.
    #[must_use]
    pub fn with_note(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }
}

impl From<Option<&Observed>> for Observation {
    fn from(observed: Option<&Observed>) -> Self {
        observed.map_or(Self::Gone, |seen| Self::Present { suspended: seen.suspended, usage: seen.usage })
    }
}

impl From<&Observed> for Observation {
    fn from(observed: &Observed) -> Self {
        Some(observed).into()
    }
}
