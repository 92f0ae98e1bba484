//! The colours, as terminal codes.

use domain::{money::MicroUsd, project::Status};

pub const BAD: &str = "31";
pub const FAINT: &str = "2";
pub const GOOD: &str = "32";
pub const HEAD: &str = "1";
pub const HINT: &str = "36";
pub const ERROR: &str = "1;31";
pub const UNFINISHED: &str = "33";

/// The colour of a status.
pub fn status(status: Status) -> &'static str {
    match status {
        Status::Active => GOOD,
        Status::Failed | Status::Suspended => BAD,
        Status::TornDown => FAINT,
        Status::Provisioning | Status::Rotating | Status::TearingDown => UNFINISHED,
    }
}

/// Returns the colour of a budget by its usage.
pub fn usage(used: MicroUsd, cap: MicroUsd) -> &'static str {
    if used >= cap {
        BAD
    } else if u128::from(used.micro_usd()) * 100 >= u128::from(cap.micro_usd()) * NEARLY {
        UNFINISHED
    } else {
        GOOD
    }
}

/// In percent of the cap.
const NEARLY: u128 = 80;
