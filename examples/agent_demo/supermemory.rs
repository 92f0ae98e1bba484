//! The client of Supermemory's API: where a key may go, and what the service makes of it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use rustls::crypto::ring;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use stripe_projects_mcp::secret::Secret;
use thiserror::Error;

/// Where the API is: over https, or on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Base(Url);

/// A client that sends a key to its base's host and to nobody else.
pub struct Supermemory {
    base: Base,
    http: Client,
}

/// How long to ask again for what takes its time: what was stored is searchable later, and a key dies later.
///
/// The last question is asked within `within`; its answer has the client's own time.
#[derive(Clone, Copy)]
pub struct Patience {
    pub within: Duration,
    pub every: Duration,
}

/// What went wrong. Nothing of a request or an answer is in it but the status, so no key is.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Failure {
    #[error("the service's address must be https, or http on this machine, with no user, query or fragment")]
    BadBase,
    #[error("the key has characters that no header can carry")]
    BadKey,
    #[error("the service's answer is not what its API promises")]
    Garbled,
    #[error("the service has taken what was stored, but its search does not find it in time")]
    Late,
    #[error("no client could be made; has this machine any root certificates?")]
    NoClient,
    #[error("the service points elsewhere with {0}, and a key does not travel")]
    Redirected(StatusCode),
    #[error("the service refuses the key with {0}")]
    Refused(StatusCode),
    #[error("the service did not answer in time")]
    Slow,
    #[error("the service answered {0}")]
    Status(StatusCode),
    #[error("the service still accepts the key")]
    StillAccepted,
    #[error("the service cannot be reached")]
    Unreachable,
}

impl Base {
    /// Reads an address. What it may not be is said without repeating it.
    ///
    /// # Errors
    /// [`Failure::BadBase`] for one over which a key would travel in the open.
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

    /// Where this key belongs: the given address; without one, a simulated key at the local service and any other at
    /// Supermemory.
    ///
    /// # Errors
    /// [`Failure::BadBase`] for a given address that may not be one.
    pub fn of(key: &Secret, given: Option<&str>, local: SocketAddr) -> Result<Self, Failure> {
        match given {
            Some(given) => Self::parse(given),
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
    /// A client of the service at `base`, which has `answer_within` for each answer.
    ///
    /// # Errors
    /// [`Failure::NoClient`] when this machine cannot speak TLS.
    pub fn at(base: Base, answer_within: Duration) -> Result<Self, Failure> {
        // Only the first of a process installs one; whoever comes later finds the same.
        let _ = ring::default_provider().install_default();
        let mut http = Client::builder().redirect(redirect::Policy::none()).timeout(answer_within);
        if base.is_loopback() {
            // A proxy that the shell names has no business between two ends of one machine. Nor have certificates, and
            // a machine without any should be able to talk to itself.
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

    /// Stores a text, which is searchable some time later.
    ///
    /// # Errors
    /// Whatever kept the service from saying that it has it. It is not tried again: each write is billed.
    pub async fn store(&self, key: &Secret, text: &str) -> Result<(), Failure> {
        let document = json!({ "content": text, "containerTag": CONTAINER });
        let request = self.http.post(self.base.join(["v3", "documents"])?).json(&document);
        let stored: Stored = ask(request, key).await?;
        if stored.id.is_empty() { Err(Failure::Garbled) } else { Ok(()) }
    }

    /// The texts that the service finds, most relevant first.
    ///
    /// # Errors
    /// Whatever kept the service from answering.
    pub async fn search(&self, key: &Secret, words: &str) -> Result<Vec<String>, Failure> {
        let question = json!({ "q": words, "limit": LIMIT });
        let request = self.http.post(self.base.join(["v3", "search"])?).json(&question);
        let found: Found = ask(request, key).await?;
        Ok(found.results.into_iter().flat_map(Hit::texts).collect())
    }

    /// Searches until a text is found that contains `wanted`.
    ///
    /// # Errors
    /// [`Failure::Late`] when patience ends first; at once for what time does not heal.
    pub async fn find(&self, key: &Secret, words: &str, wanted: &str, patience: Patience) -> Result<(), Failure> {
        let attempt = async || {
            let texts = self.search(key, words).await?;
            if texts.iter().any(|text| text.contains(wanted)) { Ok(()) } else { Err(Failure::Late) }
        };
        until(patience, attempt).await
    }

    /// Searches until the service refuses the key, and says how it does.
    ///
    /// # Errors
    /// [`Failure::StillAccepted`] when patience ends first; at once for what time does not heal.
    pub async fn refusal(&self, key: &Secret, patience: Patience) -> Result<StatusCode, Failure> {
        let attempt = async || match self.search(key, "anybody there?").await {
            Ok(_) => Err(Failure::StillAccepted),
            Err(Failure::Refused(status)) => Ok(status),
            Err(failure) => Err(failure),
        };
        until(patience, attempt).await
    }
}

impl Failure {
    /// Whether the same question may have another answer later.
    fn may_pass(self) -> bool {
        match self {
            Self::BadBase | Self::BadKey | Self::Garbled | Self::NoClient | Self::Redirected(_) | Self::Refused(_) => {
                false
            }
            Self::Late | Self::Slow | Self::StillAccepted | Self::Unreachable => true,
            Self::Status(status) => status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
        }
    }

    /// What reqwest says quotes the address, so only its kind is kept.
    fn of(error: &reqwest::Error) -> Self {
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
struct Found {
    results: Vec<Hit>,
}

/// A document that matches: its matching parts, and sometimes the whole of it.
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

async fn until<T>(patience: Patience, attempt: impl AsyncFn() -> Result<T, Failure>) -> Result<T, Failure> {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Err(failure) if failure.may_pass() && begun.elapsed() + patience.every <= patience.within => {
                tokio::time::sleep(patience.every).await;
            }
            end => return end,
        }
    }
}

async fn ask<T: DeserializeOwned>(request: RequestBuilder, key: &Secret) -> Result<T, Failure> {
    let answer = request.bearer_auth(key.expose()).send().await.map_err(|error| Failure::of(&error))?;
    match answer.status() {
        status if status.is_success() => serde_json::from_slice(&read(answer).await?).map_err(|_| Failure::Garbled),
        status if status.is_redirection() => Err(Failure::Redirected(status)),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Failure::Refused(status)),
        status => Err(Failure::Status(status)),
    }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| Failure::of(&error))? {
        body.extend_from_slice(&part);
        if body.len() > LARGEST_ANSWER {
            return Err(Failure::Garbled);
        }
    }
    Ok(body)
}

/// Supermemory itself.
pub const SUPERMEMORY: &str = "https://api.supermemory.ai";

/// How every key of the simulation begins.
const SIMULATED: &str = "sk_proj_sim_";

/// What the demo's documents are filed under.
const CONTAINER: &str = "agent-demo";

const LIMIT: u8 = 10;

/// In bytes; ten short texts are far below.
const LARGEST_ANSWER: usize = 1 << 20;
