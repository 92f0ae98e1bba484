//! What is written down: the ledger, its audit chain, and what is open in the journal.

use super::{Finding, REPAIR, Repair, named};
use crate::{
    error::Error,
    name::ProjectName,
    project::{Project, Status},
    provisioner::Provisioner,
};

/// The ledger and its chain.
pub fn ledger(provisioner: &Provisioner) -> Vec<Finding> {
    let ledger = provisioner.ledger();
    let counted = ledger.is_whole().and_then(|whole| Ok((whole, ledger.projects().totals()?)));
    let (whole, (live, caps)) = match counted {
        Ok(counted) => counted,
        Err(error) => return vec![Finding::failure(LEDGER, error)],
    };
    if !whole {
        let advice = "restore ledger.db in the state folder from a backup; the projects it listed are still billed";
        return vec![Finding::problem(LEDGER, "the database file is damaged".to_owned(), advice)];
    }
    let summary = format!("{live} live, caps of {caps} USD together");
    vec![Finding::ok(LEDGER, summary), chain(provisioner)]
}

fn chain(provisioner: &Provisioner) -> Finding {
    let broken = match provisioner.verify_audit() {
        Ok(proof) if proof.accepted.is_empty() => return Finding::ok(AUDIT, "the chain is unbroken".to_owned()),
        Ok(proof) => {
            let rows: Vec<String> = proof.accepted.iter().map(|accepted| format!("row {}", accepted.row)).collect();
            let found = format!("the chain is unbroken, but for what was accepted: {}", rows.join(", "));
            return Finding::ok(AUDIT, found);
        }
        Err(Error::AuditBroken { broken }) => broken,
        Err(error) => return Finding::failure(AUDIT, error),
    };
    match broken.row().filter(|_| !broken.may_be_accepted()) {
        None => Finding::failure(AUDIT, Error::AuditBroken { broken }),
        Some(row) => Finding::problem(
            AUDIT,
            format!("the chain is broken at row {row}: somebody has changed the ledger by hand"),
            "find out who; what comes before that row is as it was written",
        ),
    }
}

/// What was begun and not ended.
pub fn journal(provisioner: &Provisioner) -> Vec<Finding> {
    let unsettled = match provisioner.ledger().projects().unsettled() {
        Ok(unsettled) => unsettled,
        Err(error) => return vec![Finding::failure(JOURNAL, error)],
    };
    let is_busy = |project: &&Project| provisioner.is_busy(&project.name).unwrap_or(false);
    let (busy, open): (Vec<&Project>, Vec<&Project>) = unsettled.iter().partition(is_busy);
    let names = |projects: &[&Project]| {
        let names: Vec<&ProjectName> = projects.iter().map(|project| &project.name).collect();
        named(&names)
    };
    match (open.as_slice(), busy.as_slice()) {
        ([], []) => vec![Finding::ok(JOURNAL, "nothing is open".to_owned())],
        ([], busy) => vec![Finding::ok(JOURNAL, format!("being worked on right now: {}", names(busy)))],
        (open, _) => {
            let found = format!("begun and not ended: {}", names(open));
            let is_purchase =
                |project: &&&Project| project.status == Status::Provisioning && project.resource.is_none();
            let advice = match open.iter().find(is_purchase) {
                None => REPAIR.to_owned(),
                Some(purchase) => format!(
                    "{REPAIR}; if the backend can never tell what came of the purchase, \
                     `stripe-projects-mcp abandon {}` gives it up",
                    purchase.name
                ),
            };
            vec![Finding::problem(JOURNAL, found, advice).repaired_by(Repair::Recover)]
        }
    }
}

pub const LEDGER: &str = "ledger";
const AUDIT: &str = "audit";
const JOURNAL: &str = "journal";
