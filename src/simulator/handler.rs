//! The way of a request: who asks, what is asked, what the weather is, and the one transaction that does it.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, request::Parts},
    response::Response,
};
use serde_json::Value;
use tokio::{sync::Semaphore, time};

use super::{
    admin,
    calls::{self, Context},
    failure::{Failure, INVALID_REQUEST},
    faults::{Fault, Faults},
    headers,
    idempotency::{self, Claim, Keys},
    listener::ConnectionAborter,
    parameters::Parameters,
    reply::Reply,
    routes::Call,
};
use crate::{
    backend::{
        self,
        simulated::{Account, Answer, PaymentMethod, SimulatedStripe},
    },
    project::ResourceId,
};

/// What every request shares.
pub struct AppState {
    pub store: Arc<SimulatedStripe>,
    pub payment_method: PaymentMethod,
    /// Where we are: `http://127.0.0.1:12111`.
    pub base: String,
    pub faults: Faults,
    pub keys: Keys,
    pub slots: Arc<Semaphore>,
}

impl AppState {
    pub fn new(store: Arc<SimulatedStripe>, payment_method: PaymentMethod, base: String) -> Self {
        let (faults, keys) = (Faults::default(), Keys::default());
        Self { store, payment_method, base, faults, keys, slots: Arc::new(Semaphore::new(MOST_AT_WORK)) }
    }
}

/// A request of which everything has arrived.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// How it ends for the client.
enum Ending {
    /// The connection is cut without a word.
    Cut,
    Said(Reply),
}

/// Answers a request. The work is a task of its own, so that a client that hangs up does not leave half of it.
pub async fn answer(
    State(state): State<Arc<AppState>>,
    ConnectInfo(aborter): ConnectInfo<ConnectionAborter>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let asked = match time::timeout(BODY_PATIENCE, to_bytes(body, LARGEST_BODY)).await {
        Ok(Ok(body)) => {
            let Parts { method, uri, headers, .. } = head;
            Asked { method, uri, headers, body }
        }
        Ok(Err(_)) => return Reply::from(too_large()).into_response(),
        Err(_) => return Reply::from(too_slow()).into_response(),
    };
    let Ok(slot) = Arc::clone(&state.slots).acquire_owned().await else {
        return Reply::from(Failure::internal("the simulator is ending")).into_response();
    };
    let work = tokio::spawn(async move {
        let _slot = slot;
        serve(&state, asked).await
    });
    match work.await {
        Ok(Ok(Ending::Said(reply))) => reply.into_response(),
        Ok(Err(failure)) => Reply::from(failure).into_response(),
        Ok(Ok(Ending::Cut)) => {
            aborter.cut();
            Response::default()
        }
        Err(_) => Reply::from(Failure::internal("the simulator stopped half way")).into_response(),
    }
}

async fn serve(state: &Arc<AppState>, asked: Asked) -> Result<Ending, Failure> {
    headers::check_host(&asked.headers)?;
    headers::check_body(&asked.headers, &asked.body)?;
    let path = asked.uri.path();
    if admin::is_ours(path) {
        let control = admin::find(&asked.method, path).ok_or_else(|| unrecognized(&asked.method))?;
        return admin::make(control, Arc::clone(state), asked.body).await.map(Ending::Said);
    }
    let livemode = headers::livemode(&asked.headers)?;
    headers::check_version(&asked.headers)?;
    let call = Call::find(&asked.method, path).ok_or_else(|| unrecognized(&asked.method))?;
    let key = headers::idempotency_key(&asked.headers)?.filter(|_| asked.method == Method::POST);

    let fault = state.faults.strike(&asked.method, path);
    match &fault {
        Some(Fault::DropBefore) => return Ok(Ending::Cut),
        Some(fault) => fault.refusal().map_or(Ok(()), Err)?,
        None => {}
    }
    // What only looks is done again each time: there is nothing to keep, and a credential is never kept.
    let key = key.filter(|_| !call.only_looks());
    let claim = key.as_deref().map(|key| state.keys.claim(key)).transpose()?;
    if let Some(Fault::Slow { ms }) = &fault {
        time::sleep(Duration::from_millis(*ms)).await;
    }
    let work = Work { state: Arc::clone(state), asked, call, livemode, key, fault: fault.clone(), _claim: claim };
    let reply = blocking(move || work.run()).await?;
    Ok(match fault {
        Some(Fault::DropAfter) => Ending::Cut,
        Some(Fault::ErrorAfter) => Ending::Said(Failure::internal("something went wrong on our side").into()),
        Some(Fault::Garbage) => Ending::Said(Reply::garbage()),
        _ => Ending::Said(reply),
    })
}

/// Does what blocks where blocking is allowed.
///
/// # Errors
/// What `work` returns, or 500 when it stopped half way.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    backend::blocking(work, || Failure::internal("the request failed unexpectedly")).await
}

/// One call, ready to be made.
struct Work {
    state: Arc<AppState>,
    asked: Asked,
    call: Call,
    livemode: bool,
    key: Option<String>,
    fault: Option<Fault>,
    /// Held until the transaction has ended.
    _claim: Option<Claim>,
}

impl Work {
    fn run(&self) -> Result<Reply, Failure> {
        let Some(key) = &self.key else {
            return self.make().map(|answer| Reply::json(&answer));
        };
        let request = idempotency::fingerprint(self.asked.uri.path(), self.livemode, &self.asked.body);
        self.state.store.change(|account| {
            if let Some(kept) = account.answer(key)? {
                let same = kept.request == request;
                return if same { Ok(Reply::replay(kept.status, kept.body)) } else { Err(idempotency::reused()) };
            }
            // The effect and the memory of it are one transaction: whoever repeats the request meets both or neither.
            let reply = Reply::json(&self.make_with(account)?);
            account.remember(key, &Answer { request, status: reply.status.as_u16(), body: reply.body.clone() })?;
            Ok(reply)
        })
    }

    fn make(&self) -> Result<Value, Failure> {
        let store = &self.state.store;
        if self.only_looks()? {
            store.look(|account| self.make_with(account))
        } else {
            store.change(|account| self.make_with(account))
        }
    }

    /// A look at a resource whose status is an interim one counts, and only then something is written.
    fn only_looks(&self) -> Result<bool, Failure> {
        match &self.call {
            Call::ResourceRetrieve(id) => self.state.store.look(|account| {
                let resource = account.resource(&ResourceId::new(id.clone()))?;
                Ok(resource.outcome.polls == 0)
            }),
            call => Ok(call.only_looks()),
        }
    }

    fn make_with(&self, account: &Account<'_>) -> Result<Value, Failure> {
        let given = match self.asked.method {
            Method::GET => Parameters::of_query(&self.asked.uri)?,
            _ => Parameters::of_body(&self.asked.body)?,
        };
        let context = Context {
            account,
            payment_method: self.state.payment_method,
            base: &self.state.base,
            livemode: self.livemode,
            idempotency_key: self.key.as_deref(),
            fault: self.fault.as_ref(),
        };
        calls::make(&self.call, &context, given)
    }
}

/// 404, without the path: somebody may have put a key into it.
fn unrecognized(method: &Method) -> Failure {
    let message = format!("unrecognized request URL for {method}; the simulated API lies under /v2/provisioning/");
    Failure::new(StatusCode::NOT_FOUND, INVALID_REQUEST, "url_unrecognized", message)
}

fn too_large() -> Failure {
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST, "body_too_large", "the body is larger than 1 MiB")
}

fn too_slow() -> Failure {
    Failure::new(StatusCode::REQUEST_TIMEOUT, INVALID_REQUEST, "body_too_slow", "the body did not arrive in 30 seconds")
}

const LARGEST_BODY: usize = 1024 * 1024;

/// How long the body of a request may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// How many requests are worked on at a time; the others wait.
const MOST_AT_WORK: usize = 64;
