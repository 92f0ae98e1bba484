//! A server as a child process, with a minimal client.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

pub struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

pub fn ours(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stripe-projects-mcp"));
    command.args(["serve", "--dir"]).arg(folder).arg("--state-dir").arg(state_of(folder));
    command.env("XDG_CONFIG_HOME", config_of(folder));
    command
}

/// Returns a configuration folder beside the workspace, with a policy that permits many projects without a person.
pub fn config_of(workspace: &Path) -> PathBuf {
    let config = workspace.with_extension("config");
    let folder = config.join("stripe-projects");
    // Once: a running server would announce a change.
    if !folder.exists() {
        fs::create_dir_all(&folder).unwrap();
        let limits = "[policy]\nmonthly_budget_usd = 1000000\nmax_live_projects = 100000\n";
        fs::write(folder.join("policy.toml"), limits).unwrap();
    }
    config
}

/// Returns the state folder of a workspace, beside it.
pub fn state_of(workspace: &Path) -> PathBuf {
    workspace.with_extension("state")
}

pub fn bare() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(super::bare_rmcp::ARGUMENT);
    command
}

impl Server {
    /// Starts the server and waits for its first response.
    pub fn start(mut command: Command, first_request: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Self { child, input, output };
        let response = server.request(first_request);
        assert!(response.contains("\"result\""), "{response}");
        if first_request == INITIALIZE {
            server.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        }
        server
    }

    pub fn call(&mut self, tool: &str, arguments: &str) {
        let response = self.request_with("tools/call", &format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#));
        assert!(response.contains("\"isError\":false"), "{response}");
    }

    pub fn request_method(&mut self, method: &str) {
        let response = self.request_with(method, "{}");
        assert!(response.contains("\"result\""), "{response}");
    }

    /// Returns the resident memory in MB.
    pub fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn request_with(&mut self, method: &str, params: &str) -> String {
        self.request(&format!(r#"{{"jsonrpc":"2.0","id":2,"method":"{method}","params":{params}}}"#))
    }

    fn request(&mut self, message: &str) -> String {
        self.send(message);
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    fn send(&mut self, message: &str) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;

pub const DISCOVER: &str = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
