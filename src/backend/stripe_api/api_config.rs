//! Where the API is, and who asks.

use std::net::IpAddr;

use reqwest::Url;

use crate::{
    diagnostic::{Channel, Diagnostic, Exit},
    secret::Secret,
};

/// What a client needs to be let in.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    pub base: ApiBase,
    /// A restricted key rather than a secret one. Its prefix says whether money is real.
    pub key: Option<Secret>,
    /// The connected account that is acted for, if it is not the key's own.
    pub context: Option<String>,
}

/// The scheme, host and port of an API: `https` anywhere, `http` on this machine only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiBase(Url);

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
    /// Whether it is a live secret key, which may do everything on the account. Its mask tells.
    pub fn has_every_right(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.mask().as_str().starts_with("sk_live_"))
    }
}

impl ApiBase {
    /// # Errors
    /// [`ApiBaseError`] says the rule.
    pub fn parse(text: &str) -> Result<Self, ApiBaseError> {
        let url = Url::parse(text).map_err(|_| ApiBaseError)?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if is_bare && is_safe(&url) { Ok(Self(url)) } else { Err(ApiBaseError) }
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether it is on this machine, where no proxy has any business.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// What a reference such as `/v2/…` leads to, provided that it stays with this API.
    pub(super) fn join(&self, reference: &str) -> Option<Url> {
        let url = self.0.join(reference).ok()?;
        (url.origin() == self.0.origin() && is_safe(&url)).then_some(url)
    }
}

impl Default for ApiBase {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, and a test reads it")]
        Self::parse(STRIPE).expect("Stripe's address is one")
    }
}

/// Whether a person may be sent there: encrypted or on this machine, and with no user in front of the host.
pub(super) fn is_fit_for_a_person(text: &str) -> bool {
    let is_clean = text.len() <= LONGEST_ADDRESS && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    is_clean && Url::parse(text).is_ok_and(|url| is_safe(&url))
}

fn is_safe(url: &Url) -> bool {
    let is_private = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
    is_private && url.has_host() && url.username().is_empty() && url.password().is_none()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

const STRIPE: &str = "https://api.stripe.com";

/// An address that nobody can paste is of no use.
const LONGEST_ADDRESS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_private() {
        for text in ["https://api.stripe.com", "https://api.stripe.com/", "http://127.0.0.1:8080", "http://[::1]:1"] {
            assert!(ApiBase::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "api.stripe.com",
            "http://api.stripe.com",
            "http://127.0.0.1.example.com",
            "https://user@api.stripe.com",
            "https://:pw@api.stripe.com",
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

    #[test]
    fn nothing_leads_away_from_it() {
        let base = ApiBase::default();
        assert_eq!(base.join("/v2/x?page=1").unwrap().as_str(), "https://api.stripe.com/v2/x?page=1");
        for reference in
            ["https://evil.example/v2", "//evil.example/v2", "http://api.stripe.com/v2", "https://a@api.stripe.com/"]
        {
            assert_eq!(base.join(reference), None, "{reference}");
        }
    }

    #[test]
    fn people_are_sent_to_decent_addresses() {
        assert!(is_fit_for_a_person("https://connect.example/a?b=c"));
        assert!(is_fit_for_a_person("http://127.0.0.1:9/a"));
        for text in ["http://connect.example", "javascript:alert(1)", "https://a:b@connect.example", "https://a b", "x"]
        {
            assert!(!is_fit_for_a_person(text), "{text}");
        }
    }
}
