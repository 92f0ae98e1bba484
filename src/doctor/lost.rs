//! Reports resources that an earlier ledger bought and that are in no ledger now.

use backends::{MarkedResource, stripe_cli};
use domain::visible::visible;

use super::{Finding, REPAIR, Repair};
use crate::{
    error::Error,
    provisioner::{self, Ports},
};

/// Reports each lost resource, if the backend can list what carries our order ids.
pub fn lost(ports: &Ports) -> Vec<Finding> {
    match provisioner::lost(ports) {
        Ok(lost) => lost.into_iter().map(|lost| finding(ports, lost)).collect(),
        Err(Error::Backend(_)) => Vec::new(), // the check of the backend says so
        Err(error) => vec![Finding::failure(LOST, error)],
    }
}

/// Reports a workspace without a ledger: a lost one may have bought something.
pub fn unlisted(ports: &Ports) -> Vec<Finding> {
    let backend = ports.backend.name();
    // The Stripe CLI needs a folder of ours, and a check creates none.
    if backend == stripe_cli::NAME && !ports.state.path().exists() {
        let found = format!("{backend}, not asked: nothing was provisioned here yet");
        return vec![Finding::ok("backend", found)];
    }
    match provisioner::lost(ports) {
        Ok(lost) if lost.is_empty() => {
            vec![Finding::ok("backend", format!("{backend} has nothing that an earlier ledger bought"))]
        }
        Ok(lost) => lost.into_iter().map(|lost| finding(ports, lost)).collect(),
        Err(error) => {
            let found = format!("{backend}, not asked for what an earlier ledger bought: {error}");
            vec![Finding::ok("backend", found)]
        }
    }
}

fn finding(ports: &Ports, lost: MarkedResource) -> Finding {
    if provisioner::is_plan(ports, &lost) {
        let found =
            format!("{} is a plan that an earlier ledger bought and may be billed", visible(lost.resource.as_str()));
        return Finding::problem(LOST, found, "adopt the project that needs it, or remove the plan at Stripe");
    }
    let found = format!(
        "{} was bought by an earlier ledger, may be billed and is in no ledger",
        visible(lost.resource.as_str())
    );
    Finding::problem(LOST, found, REPAIR).repaired_by(Repair::Adopt(Box::new(lost)))
}

const LOST: &str = "lost";
