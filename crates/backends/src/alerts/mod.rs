//! Alerts about budgets: thresholds, messages, signatures and delivery.
//!
//! Nothing is stored here: the outbox belongs to the ledger.

mod message;
mod notice;
mod retry;
mod signature;
mod threshold;
mod webhook;

pub use message::body;
pub use notice::Notice;
pub use retry::{CLAIM_DURATION, RETRY_WINDOW, pause};
pub use signature::{HEADER, signature};
pub use threshold::reached;
pub use webhook::{Lookup, Undelivered, WebhookClient, lookup};

pub use crate::net::ReservedAddress;
