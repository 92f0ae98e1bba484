//! What a client of the modern era carries between a question and its answer.
//!
//! To us it is a stranger's input when it comes back. It is sealed, short-lived, and says for which call and which
//! client it was; that it counts once is the ledger's business, which knows its nonce.

use std::time::Duration;

use rmcp::model::{RequestStateCodec, RequestStateError, SealOptions};
use serde::{Deserialize, Serialize};

use crate::{
    approval::{ApprovalError, ApprovalId},
    error::Error,
    provisioner::{Principal, ProvisionRequest, Provisioner},
};

/// What was asked.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingElicitation {
    Approval {
        id: String,
        nonce: String,
    },
    /// To open a page in a browser.
    Link {
        url: String,
    },
}

impl PendingElicitation {
    pub fn approval(id: &ApprovalId, nonce: String) -> Self {
        Self::Approval { id: id.to_string(), nonce }
    }

    /// Seals it for one call of one client.
    ///
    /// # Errors
    /// When the ledger, which has the key, cannot be used.
    pub fn sign(
        self,
        wanted: &ProvisionRequest,
        principal: &Principal,
        lifetime: Duration,
        on: &Provisioner,
    ) -> Result<String, Error> {
        let state = State { asked: self, call: Call::of(wanted, principal) };
        let payload = serde_json::to_vec(&state).map_err(|_| ApprovalError::Forged)?; // strings and numbers always serialise
        Ok(codec(on)?.seal_with(&payload, &SealOptions::new().associated_data(PURPOSE).ttl(lifetime)))
    }

    /// Opens what a client brought back.
    ///
    /// # Errors
    /// [`ApprovalError::Forged`], [`ApprovalError::Expired`], [`ApprovalError::Mismatch`], or the ledger's.
    pub fn verify(
        text: &str,
        wanted: &ProvisionRequest,
        principal: &Principal,
        on: &Provisioner,
    ) -> Result<Self, Error> {
        if text.len() > LONGEST || !on.ledger().exists() {
            return Err(ApprovalError::Forged.into());
        }
        let payload = codec(on)?.open_with(text, PURPOSE).map_err(|error| match error {
            RequestStateError::Expired => ApprovalError::Expired,
            _ => ApprovalError::Forged,
        })?;
        let state: State = serde_json::from_slice(&payload).map_err(|_| ApprovalError::Forged)?;
        if state.call == Call::of(wanted, principal) { Ok(state.asked) } else { Err(ApprovalError::Mismatch.into()) }
    }
}

#[derive(Deserialize, Serialize)]
struct State {
    asked: PendingElicitation,
    call: Call,
}

/// The call that an answer belongs to.
#[derive(Deserialize, PartialEq, Serialize)]
struct Call {
    name: String,
    provider: String,
    cap_cents: u64,
    client: String,
}

impl Call {
    fn of(wanted: &ProvisionRequest, principal: &Principal) -> Self {
        Self {
            name: wanted.name.to_string(),
            provider: wanted.provider.to_string(),
            cap_cents: wanted.cap.cents(),
            client: principal.actor().to_owned(),
        }
    }
}

fn codec(on: &Provisioner) -> Result<RequestStateCodec, Error> {
    let key = on.seal_key()?;
    // Only a key that somebody shortened by hand is too short; nothing was ever sealed with it.
    Ok(RequestStateCodec::try_new(key.expose().as_bytes()).map_err(|_| ApprovalError::Forged)?)
}

/// Mixed into the seal, so that it can be taken for no other.
const PURPOSE: &[u8] = b"stripe-projects-mcp/provision/v1";

/// Ours has a few hundred bytes, and a link.
const LONGEST: usize = 8192;
