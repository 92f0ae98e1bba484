//! The demo's client of Supermemory. It sends a key to one host and into no error.

#[path = "../../examples/agent_demo/supermemory.rs"]
mod client;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use client::{Base, Failure, Retry, SUPERMEMORY, Supermemory};
use domain::secret::Secret;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::test]
async fn store_sends_the_documented_request() {
    let mock = MockSupermemory::start(Behavior::Well).await;
    mock.client().store(&key(), TEA).await.unwrap();
    let [request] = &mock.requests()[..] else { panic!("{:?}", mock.requests()) };
    assert_eq!(request.path, "/v3/documents");
    assert_eq!(request.body, json!({ "content": TEA, "containerTag": "agent-demo" }));
    assert_eq!(request.content_type, "application/json");
}

#[tokio::test]
async fn search_returns_chunks_and_documents() {
    let mock = MockSupermemory::start(Behavior::Well).await;
    mock.client().store(&key(), TEA).await.unwrap();
    let results = mock.client().search(&key(), "tea").await.unwrap();
    assert_eq!(results, [TEA, "the whole document", "of another shape"]);
    let request = &mock.requests()[1];
    assert_eq!(request.path, "/v3/search");
    assert_eq!(request.body, json!({ "q": "tea", "limit": 10 }));
}

#[tokio::test]
async fn key_is_sent_only_in_the_authorization_header() {
    let mock = MockSupermemory::start(Behavior::Well).await;
    mock.client().store(&key(), TEA).await.unwrap();
    mock.client().search(&key(), "tea").await.unwrap();
    for request in mock.requests() {
        assert_eq!(request.authorization, format!("Bearer {KEY}"));
        assert!(!request.body.to_string().contains(KEY) && !request.path.contains(KEY), "{request:?}");
    }
    let other = Secret::new("sm_another_key_altogether".to_owned());
    let error = Failure::Refused(StatusCode::UNAUTHORIZED);
    assert_eq!(mock.client().store(&other, TEA).await, Err(error));
    assert_eq!(mock.client().refusal(&other, AT_ONCE).await, Ok(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn base_path_is_kept() {
    let mock = MockSupermemory::start(Behavior::Well).await;
    for base in ["prefix", "prefix/"] {
        let base = Base::parse(&format!("http://{}/{base}", mock.address)).unwrap();
        // The mock has no such path, and records the request.
        let failure = Supermemory::at(base, LATER).unwrap().store(&key(), TEA).await;
        assert_eq!(failure, Err(Failure::Status(StatusCode::NOT_FOUND)));
    }
    let paths: Vec<_> = mock.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/prefix/v3/documents", "/prefix/v3/documents"]);
}

#[tokio::test]
async fn ingestion_is_waited_for() {
    let mock = MockSupermemory::start(Behavior::Ingesting { searches: 3 }).await;
    mock.client().store(&key(), TEA).await.unwrap();
    assert_eq!(mock.client().find(&key(), "tea", TEA, WITH_TIMEOUT).await, Ok(()));
    assert_eq!(mock.searches(), 4);
}

#[tokio::test]
async fn ingestion_wait_times_out() {
    let mock = MockSupermemory::start(Behavior::Ingesting { searches: usize::MAX }).await;
    mock.client().store(&key(), TEA).await.unwrap();
    assert_eq!(mock.client().find(&key(), "tea", TEA, AT_ONCE).await, Err(Failure::Late));
    assert_eq!(mock.searches(), 1);
    let brief = Retry { timeout: Duration::from_millis(30), interval: Duration::from_millis(10) };
    assert_eq!(mock.client().find(&key(), "tea", TEA, brief).await, Err(Failure::Late));
    assert!((2..=5).contains(&mock.searches()), "{}", mock.searches());
}

#[tokio::test]
async fn accepted_key_is_no_refusal() {
    let mock = MockSupermemory::start(Behavior::Well).await;
    assert_eq!(mock.client().refusal(&key(), AT_ONCE).await, Err(Failure::StillAccepted));
}

#[tokio::test]
async fn refused_search_is_not_retried_and_a_busy_one_is() {
    let refusing = MockSupermemory::start(Behavior::Answers(StatusCode::UNAUTHORIZED)).await;
    let failure = refusing.client().find(&key(), "tea", TEA, WITH_TIMEOUT).await;
    assert_eq!(failure, Err(Failure::Refused(StatusCode::UNAUTHORIZED)));
    assert_eq!(refusing.searches(), 1);
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR] {
        let busy = MockSupermemory::start(Behavior::Busy { searches: 2, status }).await;
        busy.client().store(&key(), TEA).await.unwrap();
        assert_eq!(busy.client().find(&key(), "tea", TEA, WITH_TIMEOUT).await, Ok(()), "{status}");
        assert_eq!(busy.searches(), 3, "{status}");
    }
}

#[tokio::test]
async fn write_is_sent_once_whatever_the_outcome() {
    for (behavior, _) in failures() {
        let mock = MockSupermemory::start(behavior).await;
        mock.client().store(&key(), TEA).await.unwrap_err();
        assert_eq!(mock.requests().len(), 1, "{behavior:?}");
    }
}

#[tokio::test]
async fn each_failure_has_a_name_and_shows_no_key() {
    for (behavior, expected) in failures() {
        let mock = MockSupermemory::start(behavior).await;
        for failure in [
            mock.client().store(&key(), TEA).await.unwrap_err(),
            mock.client().search(&key(), "tea").await.unwrap_err(),
        ] {
            assert_eq!(failure, expected, "{behavior:?}");
            assert!(!format!("{failure} {failure:?}").contains(KEY), "{failure}");
        }
    }
}

#[tokio::test]
async fn unreachable_service_is_reported_without_the_key() {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = Base::parse(&format!("http://{}", free.local_addr().unwrap())).unwrap();
    drop(free);
    let failure = Supermemory::at(base, LATER).unwrap().store(&key(), TEA).await.unwrap_err();
    assert_eq!(failure, Failure::Unreachable);
}

#[tokio::test]
async fn key_unfit_for_a_header_is_not_sent() {
    let mock = MockSupermemory::start(Behavior::Well).await;
    let failure = mock.client().store(&Secret::new(format!("{KEY}\nX-Other: 1")), TEA).await.unwrap_err();
    assert_eq!(failure, Failure::BadKey);
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = MockSupermemory::start(Behavior::Well).await;
    for status in [StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT] {
        let mock = MockSupermemory::start(Behavior::Redirects { to: elsewhere.address, status }).await;
        assert_eq!(mock.client().store(&key(), TEA).await, Err(Failure::Redirected(status)));
        assert_eq!(mock.client().search(&key(), "tea").await, Err(Failure::Redirected(status)));
        assert_eq!(mock.requests().len(), 2);
    }
    assert!(elsewhere.requests().is_empty(), "{:?}", elsewhere.requests());
}

#[test]
fn each_key_has_its_base() {
    let local = SocketAddr::from(([127, 0, 0, 1], 4000));
    let base =
        |key: &str, given| Base::for_key(&Secret::new(key.to_owned()), given, local).map(|base| base.to_string());
    assert_eq!(base("sk_proj_sim_0123456789abcdef", None), Ok("http://127.0.0.1:4000".to_owned()));
    for real in [KEY, "sk_proj_0123456789abcdef", "", "not_sk_proj_sim_"] {
        assert_eq!(base(real, None), Ok(SUPERMEMORY.to_owned()));
    }
    for key in [KEY, "sk_proj_sim_0123456789abcdef"] {
        assert_eq!(base(key, Some("http://localhost:6767/")), Ok("http://localhost:6767".to_owned()));
        assert_eq!(base(key, Some("http://memory.example")), Err(Failure::BadBase));
    }
}

#[test]
fn key_is_sent_unencrypted_to_loopback_only() {
    for good in [
        "https://memory.example",
        "https://memory.example:8443/v",
        "http://127.0.0.2:1",
        "http://[::1]:1",
        "http://LOCALHOST",
    ] {
        assert!(Base::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "http://memory.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://localhost.memory.example",
        "http://127.0.0.1.memory.example",
        "http://127.0.0.1@memory.example",
        "https://user:word@memory.example",
        "https://memory.example/?key=1",
        "https://memory.example/#there",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "memory.example",
        "",
    ] {
        assert_eq!(Base::parse(bad), Err(Failure::BadBase), "{bad}");
    }
}

/// A mock of Supermemory: it has one key, stores documents, and behaves as configured.
struct MockSupermemory {
    address: SocketAddr,
    state: Arc<Memory>,
}

struct Memory {
    behavior: Behavior,
    searches: AtomicUsize,
    documents: Mutex<Vec<String>>,
    requests: Mutex<Vec<Request>>,
}

#[derive(Clone, Copy, Debug)]
enum Behavior {
    Answers(StatusCode),
    /// Rejects that many searches.
    Busy {
        searches: usize,
        status: StatusCode,
    },
    /// A valid response that is far too long.
    Flood,
    Garbage(&'static str),
    /// Returns nothing for that many searches.
    Ingesting {
        searches: usize,
    },
    Redirects {
        to: SocketAddr,
        status: StatusCode,
    },
    /// Never answers.
    Slow,
    Well,
}

#[derive(Clone, Debug)]
struct Request {
    path: String,
    authorization: String,
    content_type: String,
    body: Value,
}

impl MockSupermemory {
    async fn start(behavior: Behavior) -> Self {
        let (searches, documents, requests) = (AtomicUsize::default(), Mutex::default(), Mutex::default());
        let state = Arc::new(Memory { behavior, searches, documents, requests });
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, state }
    }

    fn client(&self) -> Supermemory {
        let base = Base::parse(&format!("http://{}", self.address)).unwrap();
        let client =
            Supermemory::at(base.clone(), if let Behavior::Slow = self.state.behavior { SOON } else { LATER }).unwrap();
        assert_eq!(client.base(), &base);
        client
    }

    fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    fn searches(&self) -> usize {
        self.requests().iter().filter(|request| request.path == "/v3/search").count()
    }
}

async fn answer(State(memory): State<Arc<Memory>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let request = Request {
        path: uri.path().to_owned(),
        authorization: header(header::AUTHORIZATION),
        content_type: header(header::CONTENT_TYPE),
        body: serde_json::from_slice(&body).unwrap(),
    };
    memory.requests.lock().unwrap().push(request.clone());
    // A careless service repeats the request.
    let careless = json!({ "error": "no", "seen": request.authorization }).to_string();
    match memory.behavior {
        Behavior::Answers(status) => (status, careless).into_response(),
        Behavior::Flood => json!({ "id": "1", "results": [], "more": "x".repeat(2 << 20) }).to_string().into_response(),
        Behavior::Garbage(text) => text.replace("KEY", KEY).into_response(),
        Behavior::Redirects { to, status } => {
            (status, [(header::LOCATION, format!("http://{to}{}", request.path))], careless).into_response()
        }
        Behavior::Slow => std::future::pending().await,
        _ if request.authorization != format!("Bearer {KEY}") => (StatusCode::UNAUTHORIZED, careless).into_response(),
        _ => memory.serve(&request),
    }
}

impl Memory {
    fn serve(&self, request: &Request) -> Response {
        match request.path.as_str() {
            "/v3/documents" => {
                self.documents.lock().unwrap().push(request.body["content"].as_str().unwrap().to_owned());
                (StatusCode::CREATED, json!({ "id": "doc_1", "status": "queued" }).to_string()).into_response()
            }
            "/v3/search" => {
                let earlier = self.searches.fetch_add(1, Ordering::SeqCst);
                match self.behavior {
                    Behavior::Busy { searches, status } if earlier < searches => status.into_response(),
                    Behavior::Ingesting { searches } if earlier < searches => search_response(&[]),
                    _ => search_response(&self.documents.lock().unwrap()),
                }
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

/// Returns a response of the API's shape, with more fields than the client needs.
fn search_response(documents: &[String]) -> Response {
    let chunks: Vec<_> = documents.iter().map(|text| json!({ "content": text, "score": 0.9 })).collect();
    let mut results = vec![json!({ "documentId": "1", "score": 0.9, "chunks": chunks, "content": null })];
    if !documents.is_empty() {
        results.push(json!({ "documentId": "2", "chunks": [], "content": "the whole document", "metadata": {} }));
        results.push(json!({ "documentId": "3", "chunks": null, "content": "of another shape" }));
        results.push(json!({ "documentId": "4", "title": null }));
    }
    json!({ "results": results, "total": results.len(), "timing": 12.5 }).to_string().into_response()
}

/// Behaviors in which every call fails, with the expected failures.
fn failures() -> Vec<(Behavior, Failure)> {
    let statuses = [
        StatusCode::BAD_REQUEST,
        StatusCode::PAYMENT_REQUIRED,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INTERNAL_SERVER_ERROR,
    ];
    let garbage = ["", "<html>KEY</html>", "{\"id\":7,\"results\":\"KEY\"}", "{\"id\":\"\",\"KEY\":1}", "[]"];
    let error = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
    let mut all = vec![(Behavior::Slow, Failure::Slow), (Behavior::Flood, Failure::Garbled)];
    all.extend(statuses.map(|status| (Behavior::Answers(status), Failure::Status(status))));
    all.extend(error.map(|status| (Behavior::Answers(status), Failure::Refused(status))));
    all.extend(garbage.map(|text| (Behavior::Garbage(text), Failure::Garbled)));
    all
}

fn key() -> Secret {
    Secret::new(KEY.to_owned())
}

const KEY: &str = "sm_canary_0123456789abcdefghij";

const TEA: &str = "the user takes tea without sugar";

/// The timeouts for a mock that never answers, and for one that does.
const SOON: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(30);

const AT_ONCE: Retry = Retry { timeout: Duration::ZERO, interval: Duration::from_millis(1) };
const WITH_TIMEOUT: Retry = Retry { timeout: Duration::from_secs(30), interval: Duration::from_millis(1) };
