//! The request state that a modern client carries between a question and its answer.
//!
//! It comes back as untrusted input, so it is signed, expires, and is bound to one call of one client. The ledger, which
//! knows its nonce, accepts it once.

use std::time::Duration;

use domain::approval::{Approval, ApprovalError};
use rmcp::model::{RequestStateCodec, RequestStateError, SealOptions};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    provisioner::{Principal, ProvisionRequest, Provisioner},
};

/// A question whose answer the client sends with its next call.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingElicitation {
    Approval {
        id: String,
        nonce: String,
        /// The digest of the subject that the form showed.
        subject: String,
    },
    /// To open a page in a browser.
    Link { url: String },
}

impl PendingElicitation {
    pub fn approval(approval: &Approval, nonce: String) -> Self {
        Self::Approval { id: approval.id.to_string(), nonce, subject: approval.subject.digest.clone() }
    }

    /// Signs it for one call of one client.
    pub fn sign(
        self,
        request: &ProvisionRequest,
        principal: &Principal,
        lifetime: Duration,
        services: &Provisioner,
    ) -> Result<String, Error> {
        let state = State { pending: self, call: Call::new(request, principal) };
        let payload = serde_json::to_vec(&state).map_err(|_| ApprovalError::Forged)?; // strings and numbers always serialise
        Ok(codec(services)?.seal_with(&payload, &SealOptions::new().associated_data(PURPOSE).ttl(lifetime)))
    }

    /// Verifies a state that a client sent back.
    ///
    /// # Errors
    /// [`ApprovalError::Forged`], [`ApprovalError::Expired`], [`ApprovalError::Mismatch`], or the ledger's.
    pub fn verify(
        text: &str,
        request: &ProvisionRequest,
        principal: &Principal,
        services: &Provisioner,
    ) -> Result<Self, Error> {
        if text.len() > MAX_BYTES || !services.ports.ledger.exists() {
            return Err(ApprovalError::Forged.into());
        }
        let payload = codec(services)?.open_with(text, PURPOSE).map_err(|error| match error {
            RequestStateError::Expired => ApprovalError::Expired,
            _ => ApprovalError::Forged,
        })?;
        let state: State = serde_json::from_slice(&payload).map_err(|_| ApprovalError::Forged)?;
        if state.call == Call::new(request, principal) {
            Ok(state.pending)
        } else {
            Err(ApprovalError::Mismatch.into())
        }
    }
}

#[derive(Deserialize, Serialize)]
struct State {
    #[serde(rename = "asked")]
    pending: PendingElicitation,
    call: Call,
}

/// The call that an answer belongs to.
#[derive(Deserialize, PartialEq, Serialize)]
struct Call {
    name: String,
    provider: String,
    cap_cents: u64,
    expires_in: Option<String>,
    replace: bool,
    client: String,
}

impl Call {
    fn new(request: &ProvisionRequest, principal: &Principal) -> Self {
        Self {
            name: request.name.to_string(),
            provider: request.provider.to_string(),
            cap_cents: request.cap.cents(),
            expires_in: request.lifetime.map(|lifetime| lifetime.to_string()),
            replace: request.replaces(),
            client: principal.actor().to_owned(),
        }
    }
}

fn codec(services: &Provisioner) -> Result<RequestStateCodec, Error> {
    let key = services.approvals.seal_key()?;
    // Only a key that was edited by hand is too short, and no state was signed with it.
    Ok(RequestStateCodec::try_new(key.expose().as_bytes()).map_err(|_| ApprovalError::Forged)?)
}

/// Mixed into the signature, so that it is valid for this purpose only.
const PURPOSE: &[u8] = b"stripe-projects-mcp/provision/v2";

/// A real state has a few hundred bytes, and a link.
const MAX_BYTES: usize = 8192;
