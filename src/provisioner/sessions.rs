//! Host sessions whose projects are torn down when they end.
//!
//! A session is a lock file that its process holds. Its projects carry its id. A process that ends closes its session;
//! when a process dies, its lock is free, and the next process closes the session instead. Then the projects of the
//! session that are not kept expire after a grace period, and are reaped like any other.

use std::sync::{Arc, Mutex, PoisonError};

use domain::{lifetime::Lifetime, project::random_hex};
use serde_json::json;
use storage::ledger::Verdict;

use super::{Held, Ports, Principal};
use crate::error::Error;

/// A session. Its lock is taken with the first project, so that a session without projects leaves no file.
#[derive(Debug)]
pub struct Session {
    id: String,
    pub grace: Lifetime,
    held: Mutex<Option<Box<dyn Held>>>,
}

impl Session {
    /// Begins a session.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn begin(grace: Lifetime) -> Result<Self, Error> {
        // The grace is part of the id, because another process may have to end the session.
        Ok(Self { id: format!("{}-{grace}", random_hex::<8>()?), grace, held: Mutex::default() })
    }
}

/// The session of this process, if it is one, and the end of those whose processes died.
pub(super) struct Sessions {
    pub ports: Arc<Ports>,
    pub session: Option<Arc<Session>>,
}

impl Sessions {
    /// Takes the lock of our session, and returns its id.
    pub(super) fn id(&self) -> Result<Option<String>, Error> {
        let Some(session) = &self.session else { return Ok(None) };
        let mut held = session.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(self.ports.locks.session(&session.id)?.ok_or(Error::ProjectBusy)?);
        }
        Ok(Some(session.id.clone()))
    }

    /// Ends our session, if there is one. Returns whether any of its projects will expire.
    pub(super) fn end_ours(&self, principal: &Principal) -> Result<bool, Error> {
        let Some(session) = self.session.as_ref().filter(|_| self.ports.ledger.exists()) else { return Ok(false) };
        let ended = self.end(&session.id, session.grace, principal)?;
        session.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.ports.locks.remove_session(&session.id)?;
        Ok(ended)
    }

    /// Ends the sessions whose processes have died.
    pub(super) fn end_orphaned(&self, principal: &Principal) -> Result<(), Error> {
        let ours = self.session.as_ref().map(|session| session.id.as_str());
        for id in self.ports.ledger.lifetimes().sessions()? {
            if ours == Some(id.as_str()) {
                continue;
            }
            let Some(_lock) = self.ports.locks.session(&id)? else { continue };
            let grace = id.rsplit_once('-').and_then(|(_, grace)| Lifetime::parse(grace).ok());
            if let Some(grace) = grace {
                self.end(&id, grace, principal)?;
            }
            self.ports.locks.remove_session(&id)?;
        }
        Ok(())
    }

    fn end(&self, id: &str, grace: Lifetime, principal: &Principal) -> Result<bool, Error> {
        let event = self.ports.event(principal, "end session", Verdict::Done, json!({ "grace": grace.to_string() }));
        Ok(self.ports.ledger.lifetimes().end_session(id, self.ports.expiry(grace), &event)? > 0)
    }
}
