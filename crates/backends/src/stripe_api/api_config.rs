//! The address of the API, and the key and account that are used.

use domain::{
    channel::Channel,
    diagnostic::{Diagnostic, Exit},
    safe_url::SafeUrl,
    secret::Secret,
};

/// The address of the API, and the key and account that are used.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    pub base: ApiBase,
    /// A restricted key rather than a secret one. Its prefix says whether money is real.
    pub key: Option<Secret>,
    /// The connected account to act for, if it is not the key's own.
    pub context: Option<String>,
}

/// The scheme, host and port of an API: `https` anywhere, `http` on this machine only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiBase(SafeUrl);

/// Why a text is not the base of an API. It never quotes the text, where a password could be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the address of the API is https://host, or http://127.0.0.1:port, without a user, a path or a query")]
pub struct ApiBaseError;

impl Diagnostic for ApiBaseError {
    fn code(&self) -> &'static str {
        "invalid_api_base"
    }

    fn hint(&self, channel: Channel) -> String {
        channel.person("leave `--stripe-api-base` out for Stripe itself, or give the address that `simulator` prints")
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

impl ApiConfig {
    /// Whether the key is a live secret key, which may do everything on the account. Its mask shows it.
    pub fn has_every_right(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.mask().as_str().starts_with("sk_live_"))
    }
}

impl ApiBase {
    /// # Errors
    /// [`ApiBaseError`] states the rule.
    pub fn parse(text: &str) -> Result<Self, ApiBaseError> {
        SafeUrl::parse(text).ok().filter(SafeUrl::is_origin).map(Self).ok_or(ApiBaseError)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether it is an address of this machine, such as a simulator's. Only such a one may be without TLS.
    pub fn is_loopback(&self) -> bool {
        !self.0.is_https()
    }

    pub(super) fn as_url(&self) -> &SafeUrl {
        &self.0
    }
}

impl Default for ApiBase {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, and a test parses it")]
        Self::parse(STRIPE).expect("Stripe's address is valid")
    }
}

const STRIPE: &str = "https://api.stripe.com";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_is_a_safe_origin() {
        for text in [
            "https://api.stripe.com",
            "https://api.stripe.com/",
            "HTTPS://API.STRIPE.COM",
            "https://api.stripe.com.",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            assert!(ApiBase::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "api.stripe.com",
            "http://api.stripe.com",
            "http://127.0.0.1.example.com",
            "http://localhost.evil.example",
            "http://127.0.0.1:80@evil.example",
            "http://localhost.",
            "https://user@api.stripe.com",
            "https://:pw@api.stripe.com",
            "https://api.stripe.com\\@evil.example",
            "https://api.stripe.com/v1",
            "https://api.stripe.com/?a",
            "https://api.stripe.com/#a",
            "ftp://127.0.0.1",
            "file:///etc",
        ] {
            assert_eq!(ApiBase::parse(text), Err(ApiBaseError), "{text}");
        }
        assert_eq!(ApiBase::default().as_str(), "https://api.stripe.com");
    }
}
