//! A client that writes raw lines and sees every byte that comes back. It can send what no library would.

use std::{
    io::Write as _,
    mem,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    secret_leaks::assert_no_key_in_output,
    workspace::{CommandOutput, Workspace},
};

/// A server process, and all its output so far.
pub struct RawClient {
    child: Child,
    input: Option<ChildStdin>,
    output: Stream,
    errors: Stream,
    sent: u64,
}

impl RawClient {
    pub fn open(workspace: &Workspace) -> Self {
        Self::start(workspace.command(&["serve"]))
    }

    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self {
            input: child.stdin.take(),
            output: Stream::read_from(output),
            errors: Stream::read_from(errors),
            child,
            sent: 0,
        }
    }

    /// Starts a server and initializes it as a client of the legacy era.
    pub fn initialize(workspace: &Workspace) -> Self {
        let mut client = Self::open(workspace);
        client.initialize_as("lines");
        client
    }

    pub fn initialize_as(&mut self, name: &str) {
        let client = json!({ "name": name, "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        self.request("initialize", &params);
        self.write_line(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
    }

    /// Writes any bytes as one line.
    pub fn write_line(&mut self, line: impl AsRef<[u8]>) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_ref()).and_then(|()| input.write_all(b"\n")).unwrap();
    }

    /// Sends a request without waiting for its response.
    pub fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.sent += 1;
        let id = self.sent;
        self.write_line(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        id
    }

    pub fn send_call(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.send("tools/call", &json!({ "name": tool, "arguments": arguments }))
    }

    /// Sends a request and waits for its response.
    pub fn request(&mut self, method: &str, params: &Value) -> Value {
        let mut place = self.output.whole_lines(); // a response cannot precede its request
        let id = self.send(method, params);
        until("an answer", || {
            let lines = self.output.lines_after(&mut place);
            parse_messages(&lines).find(|answer| answer["id"] == id)
        })
    }

    /// Calls a tool and waits for its structured content.
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.request("tools/call", &json!({ "name": tool, "arguments": arguments }))["result"]["structuredContent"]
            .take()
    }

    /// Returns every message so far, without an incomplete line.
    pub fn messages(&self) -> Vec<Value> {
        parse_messages(&self.output.lines_after(&mut 0)).collect()
    }

    /// Returns the output on stderr so far.
    pub fn errors(&self) -> String {
        self.errors.text()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes stdin, as a finished client does, and waits for the process to end.
    pub fn disconnect(mut self) -> CommandOutput {
        drop(self.input.take());
        self.wait()
    }

    /// Kills the process.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the process to end by itself.
    pub fn wait(mut self) -> CommandOutput {
        let status = until("the end of the process", || self.child.try_wait().unwrap());
        let code = status.code().unwrap_or(-1);
        CommandOutput { code, stdout: self.output.whole(), stderr: self.errors.whole() }
    }
}

fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

fn parse_messages(lines: &str) -> impl Iterator<Item = Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// The output of a pipe so far. A thread reads it, so that the process never waits for its reader.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read_from(mut pipe: impl std::io::Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    /// An incomplete character shows as a replacement until the rest is there.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Counts the bytes in whole lines.
    fn whole_lines(&self) -> usize {
        whole_lines(&self.bytes.lock().unwrap())
    }

    /// Returns the whole lines behind a position, and moves it to their end.
    fn lines_after(&self, place: &mut usize) -> String {
        let bytes = self.bytes.lock().unwrap();
        let begin = mem::replace(place, whole_lines(&bytes));
        String::from_utf8(bytes[begin..*place].to_vec()).unwrap()
    }

    fn whole(mut self) -> String {
        self.reader.take().unwrap().join().unwrap();
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_no_key_in_output(&self.bytes.lock().unwrap());
        }
    }
}

/// Polls until there is a value, with a deadline that only a hang reaches.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
