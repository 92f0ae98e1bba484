//! Background jobs of a running server: reap expired projects and enforce caps.

use std::{sync::Arc, time::Duration};

use domain::principal::Principal;
use tokio::{
    task,
    time::{self, Instant},
};

use super::{change::Change, subscriptions::Subscribers};
use crate::{
    error::Error,
    provisioner::{Outcome, Provisioner},
};

/// Runs until the runtime ends. The next round tries again what failed.
pub async fn run(services: Arc<Provisioner>, subscribers: Subscribers) {
    let mut next_reading = Instant::now();
    loop {
        let reads_usage = next_reading <= Instant::now();
        if reads_usage {
            next_reading = Instant::now() + USAGE_INTERVAL;
        }
        let (services, subscribers) = (Arc::clone(&services), subscribers.clone());
        let round = task::spawn_blocking(move || {
            publish("its lifetime is over", services.lifetimes.reap(&Principal::recovery()), &subscribers);
            let suspended = if reads_usage {
                services.caps.enforce(&Principal::recovery())
            } else {
                Ok(services.caps.suspend_exhausted(&Principal::recovery()))
            };
            publish("its cap is used up", suspended, &subscribers);
        });
        let _ = round.await; // a panic was reported, and the next round tries again
        time::sleep(ROUND_INTERVAL).await;
    }
}

fn publish(reason: &str, outcomes: Result<Vec<Outcome>, Error>, subscribers: &Subscribers) {
    for outcome in outcomes.into_iter().flatten() {
        match outcome.result {
            Ok(state) => tracing::info!(project = %outcome.name, "{reason}: {}", state.status()),
            Err(error) => tracing::warn!(project = %outcome.name, "{reason}, but: {error}"),
        }
        subscribers.publish(Change::Project(outcome.name));
    }
}

/// Shorter than the minimum lifetime, so expired projects are reaped promptly.
const ROUND_INTERVAL: Duration = Duration::from_secs(5);

/// How often usage is read from the backend if no call reads it. Stripe's own limit holds in between.
const USAGE_INTERVAL: Duration = Duration::from_secs(60);
