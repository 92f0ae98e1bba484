//! A client of Supermemory's API that restricts where a key is sent.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use domain::secret::Secret;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use rustls::crypto::ring;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use thiserror::Error;

/// The API's base URL: https, or http on the loopback.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Base(Url);

/// A client that sends a key only to the host of its base URL.
pub struct Supermemory {
    base: Base,
    http: Client,
}

/// How long to retry, because stored texts and revoked keys take effect later.
///
/// The last attempt starts within `timeout`; its response may take the client's own timeout.
#[derive(Clone, Copy)]
pub struct Retry {
    pub timeout: Duration,
    pub interval: Duration,
}

/// A failed request. It contains nothing of a request or response except the status, so it contains no key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Failure {
    #[error("the service's address must be https, or http on this machine, without user, query or fragment")]
    BadBase,
    #[error("the key has characters that are not allowed in a header")]
    BadKey,
    #[error("the service's response does not match its API")]
    Garbled,
    #[error("the service stored the text, but its search did not find it in time")]
    Late,
    #[error("no HTTP client could be created; check this machine's root certificates")]
    NoClient,
    #[error("the service redirects with {0}, and keys are not sent to other hosts")]
    Redirected(StatusCode),
    #[error("the service refuses the key with {0}")]
    Refused(StatusCode),
    #[error("the service did not respond in time")]
    Slow,
    #[error("the service responded with {0}")]
    Status(StatusCode),
    #[error("the service still accepts the key")]
    StillAccepted,
    #[error("the service cannot be reached")]
    Unreachable,
}

impl Base {
    /// Parses an address. The error does not repeat it.
    ///
    /// # Errors
    /// [`Failure::BadBase`] for an address that would send a key unencrypted.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let url = Url::parse(text.trim()).map_err(|_| Failure::BadBase)?;
        let base = Self(url);
        let plain = base.0.username().is_empty()
            && base.0.password().is_none()
            && base.0.query().is_none()
            && base.0.fragment().is_none();
        let private = match base.0.scheme() {
            "http" => base.is_loopback(),
            "https" => true,
            _ => false,
        };
        if plain && private { Ok(base) } else { Err(Failure::BadBase) }
    }

    /// Returns the base URL for a key.
    ///
    /// That is the configured address; without one, the local service for a simulated key and Supermemory for any other.
    ///
    /// # Errors
    /// [`Failure::BadBase`] for an invalid configured address.
    pub fn for_key(key: &Secret, configured: Option<&str>, local: SocketAddr) -> Result<Self, Failure> {
        match configured {
            Some(base) => Self::parse(base),
            None if key.expose().starts_with(SIMULATED) => Self::parse(&format!("http://{local}")),
            None => Self::parse(SUPERMEMORY),
        }
    }

    fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.map_or(host == "localhost", |address| address.is_loopback())
    }

    fn join(&self, path: [&str; 2]) -> Result<Url, Failure> {
        let mut url = self.0.clone();
        url.path_segments_mut().map_err(|()| Failure::BadBase)?.pop_if_empty().extend(path);
        Ok(url)
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Supermemory {
    /// Creates a client of the service at `base`, with a timeout for each response.
    ///
    /// # Errors
    /// [`Failure::NoClient`] when TLS is not available.
    pub fn at(base: Base, timeout: Duration) -> Result<Self, Failure> {
        // Fails if another client installed it already, which has the same effect.
        let _ = ring::default_provider().install_default();
        let mut http = Client::builder().redirect(redirect::Policy::none()).timeout(timeout);
        if base.is_loopback() {
            // Loopback requests need no proxy and no certificates, and must work on machines without certificates.
            http = http.no_proxy();
            if base.0.scheme() == "http" {
                http = http.tls_certs_only([]);
            }
        }
        Ok(Self { http: http.build().map_err(|_| Failure::NoClient)?, base })
    }

    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Stores a text, which becomes searchable later. It is not retried, because each write is billed.
    pub async fn store(&self, key: &Secret, text: &str) -> Result<(), Failure> {
        let document = json!({ "content": text, "containerTag": CONTAINER });
        let request = self.http.post(self.base.join(["v3", "documents"])?).json(&document);
        let stored: Stored = send(request, key).await?;
        if stored.id.is_empty() { Err(Failure::Garbled) } else { Ok(()) }
    }

    /// Searches texts, most relevant first.
    pub async fn search(&self, key: &Secret, query: &str) -> Result<Vec<String>, Failure> {
        let question = json!({ "q": query, "limit": LIMIT });
        let request = self.http.post(self.base.join(["v3", "search"])?).json(&question);
        let response: SearchResponse = send(request, key).await?;
        Ok(response.results.into_iter().flat_map(Hit::texts).collect())
    }

    /// Searches until a text is found that contains `expected`.
    ///
    /// # Errors
    /// [`Failure::Late`] after the last attempt; a permanent failure immediately.
    pub async fn find(&self, key: &Secret, query: &str, expected: &str, retry: Retry) -> Result<(), Failure> {
        let attempt = async || {
            let texts = self.search(key, query).await?;
            if texts.iter().any(|text| text.contains(expected)) { Ok(()) } else { Err(Failure::Late) }
        };
        until(retry, attempt).await
    }

    /// Searches until the service refuses the key, and returns the status.
    ///
    /// # Errors
    /// [`Failure::StillAccepted`] after the last attempt; a permanent failure immediately.
    pub async fn refusal(&self, key: &Secret, retry: Retry) -> Result<StatusCode, Failure> {
        let attempt = async || match self.search(key, "is the key valid?").await {
            Ok(_) => Err(Failure::StillAccepted),
            Err(Failure::Refused(status)) => Ok(status),
            Err(failure) => Err(failure),
        };
        until(retry, attempt).await
    }
}

impl Failure {
    /// Returns whether a retry may succeed.
    fn is_temporary(self) -> bool {
        match self {
            Self::BadBase | Self::BadKey | Self::Garbled | Self::NoClient | Self::Redirected(_) | Self::Refused(_) => {
                false
            }
            Self::Late | Self::Slow | Self::StillAccepted | Self::Unreachable => true,
            Self::Status(status) => status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
        }
    }

    /// Keeps only the kind of a reqwest error, because its text quotes the address.
    fn from_reqwest(error: &reqwest::Error) -> Self {
        match error {
            _ if error.is_builder() => Self::BadKey,
            _ if error.is_timeout() => Self::Slow,
            _ => Self::Unreachable,
        }
    }
}

#[derive(Deserialize)]
struct Stored {
    id: String,
}

#[derive(Deserialize)]
struct SearchResponse {
    results: Vec<Hit>,
}

/// A matching document: its matching chunks, and sometimes its full text.
#[derive(Deserialize)]
struct Hit {
    chunks: Option<Vec<Chunk>>,
    content: Option<String>,
}

#[derive(Deserialize)]
struct Chunk {
    content: Option<String>,
}

impl Hit {
    fn texts(self) -> impl Iterator<Item = String> {
        let chunks = self.chunks.into_iter().flatten().filter_map(|chunk| chunk.content);
        chunks.chain(self.content)
    }
}

async fn until<T>(retry: Retry, attempt: impl AsyncFn() -> Result<T, Failure>) -> Result<T, Failure> {
    let start = Instant::now();
    loop {
        match attempt().await {
            Err(failure) if failure.is_temporary() && start.elapsed() + retry.interval <= retry.timeout => {
                tokio::time::sleep(retry.interval).await;
            }
            outcome => return outcome,
        }
    }
}

async fn send<T: DeserializeOwned>(request: RequestBuilder, key: &Secret) -> Result<T, Failure> {
    let response = request.bearer_auth(key.expose()).send().await.map_err(|error| Failure::from_reqwest(&error))?;
    match response.status() {
        status if status.is_success() => serde_json::from_slice(&read(response).await?).map_err(|_| Failure::Garbled),
        status if status.is_redirection() => Err(Failure::Redirected(status)),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Failure::Refused(status)),
        status => Err(Failure::Status(status)),
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| Failure::from_reqwest(&error))? {
        body.extend_from_slice(&part);
        if body.len() > MAX_RESPONSE {
            return Err(Failure::Garbled);
        }
    }
    Ok(body)
}

/// The public API of Supermemory.
pub const SUPERMEMORY: &str = "https://api.supermemory.ai";

/// The prefix of simulated keys.
const SIMULATED: &str = "sk_proj_sim_";

/// The container tag of the demo's documents.
const CONTAINER: &str = "agent-demo";

const LIMIT: u8 = 10;

/// In bytes; ten short texts are far smaller.
const MAX_RESPONSE: usize = 1 << 20;
