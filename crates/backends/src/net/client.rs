//! Builds HTTP clients that follow no redirect, retry nothing by themselves and send no referer.

use std::{net::SocketAddr, time::Duration};

use domain::safe_url::SafeUrl;
use reqwest::{Client, header::HeaderMap, redirect, retry};

/// What differs between the clients.
#[derive(Debug)]
pub struct ClientOptions<'a> {
    /// The address, or the base of the addresses, that is called. `http` if that is its scheme, else `https` only.
    pub url: &'a SafeUrl,
    /// Sent with every request.
    pub headers: HeaderMap,
    pub connect_timeout: Duration,
    /// For one request, from the first byte to the last.
    pub request_timeout: Duration,
    /// Whether a proxy of the environment may be used. A loopback address is never reached through one.
    pub may_use_proxy: bool,
    /// The addresses to connect to, instead of those that a lookup of the host gives.
    pub pinned: Option<&'a [SocketAddr]>,
}

/// The root certificates of this machine are missing or unreadable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this machine's certificates cannot be read")]
pub struct NoCertificates;

/// # Errors
/// [`NoCertificates`], for `https` only.
pub fn build_client(options: ClientOptions<'_>) -> Result<Client, NoCertificates> {
    // An error means that the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let is_https = options.url.is_https();
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(options.headers)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .https_only(is_https);
    if !options.may_use_proxy || options.url.is_loopback() {
        builder = builder.no_proxy();
    }
    if !is_https {
        builder = builder.tls_certs_only([]); // nothing to encrypt, so no certificates to read
    }
    if let (Some(addresses), Some(host)) = (options.pinned, options.url.as_url().host_str()) {
        builder = builder.resolve_to_addrs(host, addresses);
    }
    builder.build().map_err(|_| NoCertificates)
}

const USER_AGENT: &str = concat!("stripe-projects-mcp/", env!("CARGO_PKG_VERSION"));
