//! Idempotency keys: whose request is being worked on, and what order a key stands for.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;
use sha2::{Digest as _, Sha256};

use super::failure::Failure;
use crate::{
    project::ProjectId,
    secret::{Fingerprint, hex},
};

/// The keys of the requests that are being worked on right now.
#[derive(Clone, Default)]
pub struct Keys(Arc<Mutex<HashSet<String>>>);

/// The right to work on the request of a key. It ends with this value.
#[must_use]
pub struct Claim {
    keys: Keys,
    key: String,
}

impl Keys {
    /// # Errors
    /// 409 while another request of the same key is being worked on.
    pub fn claim(&self, key: &str) -> Result<Claim, Failure> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        if free {
            return Ok(Claim { keys: self.clone(), key: key.to_owned() });
        }
        let message = "another request with this idempotency key is being worked on; ask again";
        Err(Failure::new(StatusCode::CONFLICT, KIND, "idempotency_key_in_use", message))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// 400: the key was used for another request.
pub fn reused() -> Failure {
    let message = "this idempotency key was used for a request with another path or other parameters";
    Failure::new(StatusCode::BAD_REQUEST, KIND, "idempotency_key_reused", message)
}

/// What tells a repetition from another request, without keeping what was sent.
pub fn fingerprint(path: &str, livemode: bool, body: &[u8]) -> String {
    let mut text = path.as_bytes().to_vec();
    text.extend([0, u8::from(livemode), 0]);
    // The same JSON in another order or spacing is the same request.
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => text.extend(value.to_string().into_bytes()),
        Err(_) => text.extend(body),
    }
    Fingerprint::of(&text).as_str().to_owned()
}

/// The order ids that a creation may go by, best first: the one that its key contains, the one that its key hashes
/// to, and a random one.
///
/// # Errors
/// 500 when the operating system has no randomness.
pub fn orders(key: Option<&str>) -> Result<[ProjectId; 3], Failure> {
    let random = || ProjectId::random().map_err(|error| Failure::internal(error.to_string()));
    let hashed = match key {
        Some(key) => {
            let digest = hex(&Sha256::digest(key.as_bytes()));
            ProjectId::from_stored(format!("{ORDER}{}", digest.get(..ORDER_DIGITS).unwrap_or(&digest)))
        }
        None => random()?,
    };
    Ok([key.and_then(contained).unwrap_or_else(|| hashed.clone()), hashed, random()?])
}

/// The first `proj_` with 24 hex digits inside a key.
fn contained(key: &str) -> Option<ProjectId> {
    key.match_indices(ORDER).find_map(|(at, _)| {
        let order = key.get(at..at + ORDER.len() + ORDER_DIGITS)?;
        let digits = order.strip_prefix(ORDER)?;
        let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        digits.bytes().all(plain).then(|| ProjectId::from_stored(order.to_owned()))
    })
}

const KIND: &str = "idempotency_error";

/// How order ids begin; hex digits follow.
const ORDER: &str = "proj_";

const ORDER_DIGITS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_found_in_its_key() {
        let [first, hashed, random] = orders(Some("provision:proj_0123456789abcdef01234567:1")).unwrap();
        assert_eq!(first.as_str(), "proj_0123456789abcdef01234567");
        assert_ne!(first, hashed);
        assert_ne!(hashed, random);
    }

    #[test]
    fn any_other_key_is_hashed() {
        for key in ["", "k", "proj_0123", "proj_0123456789ABCDEF01234567", "proj_é"] {
            let [first, hashed, _] = orders(Some(key)).unwrap();
            assert_eq!(first, hashed, "{key}");
            assert_eq!(first.as_str().len(), 29);
            assert_eq!(orders(Some(key)).unwrap()[0], first, "the same key, the same order");
        }
        assert_ne!(orders(None).unwrap()[0], orders(None).unwrap()[0]);
    }

    #[test]
    fn the_order_of_names_is_no_difference() {
        let of = |path: &str, body: &str| fingerprint(path, false, body.as_bytes());
        assert_eq!(of("/a", r#"{"x":1, "y":2}"#), of("/a", r#"{"y":2,"x":1}"#));
        assert_ne!(of("/a", "{}"), of("/b", "{}"));
        assert_ne!(of("/a", "{}"), of("/a", r#"{"x":1}"#));
        assert_ne!(of("/a", "{}"), fingerprint("/a", true, b"{}"));
    }

    #[test]
    fn a_claim_ends() {
        let keys = Keys::default();
        let claim = keys.claim("k").unwrap();
        assert_eq!(keys.claim("k").map(|_| ()).unwrap_err().status, StatusCode::CONFLICT);
        drop(claim);
        assert!(keys.claim("k").is_ok());
    }
}
