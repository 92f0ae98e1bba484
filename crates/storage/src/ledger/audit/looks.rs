//! Bounds the rows of calls without an effect, so that no caller can fill a disk with them.
//!
//! An hour has room for so many of them. What exceeds it is counted, and the count becomes a row when the next hour
//! begins. The rows of effects are not bounded: what cannot be recorded is not done.

use serde_json::json;

use super::{
    anchor::NOTES,
    chain::{self, Event, Verdict},
};
use crate::{
    ledger::{LedgerError, scope::ScopedTx},
    store::{Tx as _, values},
};

/// The rows that one transaction adds, and the room that the hour has left.
pub(super) struct Looks {
    before: Hour,
    hour: Hour,
}

/// How many rows of an hour were written, and for how many calls there was no room.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
struct Hour {
    /// In hours since 1970.
    number: i64,
    rows: u64,
    left_out: u64,
}

impl Looks {
    pub(super) fn begin(tx: &ScopedTx<'_>) -> Result<Self, LedgerError> {
        let rows = tx.rows("SELECT value FROM notes WHERE backend = ?1 AND key = ?2", &values![NOTES, KEY])?;
        let stored = rows.first().map(|row| row.get::<&str>(0)).transpose()?.unwrap_or_default();
        let mut words = stored.split(' ').map(str::parse::<i64>);
        let mut next = || words.next().and_then(Result::ok).unwrap_or_default();
        let (number, rows, left_out) = (next(), next(), next());
        let hour = Hour {
            number,
            rows: u64::try_from(rows).unwrap_or_default(),
            left_out: u64::try_from(left_out).unwrap_or_default(),
        };
        Ok(Self { before: hour, hour })
    }

    /// Whether there is room for the row of `calls` calls without an effect; if not, they are counted.
    pub(super) fn admit(&mut self, tx: &ScopedTx<'_>, event: &Event, calls: u64) -> Result<bool, LedgerError> {
        let number = event.at.as_millisecond() / HOUR;
        if number > self.hour.number {
            if self.hour.left_out > 0 {
                chain::append_row(tx, &summary(event, self.hour.left_out), None, None)?;
            }
            self.hour = Hour { number, rows: 0, left_out: 0 };
        }
        if self.hour.rows < MOST {
            self.hour.rows += 1;
            return Ok(true);
        }
        self.hour.left_out = self.hour.left_out.saturating_add(calls);
        Ok(false)
    }

    pub(super) fn end(self, tx: &ScopedTx<'_>) -> Result<(), LedgerError> {
        if self.hour != self.before {
            let Hour { number, rows, left_out } = self.hour;
            let value = format!("{number} {rows} {left_out}");
            tx.run(PUT, &values![NOTES, KEY, value.as_str()])?;
        }
        Ok(())
    }
}

/// The row that stands for the calls of an hour that had no room.
fn summary(event: &Event, left_out: u64) -> Event {
    let detail = json!({ "answer": "counted only", "count": left_out });
    Event { action: ACTION, actor: String::new(), verdict: Verdict::Called, detail, ..event.clone() }
}

const PUT: &str =
    "INSERT INTO notes VALUES (?1, ?2, ?3) ON CONFLICT (backend, key) DO UPDATE SET value = excluded.value";

const KEY: &str = "looks";

const ACTION: &str = "calls without a row";

/// Some hundred kilobytes, and more than a person or a working agent causes.
const MOST: u64 = 1_000;

/// In milliseconds.
const HOUR: i64 = 60 * 60 * 1000;
