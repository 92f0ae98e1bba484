//! SQLite: a database file, and the port on top of it.

mod connection;
mod database;
mod in_place;
mod schema;
mod sqlite_store;

pub use database::Database;
pub use schema::{Difference, Schema};
pub use sqlite_store::SqliteStore;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests write their files directly")]
mod tests;
