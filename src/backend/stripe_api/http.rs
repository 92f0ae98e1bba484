//! The one client of the API: requests, tries, and what came of them.
//!
//! A change carries an idempotency key and is tried again with the same one, so that however many tries arrive, Stripe
//! acts once. Bodies are never logged and never quoted.

use std::{fmt, sync::OnceLock, time::Duration};

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
    backend::{BackendError, Setup, request_ids},
    secret::Secret,
};

/// The API, as somebody with a key sees it.
pub struct Http {
    access: ApiConfig,
    retry_policy: RetryPolicy,
    client: OnceLock<Client>,
}

/// What is asked, and so what a lost answer means.
enum Call<'a> {
    Change {
        key: &'a str,
        body: &'a str,
    },
    Get,
    /// A `POST` that changes nothing.
    Read,
}

/// What came of one try.
enum Attempt {
    Answer(Zeroizing<Vec<u8>>),
    Final(Failure),
    /// It may have been acted upon.
    Lost {
        why: &'static str,
        pause: Option<Duration>,
    },
    /// It was not.
    Rejected {
        why: &'static str,
        pause: Option<Duration>,
    },
}

impl Http {
    pub fn new(access: ApiConfig, retry_policy: RetryPolicy) -> Self {
        Self { access, retry_policy, client: OnceLock::new() }
    }

    /// Whether the key is one that moves money.
    ///
    /// # Errors
    /// When there is no key, or none that Stripe gives out.
    pub fn livemode(&self) -> Result<bool, Setup> {
        let key = self.access.key.as_ref().filter(|key| !key.is_empty()).ok_or(Setup::KeyMissing)?;
        let text = key.expose();
        let is_whole = text.len() <= LONGEST_KEY && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mode = PREFIXES.iter().find(|(prefix, _)| text.len() > prefix.len() && text.starts_with(prefix));
        mode.filter(|_| is_whole).map(|(_, livemode)| *livemode).ok_or(Setup::KeyUnfit)
    }

    /// The connected account that is acted for.
    pub fn context(&self) -> Option<&str> {
        self.access.context.as_deref()
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(&Call::Get, self.url(path)?).await
    }

    /// All pages of a list.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<T>, Failure> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().append_pair("limit", "100").extend_pairs(query);
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let wire::List { data, next_page_url } = self.ask(&Call::Get, url).await?;
            all.extend::<Vec<T>>(data);
            let Some(next) = next_page_url else {
                return Ok(all);
            };
            // The key goes nowhere but to the list that was asked for.
            let next = self.access.base.join(&next).filter(|next| next.path() == path);
            url = next.ok_or_else(|| malformed("next_page_url"))?;
        }
        Err(malformed("next_page_url"))
    }

    /// Asks with a `POST` that changes nothing.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(&Call::Read, self.url(path)?).await
    }

    /// Changes something, at most once for each `key`. `body` is JSON.
    pub async fn change<T: DeserializeOwned>(&self, path: &str, key: &str, body: &str) -> Result<T, Failure> {
        self.ask(&Call::Change { key, body }, self.url(path)?).await
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        self.access.base.join(path).ok_or_else(|| malformed("address"))
    }

    async fn ask<T: DeserializeOwned>(&self, call: &Call<'_>, url: Url) -> Result<T, Failure> {
        let client = self.client()?;
        let (mut tries, mut lost) = (0, None);
        loop {
            let (why, pause) = match self.attempt(client, call, url.clone()).await {
                Attempt::Answer(body) => return decoded(call, &body),
                // Whether an earlier try was acted upon, a closed door does not say.
                Attempt::Final(Failure::NotSent(error)) => return Err(held(call, lost, error)),
                Attempt::Final(failure) => return Err(failure),
                Attempt::Lost { why, pause } => {
                    lost = Some(why);
                    (why, pause)
                }
                Attempt::Rejected { why, pause } => (why, pause),
            };
            tries += 1;
            if tries > self.retry_policy.most_retries {
                return Err(held(call, lost, BackendError::Unavailable { why: why.into() }));
            }
            time::sleep(self.retry_policy.pause(tries, pause)).await;
        }
    }

    async fn attempt(&self, client: &Client, call: &Call<'_>, url: Url) -> Attempt {
        let response = match request(client, call, url).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Attempt::Rejected { why: transport(&error), pause: None },
            Err(error) => return Attempt::Lost { why: transport(&error), pause: None },
        };
        leave_trail(response.headers());
        let (status, pause) = (response.status(), asked_for(response.headers()));
        let body = match read(response).await {
            Ok(Some(body)) => body,
            Ok(None) => return Attempt::Final(not_understood(call)),
            Err(error) => return Attempt::Lost { why: transport(&error), pause },
        };
        judged(call, status, pause, body)
    }

    /// Built when it is first needed: a start that asks nothing of Stripe reads no certificates.
    fn client(&self) -> Result<&Client, BackendError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.build()?;
        Ok(self.client.get_or_init(|| client))
    }

    fn build(&self) -> Result<Client, BackendError> {
        self.livemode()?;
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(AGENT)
            .default_headers(self.headers()?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never()) // ours are the only ones
            .referer(false)
            .connect_timeout(self.retry_policy.connect_timeout)
            .timeout(self.retry_policy.request_timeout)
            .https_only(!self.access.base.is_plain());
        if self.access.base.is_loopback() {
            builder = builder.no_proxy();
        }
        if self.access.base.is_plain() {
            builder = builder.tls_certs_only([]); // nothing to encrypt, so no certificates to read
        }
        let why = "this machine's certificates cannot be read";
        builder.build().map_err(|_| BackendError::Unavailable { why: why.into() })
    }

    fn headers(&self) -> Result<HeaderMap, BackendError> {
        let key = self.access.key.as_ref().ok_or(Setup::KeyMissing)?;
        let bearer = Secret::new(format!("Bearer {}", key.expose()));
        let mut bearer = HeaderValue::from_str(bearer.expose()).map_err(|_| Setup::KeyUnfit)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", bearer);
        headers.insert("stripe-version", HeaderValue::from_static(VERSION));
        if let Some(context) = &self.access.context {
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
        f.debug_struct("Http").field("base", &self.access.base.as_str()).finish_non_exhaustive()
    }
}

/// What an answer that was read to its end is to a caller who does not try again.
#[cfg(any(test, feature = "fuzzing"))]
pub fn answered<T: DeserializeOwned>(changes: bool, status: StatusCode, body: &[u8]) -> Result<T, Failure> {
    let call = if changes { Call::Change { key: "", body: "" } } else { Call::Get };
    match judged(&call, status, None, Zeroizing::new(body.to_vec())) {
        Attempt::Answer(body) => decoded(&call, &body),
        Attempt::Final(failure) => Err(failure),
        Attempt::Lost { why, .. } => Err(held(&call, Some(why), BackendError::Unavailable { why: why.into() })),
        Attempt::Rejected { why, .. } => Err(held(&call, None, BackendError::Unavailable { why: why.into() })),
    }
}

fn request(client: &Client, call: &Call<'_>, url: Url) -> RequestBuilder {
    match call {
        Call::Change { key, body } => {
            let body = (*body).to_owned();
            client.request(Method::POST, url).header(CONTENT_TYPE, JSON).header("idempotency-key", *key).body(body)
        }
        Call::Get => client.request(Method::GET, url),
        Call::Read => client.request(Method::POST, url).header(CONTENT_TYPE, JSON).body("{}"),
    }
}

/// What an answer means by its status.
fn judged(call: &Call<'_>, status: StatusCode, pause: Option<Duration>, body: Zeroizing<Vec<u8>>) -> Attempt {
    match status.as_u16() {
        200..=299 => Attempt::Answer(body),
        401 => Attempt::Final(Failure::NotSent(BackendError::Unauthenticated)),
        408 => Attempt::Lost { why: "Stripe did not wait for the request", pause },
        429 => Attempt::Rejected { why: "Stripe is asked too often at the moment", pause },
        400..=499 => {
            let wire::Failure { error } = serde_json::from_slice(&body).unwrap_or_default();
            refused(call, status, pause, &error)
        }
        500..=599 => Attempt::Lost { why: "Stripe has a problem of its own at the moment", pause },
        other => Attempt::Final(Failure::Malformed { what: "HTTP status", got: other.to_string() }),
    }
}

fn refused(call: &Call<'_>, status: StatusCode, pause: Option<Duration>, error: &wire::ErrorBody) -> Attempt {
    let rejection = Rejection::new(status.as_u16(), error);
    if status == StatusCode::FORBIDDEN && !rejection.is_about_the_account() {
        return Attempt::Final(Failure::NotSent(BackendError::Unauthenticated));
    }
    let said = |word: &str| [&error.code, &error.kind].into_iter().flatten().any(|text| text.contains(word));
    let is_busy = said("lock") || said("in_use") || (error.code.is_none() && error.kind.is_none());
    if status == StatusCode::CONFLICT && is_busy {
        return Attempt::Lost { why: "Stripe is still busy with an earlier request", pause };
    }
    if said("idempotency_error") && matches!(call, Call::Change { .. }) {
        let why = "Stripe knows another request by the same idempotency key";
        return Attempt::Final(Failure::Lost { why: why.to_owned() });
    }
    Attempt::Final(Failure::Refused(rejection))
}

/// What a request that was held up came to: nothing, unless an earlier try of a change may have been acted upon.
fn held(call: &Call<'_>, lost: Option<&'static str>, error: BackendError) -> Failure {
    match (call, lost) {
        (Call::Change { .. }, Some(why)) => Failure::Lost { why: why.to_owned() },
        _ => Failure::NotSent(error),
    }
}

fn decoded<T: DeserializeOwned>(call: &Call<'_>, body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| not_understood(call)) // the parser's own words could quote the body
}

fn not_understood(call: &Call<'_>) -> Failure {
    match call {
        Call::Change { .. } => Failure::Lost { why: "Stripe's answer is not understood".to_owned() },
        Call::Get | Call::Read => malformed("answer"),
    }
}

fn malformed(what: &'static str) -> Failure {
    Failure::Malformed { what, got: "…".to_owned() }
}

/// The body, or `None` when it is longer than any that Stripe sends.
async fn read(mut response: Response) -> Result<Option<Zeroizing<Vec<u8>>>, reqwest::Error> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or_default().min(LONGEST_BODY)));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn leave_trail(headers: &HeaderMap) {
    let id = headers.get("request-id").filter(|id| id.as_bytes().starts_with(b"req_") && is_token(id.as_bytes()));
    if let Some(id) = id {
        request_ids::record(&String::from_utf8_lossy(id.as_bytes()));
    }
}

/// How long Stripe wants us to wait.
fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn is_token(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=LONGEST_TOKEN).contains(&text.len()) && text.iter().all(is_plain)
}

/// Whether a text can be an id of Stripe's, and so may stand in a path.
pub fn is_id(text: &str) -> bool {
    is_token(text.as_bytes())
}

const VERSION: &str = "2026-10-14.preview";

const AGENT: &str = concat!("stripe-projects-mcp/", env!("CARGO_PKG_VERSION"));

const JSON: &str = "application/json";

/// How Stripe's keys begin, and whether they move money.
const PREFIXES: &[(&str, bool)] = &[("rk_live_", true), ("rk_test_", false), ("sk_live_", true), ("sk_test_", false)];

const LONGEST_KEY: usize = 512;

/// Of an id, in bytes.
const LONGEST_TOKEN: usize = 64;

/// Of a list; with a hundred things on each, longer than any that an account has.
const MOST_PAGES: usize = 50;

/// In bytes.
const LONGEST_BODY: usize = 4 << 20;
