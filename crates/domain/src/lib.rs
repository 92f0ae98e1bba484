//! Domain types: money, budgets, names, secrets, projects, lifetimes and approvals.
//!
//! Nothing here does I/O; a value can only fail to parse.

pub mod alert;
pub mod approval;
pub mod budget;
pub mod channel;
pub mod clock;
pub mod connection;
pub mod diagnostic;
pub mod lifetime;
pub mod money;
pub mod name;
pub mod principal;
pub mod project;
pub mod safe_url;
pub mod secret;
pub mod visible;
pub mod workspace;
