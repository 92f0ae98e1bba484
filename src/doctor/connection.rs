//! Reports the connections of the workspace to real backends.

use backends::{stripe_api, stripe_cli};
use domain::{connection::Connection, diagnostic::PROGRAM};

use super::Finding;
use crate::provisioner::Ports;

/// Reports each connection; none for a workspace that has none and uses the simulation.
pub fn connection(ports: &Ports) -> Vec<Finding> {
    let mut findings = Vec::new();
    for backend in [stripe_api::NAME, stripe_cli::NAME] {
        match ports.ledger.connections().find(backend) {
            Ok(Some(connection)) => findings.push(Finding::ok(CONNECTION, described(&connection))),
            Ok(None) if ports.backend.name() == backend => {
                let command = format!("{PROGRAM} connect {backend}");
                let found = format!("servers of this workspace do not use {backend} until you run `{command}`");
                findings.push(Finding::ok(CONNECTION, found));
            }
            Ok(None) => {}
            Err(error) => findings.push(Finding::failure(CONNECTION, error)),
        }
    }
    findings
}

fn described(Connection { target, recorded_by, recorded_at }: &Connection) -> String {
    let key = target.key_file.as_ref().map(|file| format!(", key in {file}")).unwrap_or_default();
    let terms = if target.terms_accepted { ", terms accepted" } else { "" };
    format!(
        "servers use {} at {}{key}{terms}; recorded by {recorded_by} at {recorded_at}",
        target.backend, target.address
    )
}

const CONNECTION: &str = "connection";
