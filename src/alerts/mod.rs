//! Alerts about budgets: when one is due, what it says, how it is signed, and the one way that it leaves this machine.
//!
//! Nothing here remembers anything: the outbox is the ledger's.

mod address;
mod courier;
mod message;
mod notice;
mod pace;
mod signature;
mod threshold;

pub use address::{Special, special};
pub use courier::{Courier, Lookup, Undelivered, lookup};
pub use message::body;
pub use notice::Notice;
pub use pace::{LEASE, PATIENCE, pause};
pub use signature::{HEADER, signature};
pub use threshold::reached;
