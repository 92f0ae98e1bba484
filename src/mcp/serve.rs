//! Serves one connection from the first message to the last audit row.

use std::{sync::Arc, time::Duration};

use rmcp::{ServiceExt as _, service::ServerInitializeError};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    alerts,
    change::Change,
    request_limit::LimitedTransport,
    scheduler,
    server::{Server, ServerOptions},
    shutdown::{self, EofDetector, Shutdown},
    subscriptions::{self, Subscribers},
    tool_filter::ToolFilter,
};
use crate::{
    app::App,
    provisioner::{Provisioner, RegistryStamp},
};

/// Serves until the client leaves or a signal arrives. Nothing is opened or asked before the first answer.
///
/// # Errors
/// [`ServeError::Broken`] or [`ServeError::NoGreeting`].
pub async fn serve(app: Arc<App>, tool_filter: ToolFilter) -> Result<(), ServeError> {
    let (input, output) = rmcp::transport::io::stdio_pipes();
    serve_over(app, tool_filter, input, output, ANSWER_TIMEOUT).await
}

/// Serves over any pair of streams. A call waits for the user's answer for at most `timeout`.
///
/// # Errors
/// As [`serve`].
pub async fn serve_over(
    app: Arc<App>,
    tool_filter: ToolFilter,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    timeout: Duration,
) -> Result<(), ServeError> {
    let (shutdown, subscribers) = (Shutdown::new(), Subscribers::default());
    let input = EofDetector::new(input, shutdown.clone());
    let options = ServerOptions { tool_filter, timeout };
    let server = Server::new(Arc::clone(&app), options, shutdown.clone(), subscribers.clone());
    let known = app.services().ports.registry_stamp();
    let mut initializing = Box::pin(server.serve(LimitedTransport::new(input, output)));
    // One listener from first to last: a signal between two of them would be lost.
    let mut shutdown_signal = Box::pin(shutdown::signal());
    let running = tokio::select! {
        running = &mut initializing => match running {
            Ok(running) => running,
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(_) => return Err(ServeError::NoGreeting),
        },
        () = &mut shutdown_signal => return Ok(()),
    };
    run_in_background(&app, &shutdown, &subscribers, known);
    let stop = running.cancellation_token();
    let signalled = shutdown.clone();
    tokio::spawn(async move {
        shutdown_signal.await;
        signalled.begin();
        signalled.drained().await;
        stop.cancel();
    });
    let ended = running.waiting().await;
    // Another process may hold the ledger for longer than the host would wait.
    let _ = tokio::time::timeout(FLUSH_TIMEOUT, app.close_audit()).await;
    ended.map(drop).map_err(|_| ServeError::Broken)
}

/// Returns the handler that [`serve`] runs, for a transport that the program does not have.
///
/// All its callers count as one client, and its background jobs run until the runtime ends.
///
/// # Panics
/// Outside of a runtime.
#[cfg(feature = "conformance")]
pub fn handler(app: Arc<App>, tool_filter: ToolFilter) -> impl rmcp::ServerHandler + Clone {
    let (shutdown, subscribers) = (Shutdown::new(), Subscribers::default());
    run_in_background(&app, &shutdown, &subscribers, app.services().ports.registry_stamp());
    let options = ServerOptions { tool_filter, timeout: ANSWER_TIMEOUT };
    Server::new(app, options, shutdown, subscribers)
}

/// Why serving ended badly.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the connection was interrupted")]
    Broken,
    #[error("the client's first message was neither initialize nor server/discover")]
    NoGreeting,
}

/// Starts the jobs beside the answers: audit rows, notifications, alerts, recovery, lifetimes and caps.
///
/// `known` is the state of the registry's files before a client could read them.
fn run_in_background(app: &Arc<App>, shutdown: &Shutdown, subscribers: &Subscribers, known: RegistryStamp) {
    let services = app.services();
    let listener = subscribers.clone();
    app.on_change(Arc::new(move |name| listener.publish(Change::Project(name.clone()))));
    tokio::spawn(write_audit(Arc::clone(app), shutdown.clone()));
    tokio::spawn(subscribers.clone().run());
    tokio::spawn(subscriptions::watch_registry(Arc::clone(services), subscribers.clone(), known));
    alerts::run_in_background(Arc::clone(services), subscribers.clone());
    recover_in_background(Arc::clone(services));
    tokio::spawn(scheduler::run(Arc::clone(services), subscribers.clone()));
}

/// Writes audit rows and seals them, at most once a second, until the server stops: the last flush takes the rest.
async fn write_audit(app: Arc<App>, shutdown: Shutdown) {
    loop {
        app.audit_waiting().await;
        tokio::select! {
            () = tokio::time::sleep(AUDIT_INTERVAL) => {}
            () = shutdown.begun() => return,
        }
        app.flush_audit(true).await;
    }
}

/// Finishes what an earlier process left open. The first answer does not wait for it.
fn recover_in_background(services: Arc<Provisioner>) {
    tokio::task::spawn_blocking(move || match services.projects.recover() {
        Ok(recovered) => {
            if !recovered.is_empty()
                && let Err(error) = services.audit.seal()
            {
                tracing::warn!("the head record of the audit is behind: {error}");
            }
            for project in recovered {
                match project.outcome {
                    Ok(outcome) => {
                        tracing::info!(project = %project.name, "left open by an earlier process: {outcome}");
                    }
                    Err(error) => tracing::warn!(project = %project.name, "still open: {error}"),
                }
            }
        }
        Err(error) => tracing::warn!("recovery is not possible: {error}"),
    });
}

/// Long enough to read and to think; after it, the request can be decided at the terminal.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// How long the last rows of the audit may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Seldom enough to cost a busy server nothing.
const AUDIT_INTERVAL: Duration = Duration::from_secs(1);
