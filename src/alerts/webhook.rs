//! The way out: one signed request to a receiver that we may write to, at the address that was looked at.
//!
//! Whoever can edit the registry could have us knock at doors inside a private network. So a name is looked up once,
//! every address that it has must be on the public internet, and the connection goes to those and no others: a second
//! lookup could answer otherwise. No redirect is followed, and no proxy is asked, which would look the name up anew.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, Url, header::CONTENT_TYPE};
use tokio::{task, time};

use super::{
    address::{ReservedAddress, special},
    signature::HEADER,
};
use crate::registry::Alerts;

/// A connection to one receiver, good for the alerts of one moment.
#[derive(Debug)]
pub struct WebhookClient {
    client: Client,
    url: Url,
}

/// Turns a name into the addresses that it has. It may block.
pub type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Why an alert has not arrived, as far as we know. Nothing here quotes an address: it may carry a token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Undelivered {
    #[error("this machine's certificates cannot be read")]
    Certificates,
    #[error("`alerts.url` is not an address that can be written to")]
    NoAddress,
    #[error("the receiver did not answer in time")]
    NoAnswer,
    #[error("the receiver's name has no address, or nobody answers for it at the moment")]
    NotFound,
    #[error("the receiver could not be reached")]
    NotReached,
    #[error("`alerts.url` is not https://, and its host is not in `allow_hosts`")]
    InsecureScheme,
    #[error("the receiver is at a {} address, and its host is not in `alerts.allow_hosts`", .0.as_str())]
    ReservedAddress(ReservedAddress),
    #[error("the receiver answered {0}{hint}", hint = if (300..400).contains(.0) { ", and a redirect is not followed" } else { "" })]
    Status(u16),
}

/// Asks the system.
pub fn lookup() -> Lookup {
    Arc::new(|name, port| Ok((name, port).to_socket_addrs()?.collect()))
}

impl WebhookClient {
    /// Looks the receiver up, and refuses it unless it is one that we may write to.
    ///
    /// # Errors
    /// [`Undelivered`], and nothing was sent.
    pub async fn open(receiver: &Alerts, lookup: &Lookup) -> Result<Self, Undelivered> {
        let url = Url::parse(&receiver.url).map_err(|_| Undelivered::NoAddress)?;
        let (Some(host), Some(port)) = (host(&url), url.port_or_known_default()) else {
            return Err(Undelivered::NoAddress);
        };
        let allowed = receiver.allow_hosts.contains(&host);
        match url.scheme() {
            "https" => {}
            "http" if allowed => {}
            _ => return Err(Undelivered::InsecureScheme),
        }
        let literal = host.parse::<IpAddr>().ok();
        let addresses = match literal {
            Some(address) => vec![SocketAddr::new(address, port)],
            None if !allowed && METADATA.contains(&host.as_str()) => {
                return Err(Undelivered::ReservedAddress(ReservedAddress::Metadata));
            }
            None => resolve(host.clone(), port, Arc::clone(lookup)).await?,
        };
        // One bad address is enough: which of them is connected to is decided elsewhere.
        let refused = addresses.iter().find_map(|address| special(address.ip())).filter(|_| !allowed);
        if let Some(special) = refused {
            return Err(Undelivered::ReservedAddress(special));
        }
        let pinned = literal.is_none().then_some(addresses.as_slice());
        Ok(Self { client: client(&url, pinned)?, url })
    }

    /// Sends one message. Any answer of 200 to 299 says that it has arrived, and nothing but its status is read.
    ///
    /// # Errors
    /// [`Undelivered`]; the receiver may have it even so.
    pub async fn send(&self, body: &str, signature: &str) -> Result<(), Undelivered> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, JSON).header(HEADER, signature);
        match request.body(body.to_owned()).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(Undelivered::Status(answer.status().as_u16())),
            Err(error) if error.is_timeout() => Err(Undelivered::NoAnswer),
            Err(_) => Err(Undelivered::NotReached),
        }
    }
}

/// The host in the spelling in which hosts are compared.
fn host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    (!bare.is_empty()).then(|| bare.to_ascii_lowercase())
}

async fn resolve(name: String, port: u16, lookup: Lookup) -> Result<Vec<SocketAddr>, Undelivered> {
    let asked = task::spawn_blocking(move || lookup(&name, port));
    match time::timeout(CONNECT_TIMEOUT, asked).await {
        Ok(Ok(Ok(addresses))) if !addresses.is_empty() => Ok(addresses),
        _ => Err(Undelivered::NotFound),
    }
}

fn client(url: &Url, pinned: Option<&[SocketAddr]>) -> Result<Client, Undelivered> {
    // An error means that the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let is_plain = url.scheme() == "http";
    let mut builder = Client::builder()
        .user_agent(AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never()) // the outbox does that
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .https_only(!is_plain);
    if is_plain {
        builder = builder.tls_certs_only([]); // nothing to encrypt, so no certificates to read
    }
    if let (Some(addresses), Some(name)) = (pinned, url.host_str()) {
        builder = builder.resolve_to_addrs(name, addresses);
    }
    builder.build().map_err(|_| Undelivered::Certificates)
}

/// Names under which clouds hand out a machine's credentials.
const METADATA: &[&str] = &["instance-data", "metadata", "metadata.goog", "metadata.google.internal"];

const JSON: &str = "application/json";

const AGENT: &str = concat!("stripe-projects-mcp/", env!("CARGO_PKG_VERSION"));

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const TIMEOUT: Duration = Duration::from_secs(10);
