//! Serves MCP over streamable HTTP on the loopback, for a conformance suite that supports no other transport.
//!
//! The HTTP front end is rmcp's and in no release; the server behind it is the released one. Clients of the legacy era get
//! sessions, those of the modern era are stateless. The program takes a folder, prints its address on stdout, and runs until
//! it is killed.

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
    mcp::{self, ToolFilter},
    settings::{CliOptions, Settings},
};
use tokio::{net::TcpListener, runtime::Handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args_os().nth(1).map(PathBuf::from).ok_or("the argument FOLDER is missing")?;
    let settings = Settings::resolve(CliOptions { dir: Some(dir), ..CliOptions::default() })?;
    let door = mcp::door(Arc::new(settings.provisioner(Handle::current())), ToolFilter::everything());

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts([address.to_string(), format!("localhost:{}", address.port())])
        .with_allowed_origins([format!("http://{address}"), format!("http://localhost:{}", address.port())]);
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(door.clone()), sessions, config);
    writeln!(io::stdout(), "http://{address}/mcp")?;
    axum::serve(listener, Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}
