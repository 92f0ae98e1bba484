//! The plainest client: one line out, one line in.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde_json::{Value, json};

use crate::workspace::Workspace;

/// A running server and a session with it, in the legacy era.
pub struct Raw {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Raw {
    pub fn start(workspace: &Workspace) -> Self {
        let mut command = workspace.command(&["serve"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Self { child, input, output, id: 0 };
        let client = json!({ "name": "test", "version": "1" });
        server.request(
            "initialize",
            &json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client }),
        );
        server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        server
    }

    /// The result of a tool call.
    pub fn call(&mut self, tool: &str, arguments: &str) -> Value {
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        self.request("tools/call", &json!({ "name": tool, "arguments": arguments }))["result"].take()
    }

    fn request(&mut self, method: &str, params: &Value) -> Value {
        self.id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params }));
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
