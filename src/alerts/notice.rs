//! What there is to say about alerts, in one line each.

use std::fmt;

use super::Undelivered;
use crate::ledger::Alert;

/// Something that whoever runs the program should see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// Three days were not enough; it will not be sent again.
    GivenUp { alert: Alert, why: Undelivered },
    /// A threshold was reached. Told once by each process that is listening.
    Raised(Alert),
    /// It is tried again later.
    Undelivered { alert: Alert, attempts: u32, why: Undelivered },
    /// Alerts are kept, and cannot be sent as things stand.
    Unsendable { why: String },
    /// Usage was learnt, and could not be written down as an alert.
    Unraised { why: String },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GivenUp { alert, why } => {
                write!(f, "the alert that {} was not delivered in three days and is given up: {why}", told(alert))
            }
            Self::Raised(alert) => write!(f, "{}: {} of {} USD", told(alert), alert.usage, alert.cap),
            Self::Undelivered { alert, attempts, why } => {
                let again = "it is kept and sent again later";
                write!(f, "the alert that {} was not delivered (try {attempts}): {why}; {again}", told(alert))
            }
            Self::Unsendable { why } => write!(f, "alerts are kept and not sent: {why}"),
            Self::Unraised { why } => write!(f, "usage could not be checked for alerts: {why}"),
        }
    }
}

fn told(alert: &Alert) -> String {
    format!("{} has used {} % of its cap", alert.name, alert.threshold)
}
