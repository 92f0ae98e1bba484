//! The `[alerts]` table: where alerts about budgets are sent.

use domain::safe_url::SafeUrl;

use super::Origin;
use super::error::{Problem, SpannedProblem};
use super::wire::{self, Document};

/// The receiver of alerts. The key that signs them is a secret, and so never in this file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alerts {
    /// `https://…`; `http://…` only where the host is one of `allow_hosts`.
    pub url: String,
    /// Hosts on this machine or in a private network that may receive alerts, in lower case.
    pub allow_hosts: Vec<String>,
}

impl Alerts {
    /// Reads the table of a file, if it has one. A workspace cannot say where alerts are sent.
    pub(super) fn of(origin: Origin, document: &Document<'_>) -> Result<Option<Self>, SpannedProblem> {
        match (document.get("alerts"), origin) {
            (Some(table), Origin::Workspace) => Err(SpannedProblem::at(table, Problem::OwnerOnly { key: "alerts" })),
            (table, _) => table.map(Self::read).transpose(),
        }
    }

    fn read(table: &wire::Value<'_>) -> Result<Self, SpannedProblem> {
        let table: wire::Alerts = wire::read(table)?;
        let hosts = table.allow_hosts.iter().flatten().map(|name| wire::parse(name, host));
        let allow_hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        let url = wire::parse(&table.url, |text| url(text, &allow_hosts))?;
        Ok(Self { url, allow_hosts })
    }
}

/// Refuses a URL that can never be used. The rest is checked when an alert is sent.
fn url(text: &str, allow_hosts: &[String]) -> Result<String, Problem> {
    let is_allowed = |host: &str| allow_hosts.iter().any(|allowed| allowed == host);
    let is_safe = SafeUrl::parse_trusting(text, is_allowed).is_ok();
    (is_safe && !text.contains('@') && text.len() <= LONGEST_URL).then(|| text.to_owned()).ok_or(Problem::AlertsUrl)
}

/// Returns a host name or IP address in the spelling in which hosts are compared.
fn host(text: &str) -> Result<String, Problem> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let bare = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_name = bare.bytes().all(is_word) && !bare.starts_with(['.', '-']);
    let is_address = bare.parse::<std::net::IpAddr>().is_ok();
    ((is_name || is_address) && (1..=LONGEST_HOST).contains(&bare.len())).then_some(bare).ok_or(Problem::AlertsHost)
}

/// In bytes.
const LONGEST_URL: usize = 2048;

/// In bytes, as in DNS (RFC 1035).
const LONGEST_HOST: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{BUILTIN, Registry, RegistryError};

    /// Puts the table on line 2.
    fn alerts(line: &str) -> Result<Option<Alerts>, RegistryError> {
        let providers = BUILTIN.replace("version = 1", "");
        let text = format!("version = 1\nalerts = {{ {line} }}\n{providers}");
        Registry::parse(&text, "p.toml").map(|registry| registry.alerts)
    }

    #[test]
    fn receiver_with_url_and_hosts_is_read() {
        assert_eq!(Registry::builtin().unwrap().alerts, None);
        for (line, url, hosts) in [
            ("url = 'https://hooks.example.com/a?b=c'", "https://hooks.example.com/a?b=c", &[][..]),
            ("url = 'https://[2606:4700::1]:8443/'", "https://[2606:4700::1]:8443/", &[]),
            ("url = 'http://127.0.0.1:9/', allow_hosts = ['127.0.0.1']", "http://127.0.0.1:9/", &["127.0.0.1"]),
            (
                "url = 'http://Hooks.Internal', allow_hosts = ['HOOKS.internal.']",
                "http://Hooks.Internal",
                &["hooks.internal"],
            ),
            ("allow_hosts = ['[::1]'], url = 'http://[::1]:9'", "http://[::1]:9", &["::1"]),
        ] {
            let allow_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            assert_eq!(alerts(line), Ok(Some(Alerts { url: url.to_owned(), allow_hosts })), "{line}");
        }
    }

    #[test]
    fn invalid_receiver_is_refused_with_its_place() {
        let (url, host) = (Problem::AlertsUrl.to_string(), Problem::AlertsHost.to_string());
        for (line, error) in [
            ("", "2:10: `url` is missing".to_owned()),
            ("allow_hosts = []", "2:10: `url` is missing".to_owned()),
            ("ulr = 'https://a.b'", "2:12: unknown key; did you mean `url`?".to_owned()),
            ("url = 'https://a.b', secret = 'x'", "2:33: unknown key".to_owned()),
            ("url = 7", "2:18: expected a quoted string".to_owned()),
            ("url = ''", format!("2:18: {url}")),
            ("url = 'https://'", format!("2:18: {url}")),
            ("url = 'hooks.example.com'", format!("2:18: {url}")),
            ("url = 'http://hooks.example.com'", format!("2:18: {url}")),
            ("url = 'ftp://hooks.example.com'", format!("2:18: {url}")),
            ("url = 'https://u:p@hooks.example.com'", format!("2:18: {url}")),
            ("url = 'https://u@hooks.example.com'", format!("2:18: {url}")),
            ("url = 'https://a b'", format!("2:18: {url}")),
            ("url = 'https://a.b\\@c.d'", format!("2:18: {url}")),
            ("url = 'http://a.b:80@c.d', allow_hosts = ['a.b']", format!("2:18: {url}")),
            ("url = 'http://a.b.c.d', allow_hosts = ['a.b']", format!("2:18: {url}")),
            ("url = 'http://a.b', allow_hosts = ['c.d']", format!("2:18: {url}")),
            ("url = 'https://a.b', allow_hosts = 'c'", "2:47: expected an array".to_owned()),
            ("url = 'https://a.b', allow_hosts = ['https://c']", format!("2:48: {host}")),
            ("url = 'https://a.b', allow_hosts = ['c:80']", format!("2:48: {host}")),
            ("url = 'https://a.b', allow_hosts = ['*']", format!("2:48: {host}")),
            ("url = 'https://a.b', allow_hosts = ['']", format!("2:48: {host}")),
        ] {
            assert_eq!(alerts(line).unwrap_err().to_string(), format!("p.toml:{error}"), "{line}");
        }
    }

    #[test]
    fn error_quotes_no_value() {
        for line in ["url = 'canary'", "url = 'https://canary@x'", "canary = 1", "allow_hosts = ['canary/']"] {
            let error = alerts(line).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{line}: {error:?}");
        }
    }
}
