//! The agent's door: MCP over stdio, in both protocol eras.

mod alerts;
mod arguments;
mod ask;
mod chores;
mod deadline;
mod door;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod live;
mod log;
mod logbook;
mod offer;
mod progress;
mod prompts;
mod provision;
mod resources;
mod schema;
mod seal;
mod shutdown;
mod tools;

use std::{sync::Arc, time::Duration};

use door::Door;
use live::Audience;
pub use log::Log;
use logbook::Logbook;
pub use offer::{Offer, TOOLS};
use rmcp::{ServiceExt as _, service::ServerInitializeError};
pub use shutdown::signal as told_to_end;
use shutdown::{EofSignal, Shutdown};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    policy::Asker,
    provisioner::{Caller, Provisioner, RegistryStamp},
};

/// Serves until the client leaves or a signal says so. Nothing is opened or asked before the first answer.
///
/// # Errors
/// When the streams fail, or the client's first message is not a greeting.
pub async fn serve(provisioner: Arc<Provisioner>, offer: Offer) -> Result<(), ServeError> {
    let (input, output) = rmcp::transport::io::stdio_pipes();
    serve_over(provisioner, offer, input, output, PATIENCE).await
}

/// The same over any pair of streams. `patience` is how long a call waits for a person whom it asks.
///
/// # Errors
/// As [`serve`].
pub async fn serve_over(
    provisioner: Arc<Provisioner>,
    offer: Offer,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    patience: Duration,
) -> Result<(), ServeError> {
    let shutdown = Shutdown::new();
    let input = EofSignal::new(input, shutdown.clone());
    let (logbook, audience) = (Logbook::new(Arc::clone(&provisioner), shutdown.clone()), Audience::default());
    let told = (logbook.clone(), audience.clone());
    let door = Door::new(Arc::clone(&provisioner), shutdown.clone(), (offer, patience), told);
    let known = provisioner.registry_stamp();
    let mut greeting = Box::pin(door.serve((input, output)));
    // One listener from first to last: a signal that arrives between two of them would be lost.
    let mut told_to_end = Box::pin(shutdown::signal());
    let running = tokio::select! {
        running = &mut greeting => match running {
            Ok(running) => running,
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(_) => return Err(ServeError::NoGreeting),
        },
        () = &mut told_to_end => return Ok(()),
    };
    attend_in_background(&provisioner, &logbook, &audience, known);
    let stop = running.cancellation_token();
    let signalled = shutdown.clone();
    tokio::spawn(async move {
        told_to_end.await;
        signalled.begin();
        signalled.idle_or_out_of_patience().await;
        stop.cancel();
    });
    let ended = running.waiting().await;
    // Whoever else has the ledger open may keep us waiting; the host would not wait as long.
    let _ = tokio::time::timeout(FAREWELL, logbook.flush()).await;
    ended.map(drop).map_err(|_| ServeError::Broken)
}

/// What [`serve`] serves, for a transport that the program does not have. Whoever comes through it counts as one and
/// the same client, and it goes on until the runtime ends.
///
/// # Panics
/// Outside of a runtime.
#[cfg(feature = "conformance")]
pub fn door(provisioner: Arc<Provisioner>, offer: Offer) -> impl rmcp::ServerHandler + Clone {
    let shutdown = Shutdown::new();
    let (logbook, audience) = (Logbook::new(Arc::clone(&provisioner), shutdown.clone()), Audience::default());
    attend_in_background(&provisioner, &logbook, &audience, provisioner.registry_stamp());
    Door::new(provisioner, shutdown, (offer, PATIENCE), (logbook, audience))
}

/// Why serving ended badly.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the connection broke off")]
    Broken,
    #[error("the client's first message was neither initialize nor server/discover")]
    NoGreeting,
}

/// In whose name the server acts when nobody asked.
pub fn housekeeping() -> Caller {
    Caller { door: "recovery", actor: String::new(), asker: Asker::Human }
}

/// What goes on beside the answers: rows of the audit, news, alerts, what a dead process left, leases and caps.
/// `known` is what the registry's files were before the client could have seen what is in them.
fn attend_in_background(provisioner: &Arc<Provisioner>, logbook: &Logbook, audience: &Audience, known: RegistryStamp) {
    tokio::spawn(logbook.clone().keep());
    tokio::spawn(audience.clone().keep_telling());
    tokio::spawn(live::watch_registry(Arc::clone(provisioner), audience.clone(), known));
    alerts::tend_in_background(Arc::clone(provisioner), audience.clone());
    recover_in_background(Arc::clone(provisioner));
    tokio::spawn(chores::keep_doing(Arc::clone(provisioner), audience.clone()));
}

/// The first answer never waits for what a dead process left.
fn recover_in_background(provisioner: Arc<Provisioner>) {
    tokio::task::spawn_blocking(move || match provisioner.recover() {
        Ok(recovered) => {
            if !recovered.is_empty()
                && let Err(error) = provisioner.seal_audit()
            {
                tracing::warn!("the head record of the audit is behind: {error}");
            }
            for project in recovered {
                match project.outcome {
                    Ok(word) => tracing::info!(project = %project.name, "left open by an earlier process: {word}"),
                    Err(error) => tracing::warn!(project = %project.name, "still open: {error}"),
                }
            }
        }
        Err(error) => tracing::warn!("recovery is not possible: {error}"),
    });
}

/// Long enough to read and to think; who comes back later finds the request at the terminal.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How long the last rows of the audit may take.
const FAREWELL: Duration = Duration::from_secs(1);
