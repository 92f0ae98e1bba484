//! The agent: an MCP client of the real server. Everything that a model would receive is recorded.

use std::{env, error::Error, ffi::OsString, path::Path, process::Stdio};

use rmcp::{
    RoleClient, ServiceExt as _,
    model::{CallToolRequestParams, JsonObject, ReadResourceRequestParams},
    service::RunningService,
};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::recording::Recording;

pub struct Agent {
    client: RunningService<RoleClient, ()>,
    server: Child,
    sent: Recording,
    received: Recording,
}

/// Every byte of the connection: MCP in both directions, and the server's log.
pub struct Traffic {
    streams: [Vec<u8>; 3],
}

impl Agent {
    /// Records, as the user does, that servers of the workspace may use a real backend.
    pub async fn connect(
        server: &Path,
        workspace: &Path,
        flags: &[OsString],
        key: Option<&str>,
        backend: &str,
    ) -> Result<(), Box<dyn Error>> {
        let connected = command(server, &["connect", backend, "--yes"], workspace, flags, key).output().await?;
        if connected.status.success() {
            return Ok(());
        }
        Err(format!("the workspace was not connected: {}", String::from_utf8_lossy(&connected.stderr).trim()).into())
    }

    /// Starts the server in a workspace and initializes the MCP session.
    ///
    /// `key` is the server's Stripe API key; without it, the server uses the environment's.
    pub async fn start(
        server: &Path,
        workspace: &Path,
        flags: &[OsString],
        key: Option<&str>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = command(server, &["serve"], workspace, flags, key);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn()?;
        let (sent, received) = (Recording::default(), Recording::default());
        let input = server.stdin.take().ok_or("the server has no stdin")?;
        let output = server.stdout.take().ok_or("the server has no stdout")?;
        let Ok(client) = ().serve((received.wrap(output), sent.wrap(input))).await else {
            // Its pipes are closed, so it exits; stderr has the reason.
            let end = server.wait_with_output().await?;
            return Err(format!("the server did not start: {}", String::from_utf8_lossy(&end.stderr).trim()).into());
        };
        Ok(Self { client, server, sent, received })
    }

    /// Reads every resource of the server; returns the names of its tools.
    pub async fn explore(&self) -> Result<Vec<String>, Box<dyn Error>> {
        for resource in self.client.list_all_resources().await? {
            self.client.read_resource(ReadResourceRequestParams::new(resource.uri)).await?;
        }
        let tools = self.client.list_all_tools().await?;
        Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect())
    }

    /// Calls a tool and returns its structured content, a result or an error.
    pub async fn call(&self, tool: &'static str, arguments: JsonObject) -> Result<Value, Box<dyn Error>> {
        let response = self.client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await?;
        response.structured_content.ok_or_else(|| format!("{tool} returned no structured content").into())
    }

    /// Disconnects and waits for the server to exit.
    pub async fn disconnect(self) -> Result<Traffic, Box<dyn Error>> {
        self.client.cancel().await?;
        let end = self.server.wait_with_output().await?;
        if !end.status.success() {
            return Err(format!("the server exited with {}", end.status).into());
        }
        Ok(Traffic { streams: [self.sent.bytes(), self.received.bytes(), end.stderr] })
    }
}

impl Traffic {
    pub fn bytes(&self) -> usize {
        self.streams.iter().map(Vec::len).sum()
    }

    /// Counts the MCP messages, one per line.
    pub fn messages(&self) -> usize {
        self.streams.iter().take(2).flatten().filter(|byte| **byte == b'\n').count()
    }

    pub fn count(&self, text: &str) -> usize {
        let occurrences =
            |stream: &Vec<u8>| stream.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
        self.streams.iter().map(occurrences).sum()
    }
}

fn command(server: &Path, words: &[&str], workspace: &Path, flags: &[OsString], key: Option<&str>) -> Command {
    let mut command = Command::new(server);
    command.args(words).arg("--dir").arg(workspace).args(flags).kill_on_drop(true).stdin(Stdio::null());
    // Removes our own settings, so that the demo is the same in every shell; Stripe's variables stay.
    for (variable, _) in env::vars_os() {
        if variable.to_string_lossy().starts_with("STRIPE_PROJECTS_") {
            command.env_remove(variable);
        }
    }
    if let Some(key) = key {
        command.env("STRIPE_API_KEY", key);
    }
    command
}
