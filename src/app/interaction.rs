//! The questions and notices of a running command to its user.

use domain::{
    approval::{Answer, Approval},
    clock::Timestamp,
    name::ProjectName,
};
use files::scan::Stop;
use storage::ledger::Break;

use crate::{
    error::Error,
    project_state::ProjectState,
    provisioner::{ConnectionPlan, ScanReport, UnresolvedOrder},
};

use super::Target;

/// A transport's way to reach the person behind a call.
pub trait Interaction: Send + Sync {
    /// Asks for a confirmation.
    ///
    /// # Errors
    /// [`Error::NotConfirmed`].
    fn confirm(&self, question: &Confirmation<'_>) -> Result<(), Error>;

    /// Shows an intermediate result.
    fn show(&self, update: &Update<'_>);

    /// Ends a command that has no end of its own.
    fn stop(&self) -> Stop;
}

/// A step that needs a confirmation.
#[derive(Debug)]
pub enum Confirmation<'a> {
    Abandon(&'a UnresolvedOrder),
    AcceptAudit(&'a Break),
    /// The clock shows `now`, and `seen` was recorded already.
    AcceptClock {
        now: Timestamp,
        seen: Timestamp,
    },
    Connect(&'a ConnectionPlan),
    Decide {
        approval: &'a Approval,
        answer: Answer,
    },
    Release(&'a ProjectName),
    RotateLeaked(&'a [ProjectName]),
    Teardown(&'a Target),
}

/// An intermediate result.
#[derive(Debug)]
pub enum Update<'a> {
    /// The leaks of a complete scan.
    Leaks(&'a ScanReport),
    /// The leaks that a watching scan has found since the last update.
    NewLeaks(&'a ScanReport),
    NotRotated {
        names: &'a [ProjectName],
        error: &'a Error,
    },
    Rotated(&'a ProjectState),
    /// A scan goes on watching so many places.
    Watching {
        places: usize,
    },
}

/// A call without a person: it needs no confirmation, because its client decides, and shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unattended;

impl Interaction for Unattended {
    fn confirm(&self, _: &Confirmation<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn show(&self, _: &Update<'_>) {}

    fn stop(&self) -> Stop {
        Stop::default()
    }
}
