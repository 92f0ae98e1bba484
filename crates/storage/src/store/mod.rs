//! The transactional store: a port of two traits, and SQLite behind it.
//!
//! The ledger's SQL is written once, in the dialect that SQLite and PostgreSQL share, with `?1` parameters. A database is
//! one implementation of [`Store`]; its own types stay inside its module.

mod error;
mod port;
pub mod sqlite;
mod value;

/// What every implementation of the port has to do; for tests of implementations.
#[cfg(any(test, feature = "testing"))]
pub mod contract;

pub use error::StoreError;
pub use port::{Access, Ending, Store, Tx, Work};
pub(crate) use value::values;
pub use value::{FromValue, Row, Rows, Value};
