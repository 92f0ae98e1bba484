//! The reference for the start: an rmcp server that does nothing, in this very executable.

use rmcp::{ServerHandler, ServiceExt as _};

pub const ARGUMENT: &str = "bare-rmcp-server";

struct Bare;

impl ServerHandler for Bare {}

pub fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let Ok(running) = Bare.serve(rmcp::transport::io::stdio_pipes()).await {
            let _ = running.waiting().await;
        }
    });
}
