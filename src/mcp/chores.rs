//! What has to be done without being asked is done by whoever is running, which is us: leases end, and caps hold.

use std::{sync::Arc, time::Duration};

use tokio::{
    task,
    time::{self, Instant},
};

use super::{
    housekeeping,
    live::{Audience, News},
};
use crate::{
    error::Error,
    provisioner::{Outcome, Provisioner},
};

/// Goes on until the runtime ends. What fails is tried again by the next round.
pub async fn keep_doing(provisioner: Arc<Provisioner>, audience: Audience) {
    let mut next_look = Instant::now();
    loop {
        let looks = next_look <= Instant::now();
        if looks {
            next_look = Instant::now() + BETWEEN_LOOKS;
        }
        let (house, audience) = (Arc::clone(&provisioner), audience.clone());
        let round = task::spawn_blocking(move || {
            tell("its time is up", house.reap(&housekeeping()), &audience);
            let stopped =
                if looks { house.enforce_caps(&housekeeping()) } else { Ok(house.stop_overspent(&housekeeping())) };
            tell("its cap is used up", stopped, &audience);
        });
        let _ = round.await; // a panic in it has been reported, and the next round may do better
        time::sleep(BETWEEN_ROUNDS).await;
    }
}

fn tell(why: &str, outcomes: Result<Vec<Outcome>, Error>, audience: &Audience) {
    for outcome in outcomes.into_iter().flatten() {
        match outcome.result {
            Ok(project) => tracing::info!(project = %outcome.name, "{why}: {}", project.status),
            Err(error) => tracing::warn!(project = %outcome.name, "{why}, and yet: {error}"),
        }
        audience.tell(News::Project(outcome.name));
    }
}

/// A lease is longer than this, so it is over soon after it is over.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(5);

/// How often a backend is asked what was used while nobody else asks. Stripe's own limit stands behind ours.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);
