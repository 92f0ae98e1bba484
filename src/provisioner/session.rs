//! Host sessions that give back what they took.
//!
//! A session is a lock file that its process holds. Its projects carry its id. When it ends well it says so; when its
//! process dies, the lock is free, and whoever looks next says so in its place. Either way what it provisioned and
//! nobody keeps gets a lifetime that is over after a grace period, and is reaped like anything else.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;

use super::{Principal, Provisioner};
use crate::{
    error::Error,
    fs::{self, Lock},
    ledger::Verdict,
    lifetime::Lifetime,
    project::fill_random,
    secret::hex,
};

/// A session that has begun. Its lock is taken with the first project, so that a session without one leaves nothing.
#[derive(Debug)]
pub struct Session {
    id: String,
    pub grace: Lifetime,
    held: Mutex<Option<Lock>>,
}

impl Session {
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn begin(grace: Lifetime) -> Result<Self, Error> {
        let mut bytes = [0; 8];
        fill_random(&mut bytes)?;
        // The grace travels with the id, for whoever has to end it.
        Ok(Self { id: format!("{}-{grace}", hex(&bytes)), grace, held: Mutex::default() })
    }
}

impl Provisioner {
    /// Has everything that is provisioned from now on belong to that session.
    #[must_use]
    pub fn in_session(self, session: Session) -> Self {
        Self { session: Some(session), ..self }
    }

    /// The id of our session, with its lock taken.
    pub(super) fn session_id(&self) -> Result<Option<String>, Error> {
        let Some(session) = &self.session else { return Ok(None) };
        let mut held = session.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(Lock::on_file(&self.session_file(&session.id), Duration::ZERO)?.ok_or(Error::ProjectBusy)?);
        }
        Ok(Some(session.id.clone()))
    }

    /// Ends our session, if there is one: what it provisioned and nobody keeps has its grace left. Whether there is any.
    ///
    /// # Errors
    /// The ledger's.
    pub fn end_session(&self, principal: &Principal) -> Result<bool, Error> {
        let Some(session) = self.session.as_ref().filter(|_| self.ledger.exists()) else { return Ok(false) };
        let ended = self.end(&session.id, session.grace, principal)?;
        session.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        fs::remove(&self.session_file(&session.id))?;
        Ok(ended)
    }

    /// Ends the sessions whose processes have died.
    pub(super) fn end_orphaned_sessions(&self, principal: &Principal) -> Result<(), Error> {
        let ours = self.session.as_ref().map(|session| session.id.as_str());
        for id in self.ledger.lifetimes().sessions()? {
            let file = self.session_file(&id);
            if ours == Some(id.as_str()) {
                continue;
            }
            let Some(_lock) = Lock::on_file(&file, Duration::ZERO)? else { continue };
            let grace = id.rsplit_once('-').and_then(|(_, grace)| Lifetime::parse(grace).ok());
            if let Some(grace) = grace {
                self.end(&id, grace, principal)?;
            }
            fs::remove(&file)?;
        }
        Ok(())
    }

    fn end(&self, id: &str, grace: Lifetime, principal: &Principal) -> Result<bool, Error> {
        let event = self.event(principal, "end session", Verdict::Done, json!({ "grace": grace.to_string() }));
        Ok(self.ledger.lifetimes().end_session(id, self.end_of(grace), &event)? > 0)
    }

    fn session_file(&self, id: &str) -> PathBuf {
        self.state.join("locks").join(format!("{id}.session"))
    }
}
