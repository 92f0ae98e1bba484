//! The call_log: one row of the audit for each call of this server, whatever came of it.
//!
//! What could have had an effect is written down before its answer leaves. A mere look is answered first and written
//! within a second, together with its neighbours, so that looking stays fast; what that second holds is lost only when
//! the process is killed in it. The same rhythm moves the head record outside the ledger forward.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rmcp::{
    ErrorData,
    model::{CallToolRequestParams, CallToolResponse, JsonObject},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{
    resources::{self, Known},
    shutdown::Shutdown,
};
use crate::{
    diagnostic::PROGRAM,
    provisioner::{Access, AuditFacts, Called, OK, Principal, Provisioner},
};

/// What has been answered and not been written down yet.
#[derive(Clone)]
pub struct CallLog(Arc<Shared>);

struct Shared {
    provisioner: Arc<Provisioner>,
    shutdown: Shutdown,
    waiting: Mutex<Vec<Called>>,
    /// Held while writing, so that whoever leaves last leaves nothing behind.
    writing: tokio::sync::Mutex<()>,
    changed: Notify,
    /// Whether it was said that the head record outside the ledger does not fit, which does not change by itself.
    misfit_told: AtomicBool,
}

/// A call that is going on.
pub struct PendingCall {
    book: CallLog,
    begun: Instant,
    principal: Principal,
    action: &'static str,
    access: Access,
    arguments: AuditFacts,
}

impl CallLog {
    pub fn new(provisioner: Arc<Provisioner>, shutdown: Shutdown) -> Self {
        Self(Arc::new(Shared {
            provisioner,
            shutdown,
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            misfit_told: AtomicBool::new(false),
        }))
    }

    pub fn tool(&self, request: &CallToolRequestParams, principal: Principal) -> PendingCall {
        let (action, access) = tool(&request.name);
        self.entry(principal, action, access, said(request.arguments.as_ref()))
    }

    pub fn resource(&self, uri: &str, principal: Principal) -> PendingCall {
        let said = match resources::known(uri) {
            Some(Known::Fixed(uri)) => AuditFacts::default().fact("uri", Some(json!(uri))),
            Some(Known::Project(name)) => AuditFacts::default().project(Some(name.as_str())),
            None => AuditFacts::default().fact("uri", None),
        };
        self.entry(principal, "resources/read", Access::Read, said)
    }

    pub fn prompt(
        &self,
        prompt: Option<&'static str>,
        arguments: Option<&JsonObject>,
        principal: Principal,
    ) -> PendingCall {
        let said = said(arguments).fact("prompt", prompt.map(Value::from));
        self.entry(principal, "prompts/get", Access::Read, said)
    }

    /// A method of ours whose parameters could not be read.
    pub fn malformed(&self, method: &'static str, principal: Principal) -> PendingCall {
        self.entry(principal, method, Access::Read, AuditFacts::default())
    }

    /// Writes what waits and seals, at most once a second, until the server begins to end: the rest is for
    /// [`Self::flush`], when everything has been answered.
    pub async fn keep(self) {
        loop {
            self.0.changed.notified().await;
            tokio::select! {
                () = tokio::time::sleep(RHYTHM) => {}
                () = self.0.shutdown.begun() => return,
            }
            self.flush().await;
        }
    }

    /// Writes what waits, and moves the head record outside the ledger forward.
    pub async fn flush(&self) {
        let _alone = self.0.writing.lock().await;
        self.write(true).await;
    }

    fn entry(&self, principal: Principal, action: &'static str, access: Access, arguments: AuditFacts) -> PendingCall {
        PendingCall { book: self.clone(), begun: Instant::now(), principal, action, access, arguments }
    }

    async fn write(&self, seal: bool) {
        let calls = mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let provisioner = Arc::clone(&self.0.provisioner);
        let work = tokio::task::spawn_blocking(move || {
            if !calls.is_empty() {
                provisioner.audit.note_calls(&calls).map_err(|error| ("calls are missing from the audit", error))?;
            }
            if seal { provisioner.audit.seal().map_err(|error| ("the audit is not sealed", error)) } else { Ok(None) }
        });
        // The answer stands: what had an effect has rows of its own, written before it.
        match work.await {
            Ok(Err((what, error))) => tracing::warn!("{what}: {error}"),
            Ok(Ok(Some(broken))) if !self.0.misfit_told.swap(true, Ordering::Relaxed) => {
                tracing::warn!("{broken}: run `{PROGRAM} audit --verify`");
            }
            _ => {}
        }
    }
}

impl PendingCall {
    /// Ends the entry with `ok` or the code of a failure.
    pub async fn answered(self, outcome: String) {
        let Self { book, begun, principal, action, access, arguments } = self;
        let called = Called { principal, action, access, arguments, outcome, took: begun.elapsed() };
        let waiting = {
            let mut waiting = book.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(called);
            waiting.len()
        };
        // A server that is ending answers what it still can, and writes all of it down as its last act.
        let at_once = access == Access::Write && !book.0.shutdown.has_begun();
        if at_once || waiting >= MOST_WAITING {
            let _alone = book.0.writing.lock().await;
            book.write(false).await;
        }
        book.0.changed.notify_one();
    }
}

/// How a tool call ended.
pub fn outcome(answer: &Result<CallToolResponse, ErrorData>) -> String {
    match answer {
        Ok(CallToolResponse::Complete(result)) if result.is_error == Some(true) => {
            let code = result.structured_content.as_ref().and_then(|content| content.get("code")?.as_str());
            code.unwrap_or("failed").to_owned()
        }
        Ok(CallToolResponse::InputRequired(_)) => "input_required".to_owned(),
        Ok(_) => OK.to_owned(),
        Err(error) => protocol(error),
    }
}

/// How another request ended.
pub fn outcome_of<T>(answer: &Result<T, ErrorData>) -> String {
    answer.as_ref().map_or_else(protocol, |_| OK.to_owned())
}

fn protocol(error: &ErrorData) -> String {
    format!("protocol_error_{}", error.code.0.unsigned_abs())
}

/// Our own word for a tool: what a client calls it may be a pasted key.
fn tool(name: &str) -> (&'static str, Access) {
    match name {
        "list_projects" => ("list_projects", Access::Read),
        "provision" => ("provision", Access::Write),
        "rotate_key" => ("rotate_key", Access::Write),
        "teardown" => ("teardown", Access::Write),
        _ => ("unknown tool", Access::Read),
    }
}

fn said(arguments: Option<&JsonObject>) -> AuditFacts {
    let mut said = AuditFacts::default();
    let mut strangers = 0;
    for (field, value) in arguments.into_iter().flatten() {
        said = match field.as_str() {
            "cursor" => said.fact("cursor", value.is_string().then(|| json!("given"))),
            "expires_in" => said.lifetime("expires_in", value.as_str()),
            "include_torn_down" => said.fact("include_torn_down", value.as_bool().map(Value::from)),
            "limit" => said.fact("limit", value.as_u64().filter(|limit| *limit <= 1_000).map(Value::from)),
            "name" => said.project(value.as_str()),
            "provider" => said.provider(value.as_str()),
            "spend_cap_usd" => said.cap(value.as_number().map(ToString::to_string).as_deref()),
            _ => {
                strangers += 1;
                said
            }
        };
    }
    if strangers == 0 { said } else { said.fact("unknown_arguments", Some(json!(strangers))) }
}

/// Seldom enough to cost a busy server nothing.
const RHYTHM: Duration = Duration::from_secs(1);

/// A client that only looks, as fast as it can, waits for its own rows now and then.
const MOST_WAITING: usize = 1_000;
