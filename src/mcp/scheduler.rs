//! What has to be done without being asked is done by whoever is running, which is us: lifetimes end, and caps hold.

use std::{sync::Arc, time::Duration};

use tokio::{
    task,
    time::{self, Instant},
};

use super::subscriptions::{Change, Subscribers};
use crate::{
    error::Error,
    principal::Principal,
    provisioner::{Outcome, Provisioner},
};

/// Goes on until the runtime ends. What fails is tried again by the next round.
pub async fn run(provisioner: Arc<Provisioner>, subscribers: Subscribers) {
    let mut next_look = Instant::now();
    loop {
        let looks = next_look <= Instant::now();
        if looks {
            next_look = Instant::now() + BETWEEN_LOOKS;
        }
        let (house, subscribers) = (Arc::clone(&provisioner), subscribers.clone());
        let round = task::spawn_blocking(move || {
            tell("its time is up", house.reap(&Principal::recovery()), &subscribers);
            let stopped = if looks {
                house.enforce_caps(&Principal::recovery())
            } else {
                Ok(house.suspend_exhausted(&Principal::recovery()))
            };
            tell("its cap is used up", stopped, &subscribers);
        });
        let _ = round.await; // a panic in it has been reported, and the next round may do better
        time::sleep(BETWEEN_ROUNDS).await;
    }
}

fn tell(why: &str, outcomes: Result<Vec<Outcome>, Error>, subscribers: &Subscribers) {
    for outcome in outcomes.into_iter().flatten() {
        match outcome.result {
            Ok(project) => tracing::info!(project = %outcome.name, "{why}: {}", project.status),
            Err(error) => tracing::warn!(project = %outcome.name, "{why}, and yet: {error}"),
        }
        subscribers.publish(Change::Project(outcome.name));
    }
}

/// A lifetime is longer than this, so it is over soon after it is over.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(5);

/// How often a backend is asked what was used while nobody else asks. Stripe's own limit stands behind ours.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);
