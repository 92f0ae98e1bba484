//! SQLite: a database file, and the port on top of it.

mod database;
mod in_place;
mod sqlite_store;

pub use database::{Database, Schema};
pub use sqlite_store::SqliteStore;
