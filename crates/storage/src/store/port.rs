//! The port: a store that runs closures as transactions.

use std::{sync::Arc, time::Duration};

use super::{Rows, StoreError, Value};

/// A database that any number of processes may have open.
///
/// The contract, which `contract.rs` tests:
///
/// - A closure is one transaction. All of it is written when it ends in [`Ending::Commit`], and nothing otherwise.
/// - A closure may run more than once, when the database asks for the transaction to be repeated. So it changes nothing
///   outside the transaction but its own result, and starts that anew each time. Only the last run counts.
/// - Write transactions are serial. Each first locks the head of the audit chain, the only row of `audit_head`, so what
///   a closure has read still holds when it writes. SQLite has a single writer: there `BEGIN IMMEDIATE` is that lock. On
///   a database with concurrent writers the implementation selects the row `FOR UPDATE` before it runs the closure.
/// - A read transaction sees one committed state.
/// - After a statement has failed, the closure ends in [`Ending::RollBack`].
/// - A store keeps no session state between two transactions.
///
/// Callers use `read`, `write` and the other generic methods below, which turn a `Result` into an ending.
pub trait Store: Send + Sync {
    /// Runs `work` in one transaction.
    ///
    /// # Errors
    /// What the database reports; nothing was written then.
    fn transact(&self, access: Access, work: Work<'_>) -> Result<(), StoreError>;

    /// Returns the same database, for callers that wait for others at most `timeout`.
    fn waiting_at_most(&self, timeout: Duration) -> Arc<dyn Store>;

    /// Whether there is a database, so that a reader need not create it.
    fn exists(&self) -> bool;

    /// Whether there is no database, or one that nothing was ever written to.
    fn is_blank(&self) -> bool;

    /// Whether the database is intact, as far as it can tell without reading everything twice.
    ///
    /// # Errors
    /// When it cannot be read at all.
    fn is_whole(&self) -> Result<bool, StoreError>;
}

/// An open transaction. Statements are SQL that SQLite and PostgreSQL share, with parameters `?1`, `?2`, and so on.
pub trait Tx {
    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    /// What the database reports; [`StoreError::Conflict`] when a constraint refuses a row.
    fn rows(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Rows, StoreError>;

    /// Runs a statement that returns no rows, and returns how many it changed.
    ///
    /// # Errors
    /// As [`Self::rows`].
    fn run(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError>;
}

/// The body of a transaction.
pub type Work<'a> = &'a mut dyn FnMut(&dyn Tx) -> Ending;

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    Commit,
    RollBack,
}

/// What a transaction may do, and what its commit waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    Read,
    /// Reads without creating, migrating or waiting for anything, so that it works while others hold the database or the
    /// disk is full. It never writes.
    ReadInPlace,
    /// Reads only state that no crash can take back: it writes first, so a commit that a crashed process left half synced
    /// cannot appear later.
    ReadDurable,
    /// The commit is on the disk when the transaction returns.
    Write,
    /// The commit survives the end of this process, and a power loss only from the next synced write on.
    WriteUnsynced,
}

impl dyn Store + '_ {
    /// Reads from one committed state.
    ///
    /// # Errors
    /// What `work` returns, or what the database reports.
    pub fn read<T, E: From<StoreError>>(&self, work: impl FnMut(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        self.run(Access::Read, work)?
    }

    /// Reads only durable state; see [`Access::ReadDurable`].
    ///
    /// # Errors
    /// What `work` returns, or what the database reports.
    pub fn read_durable<T, E: From<StoreError>>(&self, work: impl FnMut(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        self.run(Access::ReadDurable, work)?
    }

    /// Writes everything or nothing; durable on return.
    ///
    /// # Errors
    /// What `work` returns, and then nothing was written; or what the database reports.
    pub fn write<T, E: From<StoreError>>(&self, work: impl FnMut(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        self.run(Access::Write, work)?
    }

    /// Writes everything or nothing, without waiting for the disk; see [`Access::WriteUnsynced`].
    ///
    /// # Errors
    /// As `write`.
    pub fn write_unsynced<T, E: From<StoreError>>(&self, work: impl FnMut(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        self.run(Access::WriteUnsynced, work)?
    }

    /// Runs `work` in one transaction: an `Ok` is committed, an `Err` is rolled back. Keeps the store's errors apart from
    /// those of `work`.
    ///
    /// # Errors
    /// What the database reports.
    pub fn run<T, E>(
        &self,
        access: Access,
        mut work: impl FnMut(&dyn Tx) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        let mut outcome = None;
        self.transact(access, &mut |tx| {
            let result = work(tx);
            let ending = if result.is_ok() { Ending::Commit } else { Ending::RollBack };
            outcome = Some(result);
            ending
        })?;
        outcome.ok_or_else(|| StoreError::Unavailable("the transaction did not run".into()))
    }
}
