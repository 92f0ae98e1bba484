//! Progress notifications while a call waits: some clients give up without them.

use std::{convert::Infallible, future, time::Duration};

use rmcp::{
    Peer, RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
};
use tokio::time::{self, Instant};

/// Notifies the client every few seconds how long its call has been waiting, if it asked for that. Never returns.
pub async fn notify(peer: Peer<RoleServer>, token: Option<ProgressToken>) -> Infallible {
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
        // A client that has left is no error.
        let _ = peer.notify_progress(progress).await;
    }
}

const INTERVAL: Duration = Duration::from_secs(2);
