//! Responses by idempotency key, so that a repeated request gets the first response.

use rusqlite::{OptionalExtension as _, params};

use super::Account;
use crate::simulated::SimulatedStoreError;

/// The response to a request that succeeded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The fingerprint of method, path and body.
    pub request: String,
    pub status: u16,
    /// JSON without any credential.
    pub body: String,
}

impl Account<'_> {
    pub fn answer(&self, key: &str) -> Result<Option<Answer>, SimulatedStoreError> {
        let sql = "SELECT request, status, body FROM api_answers WHERE key = ?1 AND created > ?2";
        let oldest = self.now.as_second() - KEPT_SECONDS;
        let mut statement = self.connection.prepare_cached(sql)?;
        let read = statement.query_row(params![key, oldest], |row| {
            Ok(Answer { request: row.get(0)?, status: row.get(1)?, body: row.get(2)? })
        });
        Ok(read.optional()?)
    }

    /// Saves a response in the transaction of its effect, and deletes expired ones.
    pub fn remember(&self, key: &str, answer: &Answer) -> Result<(), SimulatedStoreError> {
        let now = self.now.as_second();
        self.connection.prepare_cached("DELETE FROM api_answers WHERE created <= ?1")?.execute([now - KEPT_SECONDS])?;
        self.connection.prepare_cached("INSERT INTO api_answers VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            key,
            answer.request,
            answer.status,
            answer.body,
            now
        ])?;
        Ok(())
    }
}

/// How long Stripe's v2 API remembers a key: 30 days.
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;
