//! The simulator as a process, and an HTTP client for it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use domain::project::ResourceId;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::workspace::Workspace;

/// A running simulator, and a client for it.
pub struct Simulator {
    pub workspace: Workspace,
    pub process: SimulatorProcess,
    client: Client,
    runtime: Runtime,
}

/// The process. It ends when this value is dropped.
pub struct SimulatorProcess {
    pub base: String,
    child: Child,
}

/// A response of the simulator.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    /// Null when it is not JSON.
    pub body: Value,
}

impl Simulator {
    pub fn start() -> Self {
        Self::start_in(Workspace::new(), &[])
    }

    pub fn start_in(workspace: Workspace, more: &[&str]) -> Self {
        let client = client();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { process: SimulatorProcess::start(&workspace, more), workspace, client, runtime }
    }

    /// Terminates the process as a service manager would, and starts another on the same data.
    pub fn restart(mut self) -> Self {
        assert_eq!(self.process.terminate(), Some(0));
        Self::start_in(std::mem::replace(&mut self.workspace, Workspace::new()), &[])
    }

    pub fn get(&self, path: &str) -> Response {
        self.send(self.request(Method::GET, path)).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send(self.request(Method::POST, path).json(body)).unwrap()
    }

    pub fn post_as(&self, key: &str, path: &str, body: &Value) -> Response {
        self.try_post_as(key, path, body).unwrap()
    }

    /// Returns an error if no response came.
    pub fn try_post_as(&self, key: &str, path: &str, body: &Value) -> Result<Response, reqwest::Error> {
        self.send(self.request(Method::POST, path).header("idempotency-key", key).json(body))
    }

    /// Creates a request with the headers that Stripe requires.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare_request(method, path).bearer_auth("rk_test_x").header("stripe-version", VERSION)
    }

    /// Creates a request to the API without any header.
    pub fn bare_request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with('/') { path.to_owned() } else { format!("/v2/provisioning/{path}") };
        self.client.request(method, format!("{}{url}", self.process.base))
    }

    pub fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        self.runtime.block_on(fetch(request))
    }

    /// Sends all requests concurrently.
    pub fn send_concurrently(&self, requests: Vec<RequestBuilder>) -> Vec<Response> {
        self.runtime.block_on(async {
            let tasks: Vec<_> = requests.into_iter().map(|request| tokio::spawn(fetch(request))).collect();
            let mut answers = Vec::new();
            for answer in tasks {
                answers.push(answer.await.unwrap().unwrap());
            }
            answers
        })
    }

    /// Injects a fault.
    pub fn inject(&self, fault: &Value) {
        self.process.inject(fault);
    }

    /// Returns the resource that a revealed key belongs to.
    pub fn owner_of(&self, key: &Value) -> Option<String> {
        self.workspace.owner_of(key.as_str().unwrap()).map(|id: ResourceId| id.as_str().to_owned())
    }

    /// Counts the existing resources, which may be billed.
    pub fn resources(&self) -> usize {
        self.workspace.world().observe_everything().unwrap().len()
    }
}

impl Response {
    /// Returns the text at a JSON pointer such as `/error/code`.
    pub fn text_at(&self, place: &str) -> &str {
        let value = self.body.pointer(place).unwrap_or_else(|| panic!("no {place}: {self:?}"));
        value.as_str().unwrap_or_else(|| panic!("{place}: {self:?}"))
    }

    /// Returns status and code of an error.
    pub fn error(&self) -> (u16, &str) {
        (self.status, self.text_at("/error/code"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl SimulatorProcess {
    /// Serves the simulated account of that workspace.
    pub fn start(workspace: &Workspace, more: &[&str]) -> Self {
        let mut arguments = vec!["simulator", "--listen", "127.0.0.1:0"];
        arguments.extend(more);
        let mut child = workspace.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { base, child }
    }

    /// Injects a fault.
    pub fn inject(&self, fault: &Value) {
        let planned = ask(|client| client.post(format!("{}/_simulator/faults", self.base)).json(fault));
        assert_eq!(planned, 200);
    }

    /// Removes the injected faults.
    pub fn clear_faults(&self) {
        assert_eq!(ask(|client| client.delete(format!("{}/_simulator/faults", self.base))), 200);
    }

    /// Opens a URL and presses the button of its page, as a user does in a browser.
    #[expect(clippy::unused_self, reason = "the address is this process's")]
    pub fn open(&self, url: &str) {
        assert_eq!(ask(|client| client.get(url)), 200);
        let (scheme, rest) = url.split_once("://").unwrap();
        let origin = format!("{scheme}://{}", rest.split('/').next().unwrap());
        assert_eq!(
            ask(|client| client.post(url).header("origin", origin).header("sec-fetch-site", "same-origin")),
            200
        );
    }

    /// Sends SIGTERM and returns the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for SimulatorProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the status of a response outside the API.
fn ask(request: impl FnOnce(&Client) -> RequestBuilder) -> u16 {
    let request = request(&client());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(fetch(request)).unwrap().status
}

/// Installs a crypto provider, which reqwest needs to build a client even for plain HTTP.
fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

async fn fetch(request: RequestBuilder) -> Result<Response, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Response { status, headers, text, body })
}

pub const VERSION: &str = "2026-10-14.preview";
