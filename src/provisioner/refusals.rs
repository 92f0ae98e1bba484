//! Remembers refusals that have a row, so that the same call refused again adds none.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The refusals of the last minute. The row of each call has the refusal, too, with the number of calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Mutex<HashMap<String, Instant>>>);

impl Refusals {
    /// Whether this refusal needs a row of its own.
    pub(super) fn is_new(&self, key: String) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&key).is_some_and(|since| since.elapsed() < WINDOW) {
            return false;
        }
        known.retain(|_, since| since.elapsed() < WINDOW);
        if known.len() < MOST_KINDS {
            known.insert(key, Instant::now());
        }
        true
    }
}

const WINDOW: Duration = Duration::from_secs(60);

/// How many different ones are remembered.
const MOST_KINDS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_refusal_is_new_once_and_memory_is_bounded() {
        let refusals = Refusals::default();
        assert!(refusals.is_new("a".to_owned()) && !refusals.is_new("a".to_owned()));
        assert!((0..2 * MOST_KINDS).all(|number| refusals.is_new(number.to_string())));
        assert!(refusals.0.lock().unwrap().len() <= MOST_KINDS);
    }
}
