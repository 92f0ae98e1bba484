//! Delivery of alerts: one signed request to a receiver that the registry names.
//!
//! Editing the registry must not give access to a private network. So a name is looked up once, all of its addresses
//! have to be public, and the connection goes to these addresses only: a second lookup could answer differently.
//! Redirects are not followed, and no proxy is used, which would look the name up again.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use domain::safe_url::{SafeUrl, UnsafeUrl};
use files::registry::Alerts;
use reqwest::{
    Client,
    header::{CONTENT_TYPE, HeaderMap},
};
use tokio::{task, time};

use super::signature::HEADER;
use crate::net::{ClientOptions, NoCertificates, ReservedAddress, build_client, reserved};

/// A client of one receiver, whose addresses were checked when it was opened.
#[derive(Debug)]
pub struct WebhookClient {
    client: Client,
    url: SafeUrl,
}

/// Looks up the addresses of a name and a port. It may block.
pub type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Why an alert was not delivered. No variant quotes the address, which may contain a token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Undelivered {
    #[error(transparent)]
    Certificates(#[from] NoCertificates),
    #[error("`alerts.url` is not https://, and its host is not in `allow_hosts`")]
    InsecureScheme,
    #[error("`alerts.url` is not a valid web address")]
    NoAddress,
    #[error("the receiver did not answer in time")]
    NoAnswer,
    #[error("the receiver's name could not be resolved")]
    NotFound,
    #[error("the receiver could not be reached")]
    NotReached,
    #[error("the receiver is at a {} address, and its host is not in `alerts.allow_hosts`", .0.as_str())]
    ReservedAddress(ReservedAddress),
    #[error("the receiver answered {0}{hint}", hint = if (300..400).contains(.0) { ", and a redirect is not followed" } else { "" })]
    Status(u16),
}

impl From<UnsafeUrl> for Undelivered {
    fn from(error: UnsafeUrl) -> Self {
        match error {
            UnsafeUrl::Insecure => Self::InsecureScheme,
            UnsafeUrl::Malformed => Self::NoAddress,
        }
    }
}

/// The operating system's lookup.
pub fn lookup() -> Lookup {
    Arc::new(|name, port| Ok((name, port).to_socket_addrs()?.collect()))
}

impl WebhookClient {
    /// Looks the receiver up, and refuses a reserved address unless its host is allowed.
    ///
    /// # Errors
    /// [`Undelivered`], and nothing was sent.
    pub async fn open(receiver: &Alerts, lookup: &Lookup) -> Result<Self, Undelivered> {
        let is_allowed = |host: &str| receiver.allow_hosts.iter().any(|allowed| allowed == host);
        let url = SafeUrl::parse_trusting(&receiver.url, is_allowed)?;
        let (host, port) = (url.host(), url.port());
        let is_allowed = is_allowed(&host);
        let literal = host.parse::<IpAddr>().ok();
        let addresses = match literal {
            Some(address) => vec![SocketAddr::new(address, port)],
            None if !is_allowed && METADATA_HOSTS.contains(&host.as_str()) => {
                return Err(Undelivered::ReservedAddress(ReservedAddress::Metadata));
            }
            None => resolve(host, port, Arc::clone(lookup)).await?,
        };
        // One reserved address is enough: the HTTP client chooses which of them to connect to.
        let refused = addresses.iter().find_map(|address| reserved(address.ip())).filter(|_| !is_allowed);
        if let Some(reserved) = refused {
            return Err(Undelivered::ReservedAddress(reserved));
        }
        let client = build_client(ClientOptions {
            url: &url,
            headers: HeaderMap::new(),
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            may_use_proxy: false,
            pinned: literal.is_none().then_some(addresses.as_slice()),
        })?;
        Ok(Self { client, url })
    }

    /// Sends one message. A status of 200 to 299 means delivered; the rest of the response is not read.
    ///
    /// # Errors
    /// [`Undelivered`]; the receiver may have the message even so.
    pub async fn send(&self, body: &str, signature: &str) -> Result<(), Undelivered> {
        let request = self.client.post(self.url.as_url().clone());
        let request = request.header(CONTENT_TYPE, JSON).header(HEADER, signature).body(body.to_owned());
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(Undelivered::Status(response.status().as_u16())),
            Err(error) if error.is_timeout() => Err(Undelivered::NoAnswer),
            Err(_) => Err(Undelivered::NotReached),
        }
    }
}

async fn resolve(name: String, port: u16, lookup: Lookup) -> Result<Vec<SocketAddr>, Undelivered> {
    let lookup = task::spawn_blocking(move || lookup(&name, port));
    match time::timeout(CONNECT_TIMEOUT, lookup).await {
        Ok(Ok(Ok(addresses))) if !addresses.is_empty() => Ok(addresses),
        _ => Err(Undelivered::NotFound),
    }
}

/// Host names of the metadata services of clouds, which hand out a machine's credentials.
const METADATA_HOSTS: &[&str] = &["instance-data", "metadata", "metadata.goog", "metadata.google.internal"];

const JSON: &str = "application/json";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
