//! A mock of Stripe's API on the loopback, with scripted responses and recorded requests.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

pub struct MockStripeApi {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<ReceivedRequest>>,
    /// By method and path; the last response to each stays.
    script: Mutex<BTreeMap<String, VecDeque<Reply>>>,
}

/// A request as received.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// `GET /path?query`.
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

#[derive(Clone)]
pub enum Reply {
    /// Closes the connection without a response.
    Drop,
    Http {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
}

/// Responds with status 200.
pub fn ok(body: &Value) -> Reply {
    status(200, body)
}

pub fn status(status: u16, body: &Value) -> Reply {
    raw(status, body.to_string().as_bytes())
}

pub fn raw(status: u16, body: &[u8]) -> Reply {
    Reply::Http { status, headers: Vec::new(), body: body.to_vec() }
}

/// Responds with an error that quotes secrets.
pub fn refusal(code: u16, error_code: &str) -> Reply {
    status(code, &json!({ "error": { "code": error_code, "message": CANARY, "type": "invalid_request_error" } }))
}

impl Reply {
    pub fn with(self, name: &str, value: &str) -> Self {
        match self {
            Self::Http { status, mut headers, body } => {
                headers.push((name.to_owned(), value.to_owned()));
                Self::Http { status, headers, body }
            }
            Self::Drop => Self::Drop,
        }
    }
}

impl MockStripeApi {
    /// Starts a server without a script.
    pub fn unscripted() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&theirs);
                thread::spawn(move || shared.serve(&stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    /// Starts a server with which a whole provision succeeds.
    pub fn scripted() -> Self {
        let api = Self::unscripted();
        api.on("GET /v2/provisioning/catalog/providers", [ok(&providers())]);
        api.on(
            "GET /v2/provisioning/catalog/services",
            [
                ok(&services(
                    &[row("prvdr_other", "memory", "free"), row("prvdr_1", "hobby", "free")],
                    Some(SECOND_PAGE),
                )),
                ok(&services(&[row("prvdr_1", "memory", "paid"), row("prvdr_1", "startup", "free")], None)),
                // For a second search, which happens if there is a plan.
                ok(&services(&[row("prvdr_1", "memory", "paid"), row("prvdr_1", "startup", "free")], None)),
            ],
        );
        let connection = json!({ "id": "c", "object": "x", "provider": "prvdr_1", "status": "active" });
        api.on("GET /v2/provisioning/provider_connections", [ok(&json!({ "data": [connection] }))]);
        api.on("POST /v2/provisioning/projects", [ok(&json!({ "id": "proj_at_stripe", "name": "n" }))]);
        api.on("POST /v2/provisioning/payment_profile/update_limit", [ok(&json!({ "object": "p", "new": [1] }))]);
        api.on("POST /v2/provisioning/resources", [ok(&resource("complete"))]);
        api.on("GET /v2/provisioning/resources/fres_1", [ok(&resource("complete"))]);
        api.on("POST /v2/provisioning/resources/fres_1/reveal_access_configuration", [ok(&revealed())]);
        api
    }

    /// Scripts the responses from now on, in order; the last one stays.
    pub fn on(&self, line: &str, replies: impl IntoIterator<Item = Reply>) {
        self.shared.script.lock().unwrap().insert(line.to_owned(), replies.into_iter().collect());
    }

    pub fn received(&self) -> Vec<ReceivedRequest> {
        self.shared.received.lock().unwrap().clone()
    }

    pub fn request_lines(&self) -> Vec<String> {
        self.received().into_iter().map(|received| received.line).collect()
    }

    /// Returns the requests with that line.
    pub fn requests_to(&self, line: &str) -> Vec<ReceivedRequest> {
        self.received().into_iter().filter(|received| received.line == line).collect()
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(received) = read(&mut reader) {
            let path = received.line.split('?').next().unwrap().to_owned();
            self.received.lock().unwrap().push(received);
            let mut script = self.script.lock().unwrap();
            let reply = match script.get_mut(&path) {
                Some(replies) if replies.len() > 1 => replies.pop_front().unwrap(),
                Some(replies) => replies.front().unwrap().clone(),
                None => refusal(404, "unscripted"),
            };
            drop(script);
            let Reply::Http { status, headers, body } = reply else {
                return;
            };
            let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let headers = headers.concat();
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\nrequest-id: req_{status}\r\ncontent-length: {length}\r\n{headers}\r\n");
            let mut stream = stream;
            if stream.write_all(&[head.as_bytes(), &body].concat()).is_err() {
                return; // a client that stops reading has received enough
            }
        }
    }
}

/// Reads the next HTTP request, if the connection has one.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<ReceivedRequest> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8(line).ok()?;
    let line = line.strip_suffix(" HTTP/1.1\r\n")?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(ReceivedRequest { line, headers, body: String::from_utf8(body).unwrap() })
}

pub fn resource(status: &str) -> Value {
    let schema = json!({ "properties": { "company_name": { "type": "string" } } });
    json!({ "id": "fres_1", "object": "v2.provisioning.resource", "status": status, "error_message": CANARY,
            "needs_information_schema": schema, "brand_new": { "field": 1 } })
}

pub fn revealed() -> Value {
    json!({ "configuration": { "API_KEY": CREDENTIAL, "PROJECT_ID": "p1" }, "resource": "fres_1" })
}

pub fn providers() -> Value {
    json!({ "data": [{ "id": "prvdr_other", "name": "Other" }, { "id": "prvdr_1", "name": "Super Memory" }] })
}

pub fn services(rows: &[Value], next: Option<&str>) -> Value {
    json!({ "data": rows, "next_page_url": next })
}

pub fn row(provider: &str, service: &str, pricing: &str) -> Value {
    let schema = if service == "memory" {
        json!({ "required": ["plan"], "properties": { "plan": { "enum": ["free", "pro"] } } })
    } else {
        json!({})
    };
    json!({ "provider": provider, "service_id": service, "availability": "available", "configuration_schema": schema,
            "pricing": { "type": pricing } })
}

pub const SECOND_PAGE: &str = "/v2/provisioning/catalog/services?limit=100&page=pt_2";

pub const CREDENTIAL: &str = "sm_0123456789abcdefghijklmnop";

pub const KEY: &str = "rk_test_51canarycanarycanary";

/// Text that no output may contain: our key and a credential in Stripe's free text.
pub const CANARY: &str = "your key rk_test_51canarycanarycanary made sm_0123456789abcdefghijklmnop";
