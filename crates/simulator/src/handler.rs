//! Handles a request: header checks, routing, planned faults, and one transaction.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, request::Parts},
    response::Response,
};
use backends::simulated::{Account, Answer};
use domain::project::ResourceId;
use serde_json::Value;
use tokio::time;

use super::{
    admin::{self, AdminCall},
    calls::{self, Context},
    failure::{Failure, INVALID_REQUEST},
    faults::Fault,
    headers,
    idempotency::{self, Claim},
    listener::ConnectionAborter,
    parameters::Parameters,
    reply::Reply,
    routes::Call,
    state::{AppState, blocking},
};

/// A request with its complete body.
struct FullRequest {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// What the client gets.
enum Disposition {
    /// The connection is closed without a response.
    Abort,
    Reply(Reply),
}

/// Handles a request in a task of its own, which completes even if the client disconnects.
pub async fn handle(
    State(state): State<Arc<AppState>>,
    ConnectInfo(aborter): ConnectInfo<ConnectionAborter>,
    request: Request,
) -> Response {
    let _at_work = aborter.at_work();
    let (head, body) = request.into_parts();
    let request = match time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_SIZE)).await {
        Ok(Ok(body)) => {
            let Parts { method, uri, headers, .. } = head;
            FullRequest { method, uri, headers, body }
        }
        Ok(Err(_)) => return Reply::from(too_large()).into_response(),
        Err(_) => return Reply::from(too_slow()).into_response(),
    };
    let Ok(slot) = Arc::clone(&state.slots).acquire_owned().await else {
        return Reply::from(Failure::internal("the simulator is shutting down")).into_response();
    };
    let work = tokio::spawn(async move {
        let _slot = slot;
        serve(&state, request).await
    });
    match work.await {
        Ok(Ok(Disposition::Reply(reply))) => reply.into_response(),
        Ok(Err(failure)) => Reply::from(failure).into_response(),
        Ok(Ok(Disposition::Abort)) => {
            aborter.abort();
            Response::default()
        }
        Err(_) => Reply::from(Failure::internal("the simulator failed on this request")).into_response(),
    }
}

async fn serve(state: &Arc<AppState>, request: FullRequest) -> Result<Disposition, Failure> {
    headers::check_host(&request.headers)?;
    let path = request.uri.path();
    let page = admin::find(&request.method, path).filter(AdminCall::is_page);
    if page.is_none() {
        headers::check_origin(&request.headers)?;
    }
    headers::check_body(&request.headers, &request.body)?;
    if admin::is_admin_path(path) {
        let call = admin::find(&request.method, path).ok_or_else(|| unrecognized(&request.method))?;
        return admin::dispatch(call, Arc::clone(state), request.body).await.map(Disposition::Reply);
    }
    let livemode = headers::livemode(&request.headers)?;
    headers::check_version(&request.headers)?;
    let call = Call::find(&request.method, path).ok_or_else(|| unrecognized(&request.method))?;
    let key = headers::idempotency_key(&request.headers)?.filter(|_| request.method == Method::POST);

    let fault = state.faults.take(&request.method, path);
    match &fault {
        Some(Fault::DropBefore) => return Ok(Disposition::Abort),
        Some(fault) => fault.refusal().map_or(Ok(()), Err)?,
        None => {}
    }
    // A read runs again each time, so that no response with a credential is stored.
    let key = key.filter(|_| !call.is_read_only());
    let claim = key.as_deref().map(|key| state.keys.claim(key)).transpose()?;
    if let Some(Fault::Slow { ms }) = &fault {
        time::sleep(Duration::from_millis(*ms)).await;
    }
    let work = Work { state: Arc::clone(state), request, call, livemode, key, fault: fault.clone(), _claim: claim };
    let reply = blocking(move || work.run()).await?;
    Ok(match fault {
        Some(Fault::DropAfter) => Disposition::Abort,
        Some(Fault::ErrorAfter) => Disposition::Reply(Failure::internal("something went wrong on our side").into()),
        Some(Fault::Garbage) => Disposition::Reply(Reply::garbage()),
        _ => Disposition::Reply(reply),
    })
}

/// A routed call with everything to run it.
struct Work {
    state: Arc<AppState>,
    request: FullRequest,
    call: Call,
    livemode: bool,
    key: Option<String>,
    fault: Option<Fault>,
    /// Held until the transaction ends.
    _claim: Option<Claim>,
}

impl Work {
    fn run(&self) -> Result<Reply, Failure> {
        let Some(key) = &self.key else {
            return self.dispatch().map(|value| Reply::json(&value));
        };
        let fingerprint = idempotency::fingerprint(self.request.uri.path(), self.livemode, &self.request.body);
        self.state.store.change(|account| {
            if let Some(stored) = account.answer(key)? {
                let is_same = stored.request == fingerprint;
                return if is_same {
                    Ok(Reply::replay(stored.status, stored.body))
                } else {
                    Err(idempotency::reused())
                };
            }
            // The effect and its response are one transaction, so that a retry sees both or neither.
            let reply = Reply::json(&self.dispatch_on(account)?);
            account.remember(
                key,
                &Answer { request: fingerprint, status: reply.status.as_u16(), body: reply.body.clone() },
            )?;
            Ok(reply)
        })
    }

    fn dispatch(&self) -> Result<Value, Failure> {
        let store = &self.state.store;
        if self.is_read_only()? {
            store.look(|account| self.dispatch_on(account))
        } else {
            store.change(|account| self.dispatch_on(account))
        }
    }

    /// Returns whether the call writes nothing.
    ///
    /// Retrieving a resource writes only while its status is pending, to count the poll.
    fn is_read_only(&self) -> Result<bool, Failure> {
        match &self.call {
            Call::ResourceRetrieve(id) => self.state.store.look(|account| {
                let resource = account.resource(&ResourceId::new(id.clone()))?;
                Ok(resource.outcome.polls == 0)
            }),
            call => Ok(call.is_read_only()),
        }
    }

    fn dispatch_on(&self, account: &Account<'_>) -> Result<Value, Failure> {
        let parameters = match self.request.method {
            Method::GET => Parameters::from_query(&self.request.uri)?,
            _ => Parameters::from_body(&self.request.body)?,
        };
        let context = Context {
            account,
            payment_method: self.state.payment_method,
            base: &self.state.base,
            livemode: self.livemode,
            idempotency_key: self.key.as_deref(),
            fault: self.fault.as_ref(),
        };
        calls::dispatch(&self.call, &context, parameters)
    }
}

/// Returns 404 without quoting the path, which may contain a key.
fn unrecognized(method: &Method) -> Failure {
    let message = format!("unrecognized request URL for {method}; the simulated API is under /v2/provisioning/");
    Failure::new(StatusCode::NOT_FOUND, INVALID_REQUEST, "url_unrecognized", message)
}

fn too_large() -> Failure {
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST, "body_too_large", "the body is larger than 1 MiB")
}

fn too_slow() -> Failure {
    Failure::new(StatusCode::REQUEST_TIMEOUT, INVALID_REQUEST, "body_too_slow", "the body did not arrive in 30 seconds")
}

const MAX_BODY_SIZE: usize = 1024 * 1024;

/// Limits how long the body of a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
