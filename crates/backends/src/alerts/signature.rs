//! Signatures of alerts, in the format of Stripe's webhooks, so that the same code verifies both.

use domain::{
    clock::Timestamp,
    secret::{Secret, hex},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The header that carries [`signature`].
pub const HEADER: &str = "stripe-projects-signature";

/// Returns `t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>", in hex>`.
///
/// The time is signed too, so that a receiver can reject an old message.
pub fn signature(secret: &Secret, at: Timestamp, body: &str) -> Option<String> {
    let at = at.as_second();
    // HMAC takes a key of any length, so there is always a signature.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(format!("{at}.{body}").as_bytes());
    Some(format!("t={at},v1={}", hex(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `openssl dgst -sha256 -hmac`.
    #[test]
    fn signature_matches_openssl() {
        let secret = Secret::new("whsec_test".to_owned());
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        assert_eq!(signature(&secret, at, "{\"a\":1}").unwrap(), OPENSSL);
    }

    const OPENSSL: &str = "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789";
}
