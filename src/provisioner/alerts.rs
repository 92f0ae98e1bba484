//! Alerts about usage: raised when a threshold is reached, published to listeners, and sent to a receiver.
//!
//! A failure here fails no call, because the usage stays the same. It is reported to the listeners as a [`Notice`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backends::alerts::{self, Lookup, Notice, Undelivered, WebhookClient};
use domain::{
    clock::Timestamp,
    money::MicroUsd,
    project::{NoRandomness, Project, fill_random, random_hex},
    secret::Secret,
};
use files::registry;
use serde_json::Value;
use storage::ledger::{Alert, Claim, Crossing, Outbox, Outcome, Verdict};

use super::{Ports, Principal};
use crate::error::Error;

/// Receives notices about alerts, on the thread that causes them.
pub type Listener = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Raises alerts, notifies listeners of them and sends them.
pub struct Alerts {
    ports: Arc<Ports>,
    /// The start of this process. Alerts raised before it are not published.
    born: Timestamp,
    secret: Option<Secret>,
    lookup: Lookup,
    listeners: Mutex<Vec<Listener>>,
    /// The row of the newest alert that was published.
    last_notified: Mutex<Option<i64>>,
    /// The last reported reason why nothing can be sent; each reason is reported once.
    last_reported: Mutex<Option<String>>,
}

impl Alerts {
    /// Without a secret to sign them with, no alert is sent.
    pub(super) fn new(ports: Arc<Ports>, secret: Option<Secret>) -> Self {
        let (listeners, last_notified, last_reported) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (born, lookup) = (ports.clock.now(), alerts::lookup());
        Self { ports, born, secret, lookup, listeners, last_notified, last_reported }
    }

    /// Passes every notice about alerts to `listener` from now on. A listener should return quickly.
    pub fn subscribe(&self, listener: Listener) {
        locked(&self.listeners).push(listener);
    }

    /// Publishes the alerts that other processes raised since the last call, or since this process began.
    pub fn publish(&self) {
        if self.ports.ledger.exists()
            && let Err(error) = self.publish_new(None)
        {
            self.notify(&Notice::Unsendable { why: error.to_string() });
        }
    }

    /// Sends the alerts that are due until one fails, and returns how many arrived.
    ///
    /// Several processes may do this at the same time. The receiver is waited for, about 15 seconds at most. A problem
    /// with the receiver, the registry or the secret is reported as a [`Notice`]; only the ledger's are errors.
    pub fn deliver(&self) -> Result<u32, Error> {
        if !self.ports.ledger.exists() || !self.ports.ledger.alerts().has_due_alert(self.ports.clock.now())? {
            return Ok(0);
        }
        let receiver = match self.ports.registry() {
            Ok(registry) => registry.alerts,
            Err(error) => return Ok(self.unsendable(error.to_string())),
        };
        let Some(receiver) = receiver else {
            return Ok(self.unsendable("the registry no longer has an `alerts.url`".to_owned()));
        };
        let Some(secret) = &self.secret else {
            let why = "STRIPE_PROJECTS_ALERT_SECRET is not set";
            return Ok(self.unsendable(why.to_owned()));
        };
        *locked(&self.last_reported) = None;
        self.deliver_to(&receiver, secret)
    }

    /// Raises what these projects have newly reached with this usage. It reads once, and writes nothing when there is
    /// nothing new.
    pub(super) fn raise_reached(&self, usages: &[(&Project, MicroUsd)]) {
        let crossings = usages.iter().filter_map(|(project, usage)| {
            let thresholds = alerts::reached(project.cap, *usage);
            (!thresholds.is_empty()).then_some(Crossing { project, usage: *usage, thresholds })
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
        let unraised = self.ports.ledger.alerts().unraised(crossings)?;
        if unraised.is_empty() {
            return Ok(());
        }
        // A registry that cannot be read at the moment may well name a receiver.
        let outbox = match self.ports.registry().map(|registry| registry.alerts) {
            Ok(None) => Outbox::Local,
            Ok(Some(_)) | Err(_) => Outbox::Pending,
        };
        let mut new = Vec::new();
        for crossing in unraised.into_iter().filter_map(|place| crossings.get(place)) {
            let ids: Result<Vec<_>, _> = crossing.thresholds.iter().map(|_| new_id()).collect();
            new.push((*crossing, ids?));
        }
        let event = self.ports.event(&Principal::alerts(), ACTION, Verdict::Done, Value::Null);
        let raised = self.ports.ledger.alerts().raise(&new, outbox, &event)?;
        match raised.first() {
            Some(first) => self.publish_new(Some(first)),
            None => Ok(()), // another process raised them first
        }
    }

    /// Publishes the alerts that were not published yet; `own` is the oldest that this process has just raised.
    fn publish_new(&self, own: Option<&Alert>) -> Result<(), Error> {
        let mut last_notified = locked(&self.last_notified);
        let after = match (*last_notified, own) {
            (Some(row), _) => row,
            (None, Some(own)) => own.row - 1,
            (None, None) => self.ports.ledger.alerts().newest_alert_before(self.born)?,
        };
        let alerts = self.ports.ledger.alerts().alerts_after(after)?;
        *last_notified = Some(alerts.last().map_or(after, |alert| alert.row));
        drop(last_notified);
        for alert in alerts {
            self.notify(&Notice::Raised(alert));
        }
        Ok(())
    }

    fn deliver_to(&self, receiver: &registry::Alerts, secret: &Secret) -> Result<u32, Error> {
        let (mut arrived, mut webhook) = (0, None);
        while let Some(claim) = self.claim()? {
            if webhook.is_none() {
                webhook = Some(self.ports.wait(WebhookClient::open(receiver, &self.lookup)));
            }
            let sent = match &webhook {
                Some(Ok(webhook)) => self.send(webhook, secret, &claim.alert),
                Some(Err(why)) => Err(why.clone()),
                None => Err(Undelivered::NoAddress),
            };
            match sent {
                Ok(()) => self.ports.ledger.alerts().settle_alert(&claim, Outcome::Delivered)?,
                Err(why) => {
                    self.put_off(claim, why)?;
                    break; // the next one would most likely fail in the same way
                }
            }
            arrived += 1;
        }
        Ok(arrived)
    }

    fn claim(&self) -> Result<Option<Claim>, Error> {
        let now = self.ports.clock.now();
        Ok(self.ports.ledger.alerts().claim_alert(now, later(now, alerts::CLAIM_DURATION))?)
    }

    fn send(&self, webhook: &WebhookClient, secret: &Secret, alert: &Alert) -> Result<(), Undelivered> {
        let body = alerts::body(alert);
        let signature = alerts::signature(secret, self.ports.clock.now(), &body).ok_or(Undelivered::NoAddress)?;
        self.ports.wait(webhook.send(&body, &signature))
    }

    fn put_off(&self, claim: Claim, why: Undelivered) -> Result<(), Error> {
        let mut jitter = [0];
        let _ = fill_random(&mut jitter); // without randomness the pause is the longest
        let next = later(self.ports.clock.now(), alerts::pause(claim.attempts, jitter[0]));
        if is_too_late(next, claim.first_attempt_at) {
            self.ports.ledger.alerts().settle_alert(&claim, Outcome::GivenUp)?;
            self.notify(&Notice::GivenUp { alert: claim.alert, why });
        } else {
            self.ports.ledger.alerts().settle_alert(&claim, Outcome::Later(next))?;
            self.notify(&Notice::Undelivered { alert: claim.alert, attempts: claim.attempts, why });
        }
        Ok(())
    }

    /// Reports why nothing can be sent, unless that was the last report. Returns the number that arrived: 0.
    fn unsendable(&self, why: String) -> u32 {
        let mut last_reported = locked(&self.last_reported);
        if last_reported.as_ref() != Some(&why) {
            *last_reported = Some(why.clone());
            drop(last_reported);
            self.notify(&Notice::Unsendable { why });
        }
        0
    }

    fn notify(&self, notice: &Notice) {
        let listeners = locked(&self.listeners).clone(); // a listener may call back
        for listener in listeners {
            listener(notice);
        }
    }
}

/// Recovers a poisoned lock; the data stays consistent.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last attempt may be made at the very end of the retry window.
fn is_too_late(next: Timestamp, first_attempt_at: Timestamp) -> bool {
    next > later(first_attempt_at, alerts::RETRY_WINDOW)
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn new_id() -> Result<String, NoRandomness> {
    Ok(format!("evt_{}", random_hex::<16>()?))
}

const ACTION: &str = "raise alert";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_attempt_is_at_the_end_of_the_window() {
        let began = Timestamp::UNIX_EPOCH;
        let end = later(began, alerts::RETRY_WINDOW);
        assert!(!is_too_late(end, began));
        assert!(is_too_late(later(end, Duration::from_millis(1)), began));
    }
}
