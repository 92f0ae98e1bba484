//! Checks the headers of a request before anything else is read.

use axum::http::{HeaderMap, StatusCode, header};
use domain::safe_url::is_loopback_authority;

use super::failure::{Failure, INVALID_REQUEST};

/// Returns whether the API key is a live one. The key is not stored.
///
/// # Errors
/// 401 without a key in Stripe's format.
pub fn livemode(headers: &HeaderMap) -> Result<bool, Failure> {
    let key = text(headers, header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    let known = key.and_then(|key| {
        KEY_PREFIXES.iter().find(|(prefix, _)| key.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()))
    });
    known.map(|(_, livemode)| *livemode).ok_or_else(|| {
        let message = match key {
            Some(_) => "the API key is not one of Stripe's: rk_test_…, sk_test_…, rk_live_… or sk_live_…",
            None => "there is no API key; send one as `Authorization: Bearer rk_test_…`",
        };
        Failure::new(StatusCode::UNAUTHORIZED, INVALID_REQUEST, "api_key_invalid", message)
    })
}

/// Checks the API version.
///
/// # Errors
/// 400 for any version except the simulated one.
pub fn check_version(headers: &HeaderMap) -> Result<(), Failure> {
    if text(headers, "stripe-version") == Some(VERSION) {
        return Ok(());
    }
    let message = format!("send `Stripe-Version: {VERSION}`, the only version that is simulated");
    Err(Failure::invalid("api_version_unsupported", message))
}

/// Returns the idempotency key, if any.
///
/// # Errors
/// 400 if it is empty, too long or not text.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    match headers.get("idempotency-key").map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(key)) if (1..=MAX_KEY_LENGTH).contains(&key.len()) => Ok(Some(key.to_owned())),
        Some(_) => Err(Failure::invalid("idempotency_key_invalid", "an idempotency key has 1 to 255 characters")),
    }
}

/// Checks that the `Host` header names a loopback address, against DNS rebinding.
///
/// # Errors
/// 403 for another host.
pub fn check_host(headers: &HeaderMap) -> Result<(), Failure> {
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    if is_loopback_authority(host) {
        return Ok(());
    }
    let message = "the simulator answers requests to a loopback address only";
    Err(Failure::new(StatusCode::FORBIDDEN, INVALID_REQUEST, "host_not_loopback", message))
}

/// Checks that no page of another origin sent the request. Programs send neither header.
///
/// # Errors
/// 403 for another origin.
pub fn check_origin(headers: &HeaderMap) -> Result<(), Failure> {
    let own = text(headers, header::HOST.as_str()).map(|host| format!("http://{host}"));
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let is_own =
        origins.all(|origin| own.as_deref().is_some_and(|own| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes())));
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if is_own && sites.all(|site| matches!(site.as_bytes(), b"none" | b"same-origin")) {
        return Ok(());
    }
    let message = "the simulator takes no request from a page of another origin";
    Err(Failure::new(StatusCode::FORBIDDEN, INVALID_REQUEST, "origin_not_allowed", message))
}

/// Checks the content type, because a web page can send other types across origins.
///
/// # Errors
/// 400 for a body that is not declared as JSON.
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

/// The simulated API version.
pub const VERSION: &str = "2026-10-14.preview";

/// Prefixes of Stripe's keys, and whether they are live keys.
const KEY_PREFIXES: &[(&str, bool)] =
    &[("rk_test_", false), ("sk_test_", false), ("rk_live_", true), ("sk_live_", true)];

const MAX_KEY_LENGTH: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_origin_accepts_its_own_only() {
        let is_accepted = |more: &[(&'static str, &str)]| {
            let host = ("host", "127.0.0.1:12111");
            let headers =
                more.iter().chain([&host]).map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()));
            check_origin(&headers.collect::<HeaderMap>()).is_ok()
        };
        for own in [
            &[][..],
            &[("origin", "http://127.0.0.1:12111")],
            &[("origin", "http://127.0.0.1:12111"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(is_accepted(own), "{own:?}");
        }
        for foreign in [
            &[("origin", "http://127.0.0.1:12112")][..],
            &[("origin", "https://127.0.0.1:12111")],
            &[("origin", "http://localhost:12111")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "http://127.0.0.1:12111"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(!is_accepted(foreign), "{foreign:?}");
        }
    }

    #[test]
    fn check_host_accepts_loopback_only() {
        let is_accepted =
            |host: &str| check_host(&HeaderMap::from_iter([(header::HOST, host.parse().unwrap())])).is_ok();
        for host in ["127.0.0.1:12111", "localhost", "LOCALHOST:1", "[::1]:12111", "127.0.0.2"] {
            assert!(is_accepted(host), "{host}");
        }
        for host in
            ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "10.0.0.1:80"]
        {
            assert!(!is_accepted(host), "{host}");
        }
    }
}
