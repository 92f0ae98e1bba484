//! Signs of life while a call waits: a real backend takes its time, and some clients give up on silence.

use std::{convert::Infallible, future, time::Duration};

use rmcp::{
    Peer, RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
};
use tokio::time::{self, Instant};

/// Tells the client every few seconds how long its call has been waiting, if it asked to be told. Never returns: the
/// answer ends it.
pub async fn keep_telling(peer: Peer<RoleServer>, token: Option<ProgressToken>) -> Infallible {
    let Some(token) = token else {
        return future::pending().await;
    };
    let begun = Instant::now();
    let mut ticks = time::interval_at(begun + INTERVAL, INTERVAL);
    loop {
        ticks.tick().await;
        let seconds = begun.elapsed().as_secs();
        let progress = ProgressNotificationParam::new(token.clone(), begun.elapsed().as_secs_f64())
            .with_message(format!("waiting, {seconds} s"));
        // A client that has gone does not wait for a sign of life.
        let _ = peer.notify_progress(progress).await;
    }
}

/// Seldom enough not to be noise, often enough for the impatient.
const INTERVAL: Duration = Duration::from_secs(2);
