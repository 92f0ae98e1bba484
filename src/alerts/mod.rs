//! Alerts about budgets: when one is due, what it says, how it is signed, and the one way that it leaves this machine.
//!
//! Nothing here remembers anything: the outbox is the ledger's.

mod address;
mod backoff;
mod message;
mod notice;
mod signature;
mod threshold;
mod webhook;

pub use address::{ReservedAddress, special};
pub use backoff::{CLAIM_DURATION, RETRY_WINDOW, pause};
pub use message::body;
pub use notice::Notice;
pub use signature::{HEADER, signature};
pub use threshold::reached;
pub use webhook::{Lookup, Undelivered, WebhookClient, lookup};
