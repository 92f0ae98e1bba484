//! The HTTP client of the API: requests, retries and their results.
//!
//! A write carries an idempotency key and is retried with the same one, so that Stripe acts once however many attempts
//! arrive. Bodies are never logged and never quoted.

use std::{fmt, sync::OnceLock, time::Duration};

use domain::secret::Secret;
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde::de::DeserializeOwned;
use tokio::time;
use zeroize::Zeroizing;

use super::{
    api_config::ApiConfig,
    failure::{Failure, Rejection, transport},
    retry_policy::RetryPolicy,
    wire,
};
use crate::{
    BackendError, Setup,
    net::{ClientOptions, build_client},
    request_ids,
};

/// The HTTP client of the API.
pub struct Http {
    config: ApiConfig,
    retry_policy: RetryPolicy,
    client: OnceLock<Client>,
}

/// A request, by the effect that it may have if its response is lost.
enum Request<'a> {
    Get,
    /// A `POST` that changes nothing.
    Read,
    Write {
        key: &'a str,
        body: &'a str,
    },
}

/// The result of one attempt.
enum Attempt {
    /// The body of a successful response.
    Body(Zeroizing<Vec<u8>>),
    Final(Failure),
    /// It may have taken effect.
    Lost {
        why: &'static str,
        retry_after: Option<Duration>,
    },
    /// It had no effect.
    Rejected {
        why: &'static str,
        retry_after: Option<Duration>,
    },
}

impl Http {
    pub fn new(config: ApiConfig, retry_policy: RetryPolicy) -> Self {
        Self { config, retry_policy, client: OnceLock::new() }
    }

    /// Whether the key moves real money.
    ///
    /// # Errors
    /// [`Setup::KeyMissing`], [`Setup::KeyUnfit`]
    pub fn livemode(&self) -> Result<bool, Setup> {
        let key = self.config.key.as_ref().filter(|key| !key.is_empty()).ok_or(Setup::KeyMissing)?;
        let text = key.expose();
        let is_printable = text.len() <= LONGEST_KEY && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mode = PREFIXES.iter().find(|(prefix, _)| text.len() > prefix.len() && text.starts_with(prefix));
        mode.filter(|_| is_printable).map(|(_, livemode)| *livemode).ok_or(Setup::KeyUnfit)
    }

    /// The connected account to act for.
    pub fn context(&self) -> Option<&str> {
        self.config.context.as_deref()
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(&Request::Get, self.url(path)?).await
    }

    /// Gets all pages of a list.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<T>, Failure> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().append_pair("limit", "100").extend_pairs(query);
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let wire::List { data, next_page_url } = self.send(&Request::Get, url).await?;
            all.extend::<Vec<T>>(data);
            let Some(next) = next_page_url else {
                return Ok(all);
            };
            // The key is only sent to the list that was requested.
            let next = self.config.base.as_url().join(&next).filter(|next| next.as_url().path() == path);
            url = next.ok_or_else(|| malformed("next_page_url"))?.as_url().clone();
        }
        Err(malformed("next_page_url"))
    }

    /// Sends a `POST` that changes nothing.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(&Request::Read, self.url(path)?).await
    }

    /// Sends a `POST` that takes effect at most once for each `key`. `body` is JSON.
    pub async fn write<T: DeserializeOwned>(&self, path: &str, key: &str, body: &str) -> Result<T, Failure> {
        self.send(&Request::Write { key, body }, self.url(path)?).await
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        self.config.base.as_url().join(path).map(|url| url.as_url().clone()).ok_or_else(|| malformed("address"))
    }

    async fn send<T: DeserializeOwned>(&self, request: &Request<'_>, url: Url) -> Result<T, Failure> {
        let client = self.client()?;
        let (mut attempts, mut lost) = (0, None);
        loop {
            let (why, retry_after) = match attempt(client, request, url.clone()).await {
                Attempt::Body(body) => return decoded(request, &body),
                // A rejected retry does not tell whether an earlier attempt succeeded.
                Attempt::Final(Failure::NotSent(error)) => return Err(not_sent(request, lost, error)),
                Attempt::Final(failure) => return Err(failure),
                Attempt::Lost { why, retry_after } => {
                    lost = Some(why);
                    (why, retry_after)
                }
                Attempt::Rejected { why, retry_after } => (why, retry_after),
            };
            attempts += 1;
            if attempts > self.retry_policy.max_retries {
                return Err(not_sent(request, lost, BackendError::Unavailable { why: why.into() }));
            }
            time::sleep(self.retry_policy.pause(attempts, retry_after)).await;
        }
    }

    /// The client, built on first use: a start without requests reads no certificates.
    fn client(&self) -> Result<&Client, BackendError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.build()?;
        Ok(self.client.get_or_init(|| client))
    }

    fn build(&self) -> Result<Client, BackendError> {
        self.livemode()?;
        let options = ClientOptions {
            url: self.config.base.as_url(),
            headers: self.headers()?,
            connect_timeout: self.retry_policy.connect_timeout,
            request_timeout: self.retry_policy.request_timeout,
            may_use_proxy: true,
            pinned: None,
        };
        build_client(options).map_err(|error| BackendError::Unavailable { why: error.into() })
    }

    fn headers(&self) -> Result<HeaderMap, BackendError> {
        let key = self.config.key.as_ref().ok_or(Setup::KeyMissing)?;
        let bearer = Secret::new(format!("Bearer {}", key.expose()));
        let mut bearer = HeaderValue::from_str(bearer.expose()).map_err(|_| Setup::KeyUnfit)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", bearer);
        headers.insert("stripe-version", HeaderValue::from_static(VERSION));
        if let Some(context) = &self.config.context {
            let why = "the Stripe context is not the id of an account";
            let context = HeaderValue::from_str(context).ok().filter(|value| is_token(value.as_bytes()));
            let context = context.ok_or_else(|| BackendError::Unavailable { why: why.into() })?;
            headers.insert("stripe-context", context);
        }
        Ok(headers)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base", &self.config.base.as_str()).finish_non_exhaustive()
    }
}

/// Decodes a response as it is for a caller without retries.
#[cfg(any(test, feature = "fuzzing"))]
pub fn decode_response<T: DeserializeOwned>(is_write: bool, status: StatusCode, body: &[u8]) -> Result<T, Failure> {
    let request = if is_write { Request::Write { key: "", body: "" } } else { Request::Get };
    let unavailable = |why: &str| BackendError::Unavailable { why: why.into() };
    match classify(&request, status, None, Zeroizing::new(body.to_vec())) {
        Attempt::Body(body) => decoded(&request, &body),
        Attempt::Final(failure) => Err(failure),
        Attempt::Lost { why, .. } => Err(not_sent(&request, Some(why), unavailable(why))),
        Attempt::Rejected { why, .. } => Err(not_sent(&request, None, unavailable(why))),
    }
}

async fn attempt(client: &Client, request: &Request<'_>, url: Url) -> Attempt {
    let response = match build_request(client, request, url).send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Attempt::Rejected { why: transport(&error), retry_after: None },
        Err(error) => return Attempt::Lost { why: transport(&error), retry_after: None },
    };
    record_request_id(response.headers());
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    let body = match read_body(response).await {
        Ok(Some(body)) => body,
        Ok(None) => return Attempt::Final(not_understood(request)),
        Err(error) => return Attempt::Lost { why: transport(&error), retry_after },
    };
    classify(request, status, retry_after, body)
}

fn build_request(client: &Client, request: &Request<'_>, url: Url) -> RequestBuilder {
    match request {
        Request::Get => client.request(Method::GET, url),
        Request::Read => client.request(Method::POST, url).header(CONTENT_TYPE, JSON).body("{}"),
        Request::Write { key, body } => {
            let body = (*body).to_owned();
            client.request(Method::POST, url).header(CONTENT_TYPE, JSON).header("idempotency-key", *key).body(body)
        }
    }
}

/// Classifies a response by its status.
fn classify(
    request: &Request<'_>,
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Zeroizing<Vec<u8>>,
) -> Attempt {
    match status.as_u16() {
        200..=299 => Attempt::Body(body),
        401 => Attempt::Final(Failure::NotSent(BackendError::Unauthenticated)),
        408 => Attempt::Lost { why: "Stripe did not receive the request in time", retry_after },
        429 => Attempt::Rejected { why: "Stripe's rate limit is exceeded", retry_after },
        400..=499 => {
            let wire::ErrorResponse { error } = serde_json::from_slice(&body).unwrap_or_default();
            classify_rejection(request, status, retry_after, &error)
        }
        500..=599 => Attempt::Lost { why: "Stripe had an internal error", retry_after },
        other => Attempt::Final(Failure::Malformed { what: "HTTP status", got: other.to_string() }),
    }
}

fn classify_rejection(
    request: &Request<'_>,
    status: StatusCode,
    retry_after: Option<Duration>,
    error: &wire::ErrorBody,
) -> Attempt {
    let rejection = Rejection::new(status.as_u16(), error);
    if status == StatusCode::FORBIDDEN && !rejection.is_about_the_account() {
        return Attempt::Final(Failure::NotSent(BackendError::Unauthenticated));
    }
    let mentions = |text: &str| [&error.code, &error.kind].into_iter().flatten().any(|code| code.contains(text));
    let is_busy = mentions("lock") || mentions("in_use") || (error.code.is_none() && error.kind.is_none());
    if status == StatusCode::CONFLICT && is_busy {
        return Attempt::Lost { why: "Stripe is still processing an earlier request", retry_after };
    }
    if mentions("idempotency_error") && matches!(request, Request::Write { .. }) {
        let why = "Stripe has another request with the same idempotency key";
        return Attempt::Final(Failure::Lost { why: why.to_owned() });
    }
    Attempt::Final(Failure::Refused(rejection))
}

/// The failure of a request that was given up: unknown if an earlier attempt of a write was lost.
fn not_sent(request: &Request<'_>, lost: Option<&'static str>, error: BackendError) -> Failure {
    match (request, lost) {
        (Request::Write { .. }, Some(why)) => Failure::Lost { why: why.to_owned() },
        _ => Failure::NotSent(error),
    }
}

fn decoded<T: DeserializeOwned>(request: &Request<'_>, body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| not_understood(request)) // the parser's message could quote the body
}

fn not_understood(request: &Request<'_>) -> Failure {
    match request {
        Request::Get | Request::Read => malformed("body"),
        Request::Write { .. } => Failure::Lost { why: "Stripe's response is not understood".into() },
    }
}

fn malformed(what: &'static str) -> Failure {
    Failure::Malformed { what, got: "…".to_owned() }
}

/// Reads a body; `None` if it is longer than any that Stripe sends.
async fn read_body(mut response: Response) -> Result<Option<Zeroizing<Vec<u8>>>, reqwest::Error> {
    let declared = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Zeroizing::new(Vec::with_capacity(declared.unwrap_or_default().min(LONGEST_BODY)));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn record_request_id(headers: &HeaderMap) {
    let id = headers.get("request-id").filter(|id| id.as_bytes().starts_with(b"req_") && is_token(id.as_bytes()));
    if let Some(id) = id {
        request_ids::record(&String::from_utf8_lossy(id.as_bytes()));
    }
}

/// How long Stripe asks clients to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn is_token(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=LONGEST_TOKEN).contains(&text.len()) && text.iter().all(is_plain)
}

/// Whether a text can be an id of Stripe's, and so part of a path.
pub fn is_id(text: &str) -> bool {
    is_token(text.as_bytes())
}

const VERSION: &str = "2026-10-14.preview";

const JSON: &str = "application/json";

/// Prefixes of Stripe's keys, and whether they move real money.
const PREFIXES: &[(&str, bool)] = &[("rk_live_", true), ("rk_test_", false), ("sk_live_", true), ("sk_test_", false)];

const LONGEST_KEY: usize = 512;

/// The length of an id, in bytes.
const LONGEST_TOKEN: usize = 64;

/// With a hundred items on each page, more than any account has.
const MAX_PAGES: usize = 50;

/// In bytes.
const LONGEST_BODY: usize = 4 << 20;
