//! `add` commands that were interrupted: what is absent now may still appear.
//!
//! A `stripe` that ends by itself has Stripe's response, so a service that is not listed afterwards does not exist. One
//! that was killed or timed out may have left Stripe at work. Its order stays open for a while, even if nothing is
//! listed.

use domain::{clock::Clock, project::ProjectId};

use super::StripeCli;
use crate::BackendError;

impl StripeCli {
    /// Notes that the `add` of an order was interrupted just now.
    pub(super) fn note_interrupted_add(&self, order: &ProjectId) -> Result<(), BackendError> {
        let now = Clock::system().now().as_millisecond().to_string();
        self.notes.put(&key(order), &now).map_err(|error| BackendError::Unknown { why: error.into() })
    }

    /// Checks that the absence of an order's service proves that there is none.
    ///
    /// # Errors
    /// [`BackendError::Unknown`] while Stripe may still be processing an interrupted `add`.
    pub(super) fn check_absence(&self, order: &ProjectId) -> Result<(), BackendError> {
        let interrupted_at = self.notes.get(&key(order))?.and_then(|at| at.parse::<i64>().ok());
        let age = interrupted_at.map(|at| Clock::system().now().as_millisecond().saturating_sub(at));
        let wait = i64::try_from(self.timeouts.interrupted_add.as_millis()).unwrap_or(i64::MAX);
        match age {
            // If the clock was set back, the age is negative, and absence proves nothing.
            Some(age) if age < wait => {
                let minutes = wait.saturating_sub(age).min(wait) / 60_000 + 1;
                let why = format!(
                    "`stripe projects add` was interrupted, and Stripe may still be processing it for {minutes} minutes"
                );
                Err(BackendError::Unknown { why: why.into() })
            }
            _ => Ok(()),
        }
    }
}

fn key(order: &ProjectId) -> String {
    format!("cut-off/{}", order.as_str())
}
