//! The few colours there are, as a terminal's numbers for them.

pub const BAD: &str = "31";
pub const FAINT: &str = "2";
pub const GOOD: &str = "32";
pub const HEAD: &str = "1";
pub const HINT: &str = "36";
pub const ERROR: &str = "1;31";
pub const UNFINISHED: &str = "33";

/// The colour of a status.
pub fn status(status: &str) -> &'static str {
    match status {
        "active" => GOOD,
        "failed" | "suspended" => BAD,
        "torn_down" => FAINT,
        _ => UNFINISHED,
    }
}

/// The colour of a budget of which that much is used.
pub fn usage(used: f64, cap: f64) -> &'static str {
    if used >= cap {
        BAD
    } else if used >= cap * NEARLY {
        UNFINISHED
    } else {
        GOOD
    }
}

const NEARLY: f64 = 0.8;
