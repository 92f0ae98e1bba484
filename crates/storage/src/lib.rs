//! Storage: the store port with SQLite behind it, and the ledger.

pub mod ledger;
pub mod store;
