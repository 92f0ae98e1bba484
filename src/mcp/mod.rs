//! The agent's server: MCP over stdio, in both protocol eras.

mod alerts;
mod approval_flow;
mod arguments;
mod call_log;
mod deadline;
mod elicitation;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod log;
mod progress;
mod prompts;
mod request_state;
mod resources;
mod scheduler;
mod schema;
mod server;
mod shutdown;
mod subscriptions;
mod tool_filter;
mod tools;

use std::{sync::Arc, time::Duration};

use call_log::CallLog;
pub use log::Log;
use rmcp::{ServiceExt as _, service::ServerInitializeError};
use server::Server;
pub use shutdown::signal as shutdown_signal;
use shutdown::{EofDetector, Shutdown};
use subscriptions::Subscribers;
use tokio::io::{AsyncRead, AsyncWrite};
pub use tool_filter::{TOOLS, ToolFilter};

use crate::provisioner::{Provisioner, RegistryStamp};

/// Serves until the client leaves or a signal says so. Nothing is opened or asked before the first answer.
///
/// # Errors
/// When the streams fail, or the client's first message is not a greeting.
pub async fn serve(provisioner: Arc<Provisioner>, tool_filter: ToolFilter) -> Result<(), ServeError> {
    let (input, output) = rmcp::transport::io::stdio_pipes();
    serve_over(provisioner, tool_filter, input, output, TIMEOUT).await
}

/// The same over any pair of streams. `patience` is how long a call waits for a person whom it asks.
///
/// # Errors
/// As [`serve`].
pub async fn serve_over(
    provisioner: Arc<Provisioner>,
    tool_filter: ToolFilter,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    timeout: Duration,
) -> Result<(), ServeError> {
    let shutdown = Shutdown::new();
    let input = EofDetector::new(input, shutdown.clone());
    let (call_log, subscribers) = (CallLog::new(Arc::clone(&provisioner), shutdown.clone()), Subscribers::default());
    let told = (call_log.clone(), subscribers.clone());
    let server = Server::new(Arc::clone(&provisioner), shutdown.clone(), (tool_filter, timeout), told);
    let known = provisioner.registry_stamp();
    let mut greeting = Box::pin(server.serve((input, output)));
    // One listener from first to last: a signal that arrives between two of them would be lost.
    let mut shutdown_signal = Box::pin(shutdown::signal());
    let running = tokio::select! {
        running = &mut greeting => match running {
            Ok(running) => running,
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(_) => return Err(ServeError::NoGreeting),
        },
        () = &mut shutdown_signal => return Ok(()),
    };
    attend_in_background(&provisioner, &call_log, &subscribers, known);
    let stop = running.cancellation_token();
    let signalled = shutdown.clone();
    tokio::spawn(async move {
        shutdown_signal.await;
        signalled.begin();
        signalled.drained().await;
        stop.cancel();
    });
    let ended = running.waiting().await;
    // Whoever else has the ledger open may keep us waiting; the host would not wait as long.
    let _ = tokio::time::timeout(FAREWELL, call_log.flush()).await;
    ended.map(drop).map_err(|_| ServeError::Broken)
}

/// What [`serve`] serves, for a transport that the program does not have. Whoever comes through it counts as one and
/// the same client, and it goes on until the runtime ends.
///
/// # Panics
/// Outside of a runtime.
#[cfg(feature = "conformance")]
pub fn door(provisioner: Arc<Provisioner>, tool_filter: ToolFilter) -> impl rmcp::ServerHandler + Clone {
    let shutdown = Shutdown::new();
    let (call_log, subscribers) = (CallLog::new(Arc::clone(&provisioner), shutdown.clone()), Subscribers::default());
    attend_in_background(&provisioner, &call_log, &subscribers, provisioner.registry_stamp());
    Server::new(provisioner, shutdown, (tool_filter, TIMEOUT), (call_log, subscribers))
}

/// Why serving ended badly.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the connection broke off")]
    Broken,
    #[error("the client's first message was neither initialize nor server/discover")]
    NoGreeting,
}

/// What goes on beside the answers: rows of the audit, change, alerts, what a dead process left, lifetimes and caps.
/// `known` is what the registry's files were before the client could have seen what is in them.
fn attend_in_background(
    provisioner: &Arc<Provisioner>,
    call_log: &CallLog,
    subscribers: &Subscribers,
    known: RegistryStamp,
) {
    tokio::spawn(call_log.clone().keep());
    tokio::spawn(subscribers.clone().keep_telling());
    tokio::spawn(subscriptions::watch_registry(Arc::clone(provisioner), subscribers.clone(), known));
    alerts::tend_in_background(Arc::clone(provisioner), subscribers.clone());
    recover_in_background(Arc::clone(provisioner));
    tokio::spawn(scheduler::run(Arc::clone(provisioner), subscribers.clone()));
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
const TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long the last rows of the audit may take.
const FAREWELL: Duration = Duration::from_secs(1);
