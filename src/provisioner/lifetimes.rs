//! Leases: what is granted for a time is given back when the time is over, by whichever process is running then.

use std::sync::Arc;

use serde_json::json;

use super::{Outcome, Ports, Principal, batch::each, observer::Observer, sessions::Sessions, teardown::Teardown};
use crate::{error::Error, ledger::Verdict, lifetime::Lifetime, name::ProjectName, project_state::ProjectState};

/// Ends projects whose time is up.
pub struct Lifetimes {
    pub(super) ports: Arc<Ports>,
    pub(super) observer: Arc<Observer>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) teardown: Arc<Teardown>,
}

impl Lifetimes {
    /// Tears down every project whose time is up. Safe to run as often as one likes, from anywhere.
    ///
    /// # Errors
    /// When the ledger cannot be read. What one project met is in its [`Outcome`], and stops no other.
    pub fn reap(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        if !self.ports.ledger.exists() {
            return Ok(Vec::new());
        }
        self.sessions.end_orphaned(principal)?;
        let expired = self.ports.ledger.expired(self.ports.clock.now())?;
        Ok(each(expired, |name| self.teardown.teardown(name, principal)))
    }

    /// Lets a live project live that long from now on.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`].
    pub fn extend(&self, name: &ProjectName, lifetime: Lifetime, principal: &Principal) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        let event = self.ports.event(principal, "extend", Verdict::Done, json!({ "expires_in": lifetime.to_string() }));
        let extended = self.ports.ledger.extend(name, self.ports.expiry(lifetime), &event)?;
        extended.map(|project| self.observer.look(project)).ok_or_else(|| self.ports.missing(name))
    }

    /// Takes a live project out of the session that would give it back.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`].
    pub fn keep(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        let event = self.ports.event(principal, "keep", Verdict::Done, json!({}));
        let kept = self.ports.ledger.keep(name, &event)?;
        kept.map(|project| self.observer.look(project)).ok_or_else(|| self.ports.missing(name))
    }

    /// Ends our session, if there is one: what it provisioned, and is not kept, expires after the grace. Returns whether
    /// there is any such project.
    pub fn end_session(&self, principal: &Principal) -> Result<bool, Error> {
        self.sessions.end_ours(principal)
    }
}
