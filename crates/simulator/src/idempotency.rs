//! Idempotency keys: exclusive claims, request fingerprints and order ids.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;
use domain::{
    project::ProjectId,
    secret::{Fingerprint, hex},
};
use sha2::{Digest as _, Sha256};

use super::failure::Failure;

/// The keys of requests in progress.
#[derive(Clone, Default)]
pub struct ActiveKeys(Arc<Mutex<HashSet<String>>>);

/// The exclusive right to process a key's request, released on drop.
#[must_use]
pub struct Claim {
    keys: ActiveKeys,
    key: String,
}

impl ActiveKeys {
    /// Claims a key.
    ///
    /// # Errors
    /// 409 while another request with the same key is in progress.
    pub fn claim(&self, key: &str) -> Result<Claim, Failure> {
        let is_free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        if is_free {
            return Ok(Claim { keys: self.clone(), key: key.to_owned() });
        }
        let message = "another request with this idempotency key is in progress; retry later";
        Err(Failure::new(StatusCode::CONFLICT, KIND, "idempotency_key_in_use", message))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Returns 400 for a key that was used for another request.
pub fn reused() -> Failure {
    let message = "this idempotency key was used for a request with another path or other parameters";
    Failure::new(StatusCode::BAD_REQUEST, KIND, "idempotency_key_reused", message)
}

/// Identifies a request without storing it, to recognize a retry.
pub fn fingerprint(path: &str, livemode: bool, body: &[u8]) -> String {
    let mut text = path.as_bytes().to_vec();
    text.extend([0, u8::from(livemode), 0]);
    // JSON that differs only in order or spacing is the same request.
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => text.extend(value.to_string().into_bytes()),
        Err(_) => text.extend(body),
    }
    Fingerprint::of(&text).as_str().to_owned()
}

/// Returns the candidate order ids of a creation, by priority.
///
/// They are the id in its key, the hash of its key, and a random id.
///
/// # Errors
/// 500 if the operating system provides no randomness.
pub fn orders(key: Option<&str>) -> Result<[ProjectId; 3], Failure> {
    let random = || ProjectId::random().map_err(|error| Failure::internal(error.to_string()));
    let hashed = match key {
        Some(key) => {
            let digest = hex(&Sha256::digest(key.as_bytes()));
            ProjectId::from_stored(format!("{ORDER_PREFIX}{}", digest.get(..ORDER_DIGITS).unwrap_or(&digest)))
        }
        None => random()?,
    };
    Ok([key.and_then(embedded_order).unwrap_or_else(|| hashed.clone()), hashed, random()?])
}

/// Finds the first `proj_` with 24 hex digits in a key.
fn embedded_order(key: &str) -> Option<ProjectId> {
    key.match_indices(ORDER_PREFIX).find_map(|(at, _)| {
        let order = key.get(at..at + ORDER_PREFIX.len() + ORDER_DIGITS)?;
        let digits = order.strip_prefix(ORDER_PREFIX)?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        digits.bytes().all(is_hex).then(|| ProjectId::from_stored(order.to_owned()))
    })
}

const KIND: &str = "idempotency_error";

/// The prefix of order ids; hex digits follow.
const ORDER_PREFIX: &str = "proj_";

const ORDER_DIGITS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_extracts_id_from_key() {
        let [first, hashed, random] = orders(Some("provision:proj_0123456789abcdef01234567:1")).unwrap();
        assert_eq!(first.as_str(), "proj_0123456789abcdef01234567");
        assert_ne!(first, hashed);
        assert_ne!(hashed, random);
    }

    #[test]
    fn orders_without_id_in_key_uses_hash() {
        for key in ["", "k", "proj_0123", "proj_0123456789ABCDEF01234567", "proj_é"] {
            let [first, hashed, _] = orders(Some(key)).unwrap();
            assert_eq!(first, hashed, "{key}");
            assert_eq!(first.as_str().len(), 29);
            assert_eq!(orders(Some(key)).unwrap()[0], first, "the same key, the same order");
        }
        assert_ne!(orders(None).unwrap()[0], orders(None).unwrap()[0]);
    }

    #[test]
    fn fingerprint_ignores_json_order_and_spacing() {
        let print = |path: &str, body: &str| fingerprint(path, false, body.as_bytes());
        assert_eq!(print("/a", r#"{"x":1, "y":2}"#), print("/a", r#"{"y":2,"x":1}"#));
        assert_ne!(print("/a", "{}"), print("/b", "{}"));
        assert_ne!(print("/a", "{}"), print("/a", r#"{"x":1}"#));
        assert_ne!(print("/a", "{}"), fingerprint("/a", true, b"{}"));
    }

    #[test]
    fn claim_is_released_on_drop() {
        let keys = ActiveKeys::default();
        let claim = keys.claim("k").unwrap();
        assert_eq!(keys.claim("k").map(|_| ()).unwrap_err().status, StatusCode::CONFLICT);
        drop(claim);
        assert!(keys.claim("k").is_ok());
    }
}
