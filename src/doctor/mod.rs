//! The doctor: checks the workspace, and makes the repairs that are safe.
//!
//! A check changes nothing at the backend. A repair does what an ordinary call would do, and adopts resources that carry
//! the id of an order of ours and are in no ledger; it buys, rotates and removes nothing.

mod connection;
mod drift;
mod ledger;
mod lost;
mod repair;
mod user_policy;
mod workspace;
mod workspaces;

use serde::Serialize;

use crate::{
    error::Error,
    provisioner::{Adoption, Ports, Principal, Projects, Provisioner},
};
use domain::{channel::Channel, diagnostic::Diagnostic as _, name::ProjectName};
use repair::Repair;
pub use repair::Repaired;
use storage::ledger::LedgerError;

/// The findings, and with `--repair` the repairs made before.
#[derive(Debug, Serialize)]
pub struct Report {
    /// No problem was found; there may be warnings.
    pub healthy: bool,
    pub checks: Vec<Finding>,
    pub repaired: Vec<Repaired>,
}

/// The result of one check, and the advice.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub state: State,
    pub found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Whether `--repair` fixes it.
    pub repairable: bool,
    #[serde(skip)]
    repair: Option<Repair>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    Problem,
    Warning,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "problem",
            Self::Warning => "warning",
        }
    }
}

/// Runs every check.
pub fn examine(ports: &Ports) -> Report {
    let mut checks = workspace::folder(ports);
    checks.extend(workspace::env_files(ports));
    checks.push(workspace::registry(ports));
    checks.extend(user_policy::policy(ports));
    if ports.state.check().is_err() {
        // The finding about the folder says why; nothing in it is read.
    } else if let Err(error @ LedgerError::WorkspaceReplaced) = ports.ledger.workspace() {
        checks.push(Finding::failure(ledger::LEDGER, error));
        checks.extend(workspaces::folders(ports));
    } else if ports.ledger.exists() {
        let records = ledger::ledger(ports);
        // A broken audit is no reason to skip the checks of what is billed.
        let readable = records.iter().all(|finding| finding.check != ledger::LEDGER || finding.state != State::Problem);
        checks.extend(records);
        if readable {
            checks.extend(ledger::clock(ports));
            checks.extend(ledger::journal(ports));
            checks.extend(connection::connection(ports));
            checks.extend(drift::backend(ports));
            checks.extend(lost::lost(ports));
            checks.extend(workspaces::folders(ports));
        }
    } else {
        checks.push(Finding::ok("ledger", "nothing was provisioned here yet".to_owned()));
        checks.extend(lost::unlisted(ports));
    }
    checks.extend(workspace::programs(ports));
    checks.extend(workspace::versions(ports));
    Report { healthy: checks.iter().all(|finding| finding.state != State::Problem), checks, repaired: Vec::new() }
}

/// Runs every check, and those of the projects of every workspace.
pub fn examine_everywhere(services: &Provisioner) -> Report {
    let mut report = examine(&services.ports);
    if services.ports.state.check().is_ok() && services.ports.ledger.exists() {
        report.checks.extend(workspaces::everywhere(services));
    }
    Report { healthy: report.checks.iter().all(|finding| finding.state != State::Problem), ..report }
}

/// Makes the safe repairs, and checks again.
pub fn repair(ports: &Ports, projects: &Projects, adoption: &Adoption, principal: &Principal) -> Report {
    let mut repaired = Vec::new();
    // The first round may reconcile the journal, on which the repair of keys depends: two rounds at most.
    for _ in 0..2 {
        let before = repaired.len();
        for finding in examine(ports).checks {
            let done = finding.repair.and_then(|repair| repair.apply(ports, projects, adoption, principal));
            repaired.extend(done.filter(|done| !repaired.contains(done)));
        }
        if repaired.len() == before {
            break;
        }
    }
    Report { repaired, ..examine(ports) }
}

impl Finding {
    fn ok(check: &'static str, found: String) -> Self {
        Self { check, state: State::Ok, found, advice: None, repairable: false, repair: None }
    }

    fn problem(check: &'static str, found: String, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { check, state: State::Problem, found, advice, repairable: false, repair: None }
    }

    fn warning(check: &'static str, found: String, advice: impl Into<String>) -> Self {
        Self { state: State::Warning, ..Self::problem(check, found, advice) }
    }

    /// Reports a failure with its message and hint.
    fn failure(check: &'static str, error: impl Into<Error>) -> Self {
        let error = error.into();
        Self::problem(check, error.to_string(), error.hint(Channel::Cli))
    }

    fn repaired_by(self, repair: Repair) -> Self {
        Self { repairable: true, repair: Some(repair), ..self }
    }
}

fn named(names: &[&ProjectName]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The command that repairs.
const REPAIR: &str = "run `stripe-projects-mcp doctor --repair`";
