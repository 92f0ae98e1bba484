//! The MCP server over streamable HTTP, on the loopback, for a conformance suite that needs it.
//!
//! The HTTP is rmcp's own and is in no release; the server is the released one. Sessions are for clients of the legacy
//! era; a modern client sends each request by itself. It takes a folder, prints its address, and runs until it is ended.

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
};

use axum::Router;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use stripe_projects_mcp::{
    app::App,
    mcp::{self, ToolFilter},
    settings::{CliOptions, Settings},
};
use tokio::{net::TcpListener, runtime::Handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args_os().nth(1).map(PathBuf::from).ok_or("the folder to work in is missing")?;
    let settings = Settings::resolve(CliOptions { dir: Some(dir), ..CliOptions::default() })?;
    let services = Arc::new(settings.for_agents().provisioner(Handle::current())?);
    let app = Arc::new(App::new(services, Arc::new(|warning| drop(writeln!(io::stderr(), "{warning}")))));
    let handler = mcp::handler(app, ToolFilter::everything());

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts([address.to_string(), format!("localhost:{}", address.port())])
        .with_allowed_origins([format!("http://{address}"), format!("http://localhost:{}", address.port())]);
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
    writeln!(io::stdout(), "http://{address}/mcp")?;
    axum::serve(listener, Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}
