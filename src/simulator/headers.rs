//! What the headers of a request must say before anything of it is read.

use axum::http::{HeaderMap, StatusCode, header};

use super::failure::{Failure, INVALID_REQUEST};
use crate::safe_url::is_loopback_authority;

/// Whether the key of the request is a live one. The key itself is looked at and forgotten.
///
/// # Errors
/// 401 without a key that reads like one of Stripe's.
pub fn livemode(headers: &HeaderMap) -> Result<bool, Failure> {
    let key = text(headers, header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    let known =
        key.and_then(|key| KEYS.iter().find(|(start, _)| key.strip_prefix(start).is_some_and(|rest| !rest.is_empty())));
    known.map(|(_, livemode)| *livemode).ok_or_else(|| {
        let message = match key {
            Some(_) => "the API key is not one of Stripe's: rk_test_…, sk_test_…, rk_live_… or sk_live_…",
            None => "there is no API key; send one as `Authorization: Bearer rk_test_…`",
        };
        Failure::new(StatusCode::UNAUTHORIZED, INVALID_REQUEST, "api_key_invalid", message)
    })
}

/// # Errors
/// 400 for any other version of the API than the one that is simulated.
pub fn check_version(headers: &HeaderMap) -> Result<(), Failure> {
    if text(headers, "stripe-version") == Some(VERSION) {
        return Ok(());
    }
    let message = format!("send `Stripe-Version: {VERSION}`, the only version that is simulated");
    Err(Failure::invalid("api_version_unsupported", message))
}

/// The idempotency key, if there is one.
///
/// # Errors
/// 400 when it is empty, too long or not text.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    match headers.get("idempotency-key").map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(key)) if (1..=LONGEST_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        Some(_) => Err(Failure::invalid("idempotency_key_invalid", "an idempotency key has 1 to 255 characters")),
    }
}

/// A page of the web may have made somebody's browser ask; it cannot say that it asks a loopback address.
///
/// # Errors
/// 403 when the request is meant for another host.
pub fn check_host(headers: &HeaderMap) -> Result<(), Failure> {
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    if is_loopback_authority(host) {
        return Ok(());
    }
    let message = "the simulator answers requests to a loopback address only";
    Err(Failure::new(StatusCode::FORBIDDEN, INVALID_REQUEST, "host_not_loopback", message))
}

/// # Errors
/// 400 for a body that does not say that it is JSON; such a body a page of the web could send, too.
pub fn check_body(headers: &HeaderMap, body: &[u8]) -> Result<(), Failure> {
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if body.is_empty() || essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::invalid("content_type_invalid", "send the body as `Content-Type: application/json`"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The version of the API that is simulated.
pub const VERSION: &str = "2026-10-14.preview";

/// How Stripe's keys begin, and whether they are live ones.
const KEYS: &[(&str, bool)] = &[("rk_test_", false), ("sk_test_", false), ("rk_live_", true), ("sk_live_", true)];

const LONGEST_KEY: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loopback_host_is_meant() {
        let answer = |host: &str| check_host(&HeaderMap::from_iter([(header::HOST, host.parse().unwrap())])).is_ok();
        for host in ["127.0.0.1:12111", "localhost", "LOCALHOST:1", "[::1]:12111", "127.0.0.2"] {
            assert!(answer(host), "{host}");
        }
        for host in
            ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "10.0.0.1:80"]
        {
            assert!(!answer(host), "{host}");
        }
    }
}
