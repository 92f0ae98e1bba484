//! Reports resources that an earlier ledger bought and that are in no ledger now.

use backends::{BackendError, MarkedResource};

use super::{Finding, REPAIR, Repair};
use crate::{
    error::Error,
    provisioner::{self, Ports},
};

/// Reports each lost resource, if the backend can list what carries our order ids.
pub fn lost(ports: &Ports) -> Vec<Finding> {
    match provisioner::lost(ports) {
        Ok(lost) => lost.into_iter().map(finding).collect(),
        Err(Error::Backend(BackendError::Unknown { .. })) => Vec::new(), // the drift check says so
        Err(error) => vec![Finding::failure(LOST, error)],
    }
}

/// Reports a workspace without a ledger: a lost one may have bought something.
pub fn unlisted(ports: &Ports) -> Vec<Finding> {
    let backend = ports.backend.name();
    match provisioner::lost(ports) {
        Ok(lost) if lost.is_empty() => {
            vec![Finding::ok("backend", format!("{backend} has nothing that an earlier ledger bought"))]
        }
        Ok(lost) => lost.into_iter().map(finding).collect(),
        Err(error) => {
            let found = format!("{backend}, not asked for what an earlier ledger bought: {error}");
            vec![Finding::ok("backend", found)]
        }
    }
}

fn finding(lost: MarkedResource) -> Finding {
    let found =
        format!("{} was bought by an earlier ledger, may be billed and is in no ledger", lost.resource.as_str());
    Finding::problem(LOST, found, REPAIR).repaired_by(Repair::Adopt(Box::new(lost)))
}

const LOST: &str = "lost";
