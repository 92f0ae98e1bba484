//! Alerts: raised where usage is learnt, told to whoever listens, and sent by whoever runs.
//!
//! Nothing here fails a call: the usage is as it is, whether or not an alert about it can be written down or sent. What
//! goes wrong is said instead.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;

use super::{Principal, Provisioner};
use crate::{
    alerts::{self, Lookup, Notice, Undelivered, WebhookClient},
    backend::Observed,
    clock::Timestamp,
    error::Error,
    ledger::{Alert, Claim, Crossing, Outbox, Outcome, Verdict},
    policy::Asker,
    project::{NoRandomness, Project, fill_random},
    registry,
    secret::{Secret, hex},
};

/// Is told of what happens to alerts, on the thread where it happens.
pub type Listener = Arc<dyn Fn(&Notice) + Send + Sync>;

/// What a provisioner knows of alerts that is not in the ledger.
pub(super) struct Alerts {
    /// When this process began: what was raised before is no news.
    born: Timestamp,
    secret: Option<Secret>,
    lookup: Lookup,
    listeners: Mutex<Vec<Listener>>,
    /// The row of the newest alert that was told.
    told: Mutex<Option<i64>>,
    /// What was last said of why nothing can be sent: it is true of every try, and said once.
    said: Mutex<Option<String>>,
}

impl Alerts {
    pub fn new(born: Timestamp) -> Self {
        let (listeners, told, said) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { born, secret: None, lookup: alerts::lookup(), listeners, told, said }
    }
}

impl Provisioner {
    /// Signs alerts with that secret. Without one, none is sent.
    #[must_use]
    pub fn signing_alerts_with(mut self, secret: Option<Secret>) -> Self {
        self.alerts.secret = secret;
        self
    }

    /// Has every notice about alerts told to `listener`, from now on. Any number may listen. It should be quick.
    pub fn subscribe(&self, listener: Listener) {
        locked(&self.alerts.listeners).push(listener);
    }

    /// Tells of what other processes have raised since the last look, or since this one began.
    pub fn publish_alerts(&self) {
        if self.ledger.exists()
            && let Err(error) = self.tell(None)
        {
            self.notify(&Notice::Unsendable { why: error.to_string() });
        }
    }

    /// Sends what is due, one after the other, until nothing is left or one did not arrive; how many arrived. Any
    /// number of processes may do this at the same time. It waits for the receiver, for some 15 seconds at most.
    ///
    /// # Errors
    /// The ledger's. What is wrong with the receiver, the registry or the secret is told as a [`Notice`].
    pub fn deliver_alerts(&self) -> Result<u32, Error> {
        if !self.ledger.exists() || !self.ledger.alerts().has_due_alert(self.clock.now())? {
            return Ok(0);
        }
        let receiver = match self.registry() {
            Ok(registry) => registry.alerts,
            Err(error) => return Ok(self.unsendable(error.to_string())),
        };
        let Some(receiver) = receiver else {
            return Ok(self.unsendable("there is no `alerts.url` in the registry any more".to_owned()));
        };
        let Some(secret) = &self.alerts.secret else {
            let why = "there is no secret in STRIPE_PROJECTS_ALERT_SECRET to sign them with";
            return Ok(self.unsendable(why.to_owned()));
        };
        *locked(&self.alerts.said) = None;
        self.deliver_to(&receiver, secret)
    }

    /// Raises what these projects, seen with this usage, have newly reached. It reads once, and writes nothing when
    /// there is nothing new.
    pub(super) fn observe_usage<'a>(&self, seen: impl Iterator<Item = (&'a Project, &'a Observed)>) {
        let crossings = seen.filter_map(|(project, observed)| {
            let usage = observed.usage?;
            self.note_exhausted(project, usage);
            let thresholds = alerts::reached(project.cap, usage);
            (!thresholds.is_empty()).then_some(Crossing { project, usage, thresholds })
        });
        let crossings: Vec<_> = crossings.collect();
        if let Err(error) = self.raise(&crossings) {
            self.notify(&Notice::Unraised { why: error.to_string() });
        }
    }

    fn raise(&self, crossings: &[Crossing<'_>]) -> Result<(), Error> {
        if crossings.is_empty() {
            return Ok(());
        }
        let unraised = self.ledger.alerts().unraised(crossings)?;
        if unraised.is_empty() {
            return Ok(());
        }
        // A registry that cannot be read at the moment may well name a receiver.
        let outbox = match self.registry().map(|registry| registry.alerts) {
            Ok(None) => Outbox::Local,
            Ok(Some(_)) | Err(_) => Outbox::Pending,
        };
        let mut new = Vec::new();
        for crossing in unraised.into_iter().filter_map(|place| crossings.get(place)) {
            let ids: Result<Vec<_>, _> = crossing.thresholds.iter().map(|_| new_id()).collect();
            new.push((*crossing, ids?));
        }
        let event = self.event(&principal(), ACTION, Verdict::Done, Value::Null);
        let raised = self.ledger.alerts().raise(&new, outbox, &event)?;
        match raised.first() {
            Some(first) => self.tell(Some(first)),
            None => Ok(()), // somebody was faster
        }
    }

    /// Tells what was not told yet; `own` is the oldest of those that this process has just raised.
    fn tell(&self, own: Option<&Alert>) -> Result<(), Error> {
        let mut told = locked(&self.alerts.told);
        let after = match (*told, own) {
            (Some(row), _) => row,
            (None, Some(own)) => own.row - 1,
            (None, None) => self.ledger.alerts().newest_alert_before(self.alerts.born)?,
        };
        let alerts = self.ledger.alerts().alerts_after(after)?;
        *told = Some(alerts.last().map_or(after, |alert| alert.row));
        drop(told);
        for alert in alerts {
            self.notify(&Notice::Raised(alert));
        }
        Ok(())
    }

    fn deliver_to(&self, receiver: &registry::Alerts, secret: &Secret) -> Result<u32, Error> {
        let (mut arrived, mut webhook) = (0, None);
        while let Some(claim) = self.claim()? {
            if webhook.is_none() {
                webhook = Some(self.wait(WebhookClient::open(receiver, &self.alerts.lookup)));
            }
            let sent = match &webhook {
                Some(Ok(webhook)) => self.send(webhook, secret, &claim.alert),
                Some(Err(why)) => Err(why.clone()),
                None => Err(Undelivered::NoAddress),
            };
            match sent {
                Ok(()) => self.ledger.alerts().settle_alert(&claim, Outcome::Delivered)?,
                Err(why) => {
                    self.put_off(claim, why)?;
                    break; // the next one would most likely meet the same
                }
            }
            arrived += 1;
        }
        Ok(arrived)
    }

    fn claim(&self) -> Result<Option<Claim>, Error> {
        let now = self.clock.now();
        Ok(self.ledger.alerts().claim_alert(now, later(now, alerts::CLAIM_DURATION))?)
    }

    fn send(&self, webhook: &WebhookClient, secret: &Secret, alert: &Alert) -> Result<(), Undelivered> {
        let body = alerts::body(alert);
        let signature = alerts::signature(secret, self.clock.now(), &body).ok_or(Undelivered::NoAddress)?;
        self.wait(webhook.send(&body, &signature))
    }

    fn put_off(&self, claim: Claim, why: Undelivered) -> Result<(), Error> {
        let mut luck = [0];
        let _ = fill_random(&mut luck); // without luck the pause is the longest
        let next = later(self.clock.now(), alerts::pause(claim.attempts, luck[0]));
        if is_too_late(next, claim.first_attempt_at) {
            self.ledger.alerts().settle_alert(&claim, Outcome::GivenUp)?;
            self.notify(&Notice::GivenUp { alert: claim.alert, why });
        } else {
            self.ledger.alerts().settle_alert(&claim, Outcome::Later(next))?;
            self.notify(&Notice::Undelivered { alert: claim.alert, attempts: claim.attempts, why });
        }
        Ok(())
    }

    /// Says why nothing can be sent, unless that was said already; nothing arrived.
    fn unsendable(&self, why: String) -> u32 {
        let mut said = locked(&self.alerts.said);
        if said.as_ref() != Some(&why) {
            *said = Some(why.clone());
            drop(said);
            self.notify(&Notice::Unsendable { why });
        }
        0
    }

    fn notify(&self, notice: &Notice) {
        let listeners = locked(&self.alerts.listeners).clone(); // one that listens may ask us something
        for listener in listeners {
            listener(notice);
        }
    }
}

/// What a panic leaves behind here is as good as before.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last try may be made at the very end of our timeout.
fn is_too_late(next: Timestamp, first_attempt_at: Timestamp) -> bool {
    next > later(first_attempt_at, alerts::RETRY_WINDOW)
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn new_id() -> Result<String, NoRandomness> {
    let mut bytes = [0; 16];
    fill_random(&mut bytes)?;
    Ok(format!("evt_{}", hex(&bytes)))
}

/// Usage is nobody's call: it is found out.
fn principal() -> Principal {
    Principal { door: "alerts", actor: String::new(), asker: Asker::Human }
}

const ACTION: &str = "raise alert";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_try_is_at_the_end_of_the_patience() {
        let began = Timestamp::UNIX_EPOCH;
        let end = later(began, alerts::RETRY_WINDOW);
        assert!(!is_too_late(end, began));
        assert!(is_too_late(later(end, Duration::from_millis(1)), began));
    }
}
