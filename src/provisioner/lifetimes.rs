//! Lifetimes of projects: any process tears down the projects that have expired.

use std::sync::Arc;

use domain::{lifetime::Lifetime, name::ProjectName};
use serde_json::json;
use storage::ledger::Verdict;

use super::{Outcome, Ports, Principal, batch::each, observer::Observer, sessions::Sessions, teardown::Teardown};
use crate::{error::Error, project_state::ProjectState};

/// Tears down expired projects, and changes when projects expire.
pub struct Lifetimes {
    pub(super) ports: Arc<Ports>,
    pub(super) observer: Arc<Observer>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) teardown: Arc<Teardown>,
}

impl Lifetimes {
    /// Tears down every expired project. Safe to repeat, from any process. The failure of one stops no other.
    pub fn reap(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        if !self.ports.ledger.exists() {
            return Ok(Vec::new());
        }
        self.sessions.end_orphaned(principal)?;
        if self.ports.backend.ensure_connected().is_err() {
            return Ok(Vec::new()); // a person's process of this user ends what has expired
        }
        let expired = self.ports.ledger.lifetimes().expired(self.ports.clock.now())?;
        if !expired.is_empty() {
            self.teardown.kill_held(&expired)?;
        }
        Ok(each(expired, |name| self.teardown.teardown(name, principal)))
    }

    /// Resets the expiry of a live project to `lifetime` from now.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`].
    pub fn extend(&self, name: &ProjectName, lifetime: Lifetime, principal: &Principal) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        let event = self.ports.event(principal, "extend", Verdict::Done, json!({ "expires_in": lifetime.to_string() }));
        let extended = self.ports.ledger.lifetimes().extend(name, self.ports.expiry(lifetime), &event)?;
        extended.map(|project| self.observer.look(project)).ok_or_else(|| self.ports.missing(name))
    }

    /// Keeps a live project after its session ends.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`].
    pub fn keep(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectState, Error> {
        let _lock = self.ports.lock_project(name)?;
        let event = self.ports.event(principal, "keep", Verdict::Done, json!({}));
        let kept = self.ports.ledger.lifetimes().keep(name, &event)?;
        kept.map(|project| self.observer.look(project)).ok_or_else(|| self.ports.missing(name))
    }

    /// Ends our session, if there is one: what it provisioned, and is not kept, expires after the grace. Returns whether
    /// there is any such project.
    pub fn end_session(&self, principal: &Principal) -> Result<bool, Error> {
        self.sessions.end_ours(principal)
    }
}
