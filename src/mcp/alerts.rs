//! Alerts of a running server: logs them, notifies subscribers of the project, and delivers what is due.

use std::{sync::Arc, time::Duration};

use backends::alerts::Notice;
use tokio::{task, time};

use super::{change::Change, subscriptions::Subscribers};
use crate::provisioner::Provisioner;

/// Runs until the runtime ends. What is not delivered by then stays in the outbox.
pub fn run_in_background(services: Arc<Provisioner>, subscribers: Subscribers) {
    services.alerts.subscribe(Arc::new(move |notice| {
        log(notice);
        if let Notice::Raised(alert) = notice {
            subscribers.publish(Change::Project(alert.name.clone()));
        }
    }));
    tokio::spawn(async move {
        loop {
            let delivering = Arc::clone(&services);
            let round = task::spawn_blocking(move || {
                delivering.alerts.publish();
                if let Err(error) = delivering.alerts.deliver() {
                    tracing::warn!("alerts cannot be sent: {error}");
                }
            });
            let _ = round.await; // a panic was reported, and the next round tries again
            time::sleep(INTERVAL).await;
        }
    });
}

fn log(notice: &Notice) {
    match notice {
        Notice::Raised(_) => tracing::warn!("alert: {notice}"),
        Notice::GivenUp { .. } | Notice::Undelivered { .. } | Notice::Unraised { .. } | Notice::Unsendable { .. } => {
            tracing::warn!("{notice}");
        }
    }
}

/// A round costs two reads of an index.
const INTERVAL: Duration = Duration::from_secs(2);
