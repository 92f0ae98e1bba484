//! A running server tells of alerts on stderr and to whoever subscribed to the project, and sends what is due, whoever
//! raised it.

use std::{sync::Arc, time::Duration};

use tokio::{task, time};

use super::subscriptions::{Change, Subscribers};
use crate::{alerts::Notice, provisioner::Provisioner};

/// Goes on until the runtime ends. What is cut off then is in the outbox.
pub fn tend_in_background(provisioner: Arc<Provisioner>, subscribers: Subscribers) {
    provisioner.alerts.subscribe(Arc::new(move |notice| {
        log(notice);
        if let Notice::Raised(alert) = notice {
            subscribers.publish(Change::Project(alert.name.clone()));
        }
    }));
    tokio::spawn(async move {
        loop {
            let tended = Arc::clone(&provisioner);
            let round = task::spawn_blocking(move || {
                tended.alerts.publish();
                if let Err(error) = tended.alerts.deliver() {
                    tracing::warn!("alerts cannot be sent: {error}");
                }
            });
            let _ = round.await; // a panic in it has been reported, and the next round may do better
            time::sleep(BETWEEN_LOOKS).await;
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

/// Two reads of an index; nobody waits for it.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
