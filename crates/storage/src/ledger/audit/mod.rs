//! The audit: a row for every intent, outcome and refusal, chained by hashes.
//!
//! Row `n` carries SHA-256 over row `n` and the hash of row `n - 1`. The newest hash is also in `audit_head`, and in a file
//! outside the database (`anchor.rs`), so that a removed end shows too. A process that can write all of them can forge
//! the whole chain: this detects changes, it does not prevent them.

mod accept;
mod anchor;
mod audit_log;
pub(super) mod chain;
mod looks;
mod seal;
mod verify;

pub use accept::Acceptance;
pub(super) use anchor::AnchorFile;
pub use audit_log::AuditLog;
pub use chain::{AcceptedBreak, Answered, AuditRow, Event, Verdict};
pub use verify::{Break, Proof};
