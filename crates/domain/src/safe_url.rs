//! Web addresses that are safe to open, to call and to print.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

/// A web address: `https`, or `http` to a loopback address, without a user or password.
///
/// Its text has one reading. What browsers repair and other parsers read differently is refused: control characters,
/// white space, backslashes, missing slashes; and in `http`, numeric hosts in another notation than `127.0.0.1`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SafeUrl(Url);

/// Why a text is not a safe address. It never quotes the text, where a password could be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnsafeUrl {
    #[error("the address is neither https, nor http to a loopback address")]
    Insecure,
    #[error("the text is not a plain web address")]
    Malformed,
}

impl SafeUrl {
    /// # Errors
    /// [`UnsafeUrl::Insecure`] for another scheme, and for `http` to another machine.
    pub fn parse(text: &str) -> Result<Self, UnsafeUrl> {
        let url = Self::parse_trusting(text, |_| true)?;
        if url.is_https() || url.is_loopback() { Ok(url) } else { Err(UnsafeUrl::Insecure) }
    }

    /// Parses an address that may be `http` where `is_trusted` says so of its [`host`](Self::host).
    ///
    /// # Errors
    /// [`UnsafeUrl::Insecure`] for another scheme, and for `http` to a host that is not trusted.
    pub fn parse_trusting(text: &str, is_trusted: impl FnOnce(&str) -> bool) -> Result<Self, UnsafeUrl> {
        let (_, rest) = text.split_once("://").ok_or(UnsafeUrl::Malformed)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_plain = text.len() <= LONGEST && text.bytes().all(is_plain_byte);
        if !is_plain || !is_plain_authority(authority) {
            return Err(UnsafeUrl::Malformed);
        }
        let url = Self(Url::parse(text).map_err(|_| UnsafeUrl::Malformed)?);
        match url.0.scheme() {
            "http" | "https" => {}
            _ => return Err(UnsafeUrl::Insecure),
        }
        let is_ipv4 = matches!(url.0.host(), Some(Host::Ipv4(_)));
        if is_ipv4 && !url.is_https() && host_of(authority).parse::<Ipv4Addr>().is_err() {
            return Err(UnsafeUrl::Malformed);
        }
        let host = url.host();
        if host.is_empty() {
            return Err(UnsafeUrl::Malformed);
        }
        if url.is_https() || is_trusted(&host) { Ok(url) } else { Err(UnsafeUrl::Insecure) }
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The host in the spelling in which hosts are compared: lower case, without brackets and a final dot.
    pub fn host(&self) -> String {
        match self.0.host() {
            Some(Host::Domain(name)) => name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => String::new(),
        }
    }

    /// The port, which is the scheme's own where none is given.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether the host is `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == LOCALHOST,
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Whether it consists of a scheme, a host and a port.
    pub fn is_origin(&self) -> bool {
        self.0.path() == "/" && self.0.query().is_none() && self.0.fragment().is_none()
    }

    /// Resolves a reference such as `/v2/…`; `None` if it leads to another origin.
    pub fn join(&self, reference: &str) -> Option<Self> {
        let url = self.0.join(reference).ok()?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        (url.origin() == self.0.origin() && !has_user).then_some(Self(url))
    }
}

/// Whether a `Host` header names a loopback address, with or without a port.
pub fn is_loopback_authority(text: &str) -> bool {
    let host = host_of(text);
    is_plain_authority(text)
        && (host.eq_ignore_ascii_case(LOCALHOST) || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

/// What RFC 3986 allows in an address.
fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)
}

/// Whether it is a host and perhaps a port: no user, no percent-encoding, nothing that is not ASCII.
fn is_plain_authority(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !text.is_empty() && !text.starts_with(['.', '-']) && text.bytes().all(is_plain)
}

/// The host of an authority, without brackets and port.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

const LOCALHOST: &str = "localhost";

/// In bytes; people have to be able to paste it.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_loopback_http_are_safe() {
        for text in [
            "https://connect.example/a?b=c#d",
            "https://connect.example:8443",
            "https://connect.example./",
            "https://2606.example/",
            "https://[2606:4700::1]:8443/",
            "https://93.184.216.34/",
            "https://connect.example/a@b",
            "HTTPS://CONNECT.EXAMPLE/",
            "http://127.0.0.1:9/a",
            "http://127.0.0.2",
            "http://[::1]:9/",
            "http://localhost:12111/connect",
            "HTTP://LOCALHOST/",
        ] {
            assert!(SafeUrl::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn other_schemes_and_remote_http_are_insecure() {
        for text in [
            "http://connect.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://localhost./",
            "http://evil.example/127.0.0.1",
            "http://10.0.0.1/",
            "http://[::2]/",
            "http://[2606:4700::1]/",
            "ftp://127.0.0.1/",
            "javascript://127.0.0.1/%0aalert(1)",
        ] {
            assert_eq!(SafeUrl::parse(text), Err(UnsafeUrl::Insecure), "{text}");
        }
    }

    #[test]
    fn text_with_two_readings_is_malformed() {
        for text in [
            "",
            "x",
            "https://",
            "https:connect.example",
            "https:///connect.example",
            "javascript:alert(1)",
            "http://127.0.0.1:80@evil.example/",
            "https://user@connect.example",
            "https://:password@connect.example",
            "https://@connect.example",
            "https://connect.example\\@evil.example/",
            "https:\\\\connect.example",
            "http://localhost\\.evil.example",
            "https://connect.example/a b",
            "https://connect.example/\u{1b}[31m",
            "https://connect.example/\t",
            "https://connect.example\n/",
            " https://connect.example",
            "https://connect.example/\u{7f}",
            "https://c\u{f6}nnect.example/",
            "https://%63onnect.example/",
            "https://.connect.example/",
            "https://connect.example:port/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://127.1/",
            "http://127.0.0.1./",
            "https://connect.example/<a>",
            "file:///etc/passwd",
        ] {
            assert_eq!(SafeUrl::parse(text), Err(UnsafeUrl::Malformed), "{text}");
        }
        let long = format!("https://connect.example/{}", "a".repeat(LONGEST));
        assert_eq!(SafeUrl::parse(&long), Err(UnsafeUrl::Malformed));
    }

    #[test]
    fn http_is_trusted_by_its_parsed_host() {
        let parse = |text: &str| SafeUrl::parse_trusting(text, |host| ["::1", "hooks.internal"].contains(&host));
        for text in ["http://Hooks.Internal./a", "http://[0:0::1]:9", "https://hooks.example.com"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        assert_eq!(parse("http://127.0.0.1/"), Err(UnsafeUrl::Insecure));
        assert_eq!(parse("http://hooks.internal@evil.example/"), Err(UnsafeUrl::Malformed));
        assert_eq!(parse("http://Hooks.Internal.:8080/").unwrap().host(), "hooks.internal");
    }

    #[test]
    fn join_stays_with_the_origin() {
        let base = SafeUrl::parse("https://api.example").unwrap();
        assert_eq!(base.join("/v2/x?page=1").unwrap().as_str(), "https://api.example/v2/x?page=1");
        for reference in
            ["https://evil.example/v2", "//evil.example/v2", "http://api.example/v2", "https://a@api.example/"]
        {
            assert_eq!(base.join(reference), None, "{reference}");
        }
    }

    #[test]
    fn a_host_header_is_loopback_only_as_a_whole() {
        for text in ["127.0.0.1:12111", "127.0.0.2", "localhost", "LOCALHOST:1", "[::1]:12111", "[::1]"] {
            assert!(is_loopback_authority(text), "{text}");
        }
        for text in [
            "",
            "evil.example",
            "localhost.evil.example",
            "localhost.",
            "127.0.0.1.evil.example",
            "127.0.0.1/evil.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "10.0.0.1:80",
            "::1",
            "2130706433",
        ] {
            assert!(!is_loopback_authority(text), "{text}");
        }
    }
}
