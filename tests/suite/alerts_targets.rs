//! Allowed alert receivers: editing the registry cannot make this program connect to a private address.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use backends::alerts::{Lookup, ReservedAddress, Undelivered, WebhookClient, lookup};
use files::registry::Alerts;

use crate::{
    alerts_receiver::{AlertReceiver, Harness, SECRET},
    cli_call::CliCall,
};

#[test]
fn private_addresses_are_refused() {
    let harness = Harness::without_alerts();
    for (url, what) in [
        ("https://127.0.0.1/", ReservedAddress::Loopback),
        ("https://127.1/", ReservedAddress::Loopback),
        ("https://2130706433/", ReservedAddress::Loopback),
        ("https://0x7f.0.0.1/", ReservedAddress::Loopback),
        ("https://[::1]/", ReservedAddress::Loopback),
        ("https://[::ffff:127.0.0.1]/", ReservedAddress::Loopback),
        ("https://[::ffff:a9fe:a9fe]/", ReservedAddress::Metadata),
        ("https://0.0.0.0/", ReservedAddress::Unspecified),
        ("https://[::]/", ReservedAddress::Unspecified),
        ("https://10.1.2.3/", ReservedAddress::Private),
        ("https://172.20.0.1/", ReservedAddress::Private),
        ("https://192.168.1.1/", ReservedAddress::Private),
        ("https://[fd12:3456::1]/", ReservedAddress::Private),
        ("https://100.100.1.1/", ReservedAddress::CarrierNat),
        ("https://169.254.1.1/", ReservedAddress::LinkLocal),
        ("https://[fe80::1]/", ReservedAddress::LinkLocal),
        ("https://169.254.169.254/latest/meta-data/", ReservedAddress::Metadata),
        ("https://[fd00:ec2::254]/", ReservedAddress::Metadata),
        ("https://metadata.google.internal/", ReservedAddress::Metadata),
        ("https://METADATA.google.internal./", ReservedAddress::Metadata),
        ("https://localhost/", ReservedAddress::Loopback),
    ] {
        let error = harness.block_on(WebhookClient::open(&to(url, &[]), &lookup())).unwrap_err();
        assert_eq!(error, Undelivered::ReservedAddress(what), "{url}");
        let other = harness.block_on(WebhookClient::open(&to(url, &["hooks.internal"]), &lookup())).unwrap_err();
        assert_eq!(other, Undelivered::ReservedAddress(what), "{url}: another host is allowed, not this one");
    }
    for url in ["http://93.184.216.34/", "ftp://127.0.0.1/"] {
        assert_eq!(
            harness.block_on(WebhookClient::open(&to(url, &[]), &lookup())).unwrap_err(),
            Undelivered::InsecureScheme,
            "{url}"
        );
    }
}

/// The name is resolved once, so a changed second answer has no effect.
#[test]
fn hostname_is_checked_by_all_addresses_and_resolved_once() {
    let (receiver, harness) = (AlertReceiver::start(), Harness::without_alerts());
    let (loopback, public) = (receiver.address, "93.184.216.34:443".parse::<SocketAddr>().unwrap());
    let answers = |addresses: &[SocketAddr]| -> (Lookup, Arc<AtomicUsize>) {
        let (lookups, addresses) = (Arc::new(AtomicUsize::new(0)), addresses.to_vec());
        let count = Arc::clone(&lookups);
        let lookup = move |_: &str, _| {
            // A second lookup would lead to this receiver.
            Ok(if count.fetch_add(1, Ordering::SeqCst) == 0 { addresses.clone() } else { vec![loopback] })
        };
        (Arc::new(lookup), lookups)
    };
    let url = format!("https://hooks.example.com:{}/", loopback.port());
    for addresses in [&[loopback][..], &[public, loopback], &[loopback, public]] {
        let (lookup, lookups) = answers(addresses);
        let error = harness.block_on(WebhookClient::open(&to(&url, &[]), &lookup)).unwrap_err();
        assert_eq!(
            (error, lookups.load(Ordering::SeqCst)),
            (Undelivered::ReservedAddress(ReservedAddress::Loopback), 1)
        );
    }
    let (lookup, lookups) = answers(&[public]);
    harness.block_on(WebhookClient::open(&to(&url, &[]), &lookup)).unwrap();
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    let (lookup, _) = answers(&[]);
    assert_eq!(harness.block_on(WebhookClient::open(&to(&url, &[]), &lookup)).unwrap_err(), Undelivered::NotFound);

    // The connection goes to the checked address: no resolver knows this name.
    let url = format!("http://hooks.internal:{}/", loopback.port());
    let (lookup, lookups) = answers(&[loopback]);
    let client = harness.block_on(WebhookClient::open(&to(&url, &["hooks.internal"]), &lookup)).unwrap();
    harness.block_on(client.send("{}", "t=1,v1=2")).unwrap();
    assert_eq!((receiver.received().len(), lookups.load(Ordering::SeqCst)), (1, 1));
}

/// A proxy would resolve the name again, and could read the alert.
#[test]
fn proxy_of_the_environment_is_not_used() {
    let (receiver, proxy) = (AlertReceiver::start(), AlertReceiver::start());
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let mut command = harness.command(&["usage", "record", "memory", "5"]);
    let address = format!("http://{}", proxy.address);
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(variable, &address);
    }
    assert!(command.env("STRIPE_PROJECTS_ALERT_SECRET", SECRET).output().unwrap().status.success());
    assert_eq!((receiver.received().len(), proxy.received().len()), (1, 0));
}

/// Neither a workspace's registry nor a host's entry that leads into the workspace can allow itself a private host.
#[test]
fn workspace_cannot_allow_itself_a_private_receiver() {
    let receiver = AlertReceiver::start();
    let harness = Harness::without_alerts();
    harness.provision("memory");
    let workspace = &harness.workspace;
    let alerts = format!(
        "\n[alerts]\nurl = 'http://127.0.0.1:{}/admin/delete?all=1'\nallow_hosts = ['127.0.0.1']\n",
        receiver.address.port()
    );
    let registry = format!("{}{alerts}", files::registry::BUILTIN);
    let line = files::registry::BUILTIN.lines().count() + 2;
    std::fs::create_dir(workspace.file("stripe-projects")).unwrap();
    std::fs::create_dir_all(workspace.file(".config/stripe-projects")).unwrap();
    let entries: [HostEntry<'_>; 7] = [
        ("providers.toml", &registry, &[], &[]),
        ("other.toml", &registry, &[], &["--providers", "other.toml"]),
        ("other.toml", &registry, &[("STRIPE_PROJECTS_PROVIDERS", "other.toml")], &[]),
        ("stripe-projects/providers.toml", &registry, &[("XDG_CONFIG_HOME", "WORKSPACE")], &[]),
        (".config/stripe-projects/providers.toml", &registry, &[("HOME", "WORKSPACE"), ("XDG_CONFIG_HOME", "")], &[]),
        ("stripe-projects/policy.toml", &alerts, &[("XDG_CONFIG_HOME", "WORKSPACE")], &[]),
        ("own.toml", &alerts, &[("STRIPE_PROJECTS_POLICY", "own.toml")], &[]),
    ];
    for (file, text, variables, flags) in entries {
        workspace.write(file, text);
        let mut command = harness.command(&["usage", "record", "memory", "6"]);
        let mut check = harness.command(&["providers", "check", "--json"]);
        for command in [&mut command, &mut check] {
            command.args(flags);
            for (name, value) in variables {
                command.env(name, value.replace("WORKSPACE", workspace.path().to_str().unwrap()));
            }
        }
        command.env("STRIPE_PROJECTS_ALERT_SECRET", SECRET).output().unwrap();
        let error: serde_json::Value = serde_json::from_slice(&check.output().unwrap().stdout).unwrap();
        let message = error["message"].as_str().unwrap_or_default();
        let place = if text == alerts { "policy" } else { "registry" };
        assert_eq!(error["code"], format!("invalid_{place}"), "{file} {variables:?}: {error}");
        let line = if text == alerts { 2 } else { line };
        assert!(message.contains(&format!("{file}:{line}:1: `alerts` does not count in a workspace")), "{error}");
        assert!(receiver.received().is_empty(), "{file} {variables:?}");
        std::fs::remove_file(workspace.file(file)).unwrap();
    }
}

/// Through the real binary: a receiver at a private address needs `allow_hosts`.
#[test]
fn registry_cannot_send_alerts_to_a_private_address() {
    let receiver = AlertReceiver::start();
    let harness = Harness::without_alerts();
    harness.provision("memory");
    for (usd, host) in [("5", "localhost"), ("3", "127.0.0.1")] {
        harness.set_alerts(&format!("url = 'https://{host}:{}/'", receiver.address.port()));
        let call = CliCall::new(harness.command(&["usage", "record", "memory", usd]));
        let output = call.env("STRIPE_PROJECTS_ALERT_SECRET", SECRET).succeed();
        let expected = "the receiver is at a loopback address, and its host is not in `alerts.allow_hosts`";
        assert!(output.stderr.contains(expected), "{output:?}");
    }
    harness.set_alerts(&format!("url = 'http://127.0.0.1:{}/'", receiver.address.port()));
    let output = CliCall::new(harness.command(&["providers", "check"])).run();
    assert_eq!(output.code, 2, "{output:?}");
    assert!(receiver.received().is_empty());
    assert_eq!(harness.alerts().len(), 2, "they are kept");
}

/// A file, its text, and the variables and flags of a host's entry.
type HostEntry<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

fn to(url: &str, hosts: &[&str]) -> Alerts {
    Alerts { url: url.to_owned(), allow_hosts: hosts.iter().map(|host| (*host).to_owned()).collect() }
}
