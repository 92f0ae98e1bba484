//! Checks the ledger, its audit chain, and the open entries of the journal.

use domain::{
    diagnostic::PROGRAM,
    name::ProjectName,
    project::{Project, Status},
};
use storage::ledger::Proof;

use super::{Finding, REPAIR, Repair, named};
use crate::{error::Error, provisioner::Ports};

/// Checks the ledger and its chain.
pub fn ledger(ports: &Ports) -> Vec<Finding> {
    let ledger = &ports.ledger;
    let counted = ledger.is_whole().and_then(|whole| Ok((whole, ledger.projects().totals(ports.money())?)));
    let (whole, (live, caps)) = match counted {
        Ok(counted) => counted,
        Err(error) => return vec![Finding::failure(LEDGER, error)],
    };
    if !whole {
        let advice = "restore ledger.db in the state folder from a backup; the projects it listed are still billed";
        return vec![Finding::problem(LEDGER, "the database file is damaged".to_owned(), advice)];
    }
    let summary = format!("{live} live, caps of {caps} USD together");
    vec![Finding::ok(LEDGER, summary), chain(ports)]
}

/// Reports a clock that stops purchases, because a much later time was recorded.
pub fn clock(ports: &Ports) -> Option<Finding> {
    let error = ports.ledger.budget().purchase_time(ports.now()).err()?;
    Some(Finding::failure(CLOCK, error))
}

fn chain(ports: &Ports) -> Finding {
    let broken = match ports.ledger.audit().verify() {
        Ok(Proof::Whole { accepted, .. }) if accepted.is_empty() => {
            return Finding::ok(AUDIT, "the chain is unbroken".to_owned());
        }
        Ok(Proof::Whole { accepted, .. }) => {
            let rows: Vec<String> = accepted.iter().map(|accepted| format!("row {}", accepted.seq)).collect();
            let found = format!("the chain is unbroken except for accepted breaks: {}", rows.join(", "));
            return Finding::ok(AUDIT, found);
        }
        Ok(Proof::Broken(broken)) => broken,
        Err(error) => return Finding::failure(AUDIT, error),
    };
    match broken.row().filter(|_| !broken.may_be_accepted()) {
        None => Finding::failure(AUDIT, Error::AuditBroken { broken }),
        Some(row) => Finding::problem(
            AUDIT,
            format!("the chain is broken at row {row}: the ledger was changed by hand"),
            "find out who changed it; the rows before it are unchanged",
        ),
    }
}

/// Reports operations that were begun and not ended.
pub fn journal(ports: &Ports) -> Vec<Finding> {
    let unsettled = match ports.ledger.projects().unsettled() {
        Ok(unsettled) => unsettled,
        Err(error) => return vec![Finding::failure(JOURNAL, error)],
    };
    let is_busy = |project: &&Project| ports.is_busy(&project.name).unwrap_or(false);
    let (busy, open): (Vec<&Project>, Vec<&Project>) = unsettled.iter().partition(is_busy);
    let names = |projects: &[&Project]| {
        let names: Vec<&ProjectName> = projects.iter().map(|project| &project.name).collect();
        named(&names)
    };
    match (open.as_slice(), busy.as_slice()) {
        ([], []) => vec![Finding::ok(JOURNAL, "no unfinished operation".to_owned())],
        ([], busy) => vec![Finding::ok(JOURNAL, format!("in progress: {}", names(busy)))],
        (open, _) => {
            let found = format!("unfinished: {}", names(open));
            let is_purchase =
                |project: &&&Project| project.status == Status::Provisioning && project.resource.is_none();
            let advice = match open.iter().find(is_purchase) {
                None => REPAIR.to_owned(),
                Some(purchase) => format!(
                    "{REPAIR}; if the backend cannot determine the outcome of the purchase, \
                     `{PROGRAM} abandon {}` closes it",
                    purchase.name
                ),
            };
            vec![Finding::problem(JOURNAL, found, advice).repaired_by(Repair::Recover)]
        }
    }
}

pub const LEDGER: &str = "ledger";
const AUDIT: &str = "audit";
const CLOCK: &str = "clock";
const JOURNAL: &str = "journal";
