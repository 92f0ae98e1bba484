//! Adds that did not come to an end of their own: what is absent now may still come to be.
//!
//! A `stripe` that ends by itself has heard from Stripe, so what is not listed afterwards does not exist. One that was
//! ended, or fell silent, may have left Stripe at work. Its order stays open for a while, even if nothing is listed.

use super::{NAME, StripeCli};
use crate::{backend::BackendError, clock::Clock, project::ProjectId};

impl StripeCli {
    /// Writes down that the `add` of an order was cut off just now.
    pub(super) fn note_cut_off(&self, order: &ProjectId) -> Result<(), BackendError> {
        let now = Clock::system().now().as_millisecond().to_string();
        let noted = self.ledger.kv().put_note(NAME, &key(order), &now);
        noted.map_err(|error| BackendError::Unknown { why: error.to_string() })
    }

    /// An absence proves nothing while Stripe may still be at work on the order.
    ///
    /// # Errors
    /// [`BackendError::Unknown`] until then.
    pub(super) fn proved_absent(&self, order: &ProjectId) -> Result<(), BackendError> {
        let at = self.ledger.kv().get_note(NAME, &key(order))?.and_then(|at| at.parse::<i64>().ok());
        let age = at.map(|at| Clock::system().now().as_millisecond().saturating_sub(at));
        let wait = i64::try_from(self.timeouts.cut_off_memory.as_millis()).unwrap_or(i64::MAX);
        match age {
            // A clock that was set back makes no absence a proof.
            Some(age) if age < wait => Err(BackendError::Unknown {
                why: format!(
                    "`stripe projects add` was cut off, and Stripe may still be at work on it for {} minutes",
                    wait.saturating_sub(age).min(wait) / 60_000 + 1
                ),
            }),
            _ => Ok(()),
        }
    }
}

fn key(order: &ProjectId) -> String {
    format!("cut-off/{}", order.as_str())
}
