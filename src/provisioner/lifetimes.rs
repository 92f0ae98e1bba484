//! Leases: what is granted for a time is given back when the time is over, by whichever process is running then.

use serde_json::json;

use super::{Outcome, Principal, Provisioner, batch::each};
use crate::{
    clock::Timestamp, error::Error, ledger::Verdict, lifetime::Lifetime, name::ProjectName, view::ProjectView,
};

impl Provisioner {
    /// Tears down every project whose time is up. Safe to run as often as one likes, from anywhere.
    ///
    /// # Errors
    /// When the ledger cannot be read. What one project met is in its [`Outcome`], and stops no other.
    pub fn reap(&self, principal: &Principal) -> Result<Vec<Outcome>, Error> {
        if !self.ledger.exists() {
            return Ok(Vec::new());
        }
        self.end_orphaned_sessions(principal)?;
        let expired = self.ledger.lifetimes().expired(self.clock.now())?;
        Ok(each(expired, |name| self.teardown(name, principal)))
    }

    /// Lets a live project live that long from now on.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`].
    pub fn extend(&self, name: &ProjectName, lifetime: Lifetime, principal: &Principal) -> Result<ProjectView, Error> {
        let _lock = self.lock_project(name)?;
        let event = self.event(principal, "extend", Verdict::Done, json!({ "expires_in": lifetime.to_string() }));
        let extended = self.ledger.lifetimes().extend(name, self.end_of(lifetime), &event)?;
        extended.map(|project| self.view(&project)).ok_or_else(|| self.missing(name))
    }

    /// Takes a live project out of the session that would give it back.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`].
    pub fn keep(&self, name: &ProjectName, principal: &Principal) -> Result<ProjectView, Error> {
        let _lock = self.lock_project(name)?;
        let event = self.event(principal, "keep", Verdict::Done, json!({}));
        let kept = self.ledger.lifetimes().keep(name, &event)?;
        kept.map(|project| self.view(&project)).ok_or_else(|| self.missing(name))
    }

    /// When a lifetime that begins now is over.
    pub(super) fn end_of(&self, lifetime: Lifetime) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond().saturating_add(lifetime.milliseconds())).unwrap_or(now)
    }
}
