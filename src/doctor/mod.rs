//! The doctor: a look at everything that this workspace rests on, and the repairs that are safe.
//!
//! A look changes nothing, and asks nothing of a backend that was never used. A repair does only what an ordinary call
//! would have done anyway: what is not in the ledger is never adopted, and nothing is bought, rotated or removed.

mod ceiling;
mod drift;
mod ledger;
mod repair;
mod workspace;

use serde::Serialize;

use crate::{
    error::Error,
    name::ProjectName,
    provisioner::{Principal, Provisioner},
};
use repair::Repair;
pub use repair::Repaired;

/// What was found, and with `--repair` what was done before that.
#[derive(Debug, Serialize)]
pub struct Report {
    /// No problem was found; there may be warnings.
    pub healthy: bool,
    pub checks: Vec<Finding>,
    pub repaired: Vec<Repaired>,
}

/// One line: what was looked at, how it stands, and what to do.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub state: State,
    pub found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Whether `--repair` takes care of it.
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

/// Looks at everything.
pub fn examine(provisioner: &Provisioner) -> Report {
    let mut checks = workspace::folder(provisioner);
    checks.extend(workspace::env_files(provisioner));
    checks.push(workspace::registry(provisioner));
    checks.extend(ceiling::policy(provisioner));
    if provisioner.ledger().exists() {
        let records = ledger::ledger(provisioner);
        // Where only the audit is broken, what is billed is worth knowing all the more.
        let readable = records.iter().all(|finding| finding.check != ledger::LEDGER || finding.state != State::Problem);
        checks.extend(records);
        if readable {
            checks.extend(ledger::journal(provisioner));
            checks.extend(drift::backend(provisioner));
        }
    } else {
        checks.push(Finding::ok("ledger", "nothing was provisioned here yet".to_owned()));
        let unasked = format!("{}, not asked: nothing was provisioned here yet", provisioner.backend_name());
        checks.push(Finding::ok("backend", unasked));
    }
    checks.extend(workspace::versions(provisioner));
    Report { healthy: checks.iter().all(|finding| finding.state != State::Problem), checks, repaired: Vec::new() }
}

/// Repairs what is safe, and looks again.
pub fn repair(provisioner: &Provisioner, principal: &Principal) -> Report {
    let mut repaired = Vec::new();
    // The journal settles first what the keys are then held against, so there are two rounds at the most.
    for _ in 0..2 {
        let before = repaired.len();
        for finding in examine(provisioner).checks {
            let done = finding.repair.and_then(|repair| repair.carry_out(provisioner, principal));
            repaired.extend(done.filter(|done| !repaired.contains(done)));
        }
        if repaired.len() == before {
            break;
        }
    }
    Report { repaired, ..examine(provisioner) }
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

    /// A failure, in the words that it has everywhere.
    fn failure(check: &'static str, error: impl Into<Error>) -> Self {
        let error = error.into();
        Self::problem(check, error.to_string(), error.hint())
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
