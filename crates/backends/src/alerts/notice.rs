//! One-line reports about alerts.

use std::fmt;

use domain::alert::Alert;

use super::Undelivered;

/// An event that the person who runs the program should see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// The retry window is over; the alert is not sent again.
    GivenUp { alert: Alert, why: Undelivered },
    /// A threshold was reached. Each listening process reports it once.
    Raised(Alert),
    /// The alert is retried later.
    Undelivered { alert: Alert, attempts: u32, why: Undelivered },
    /// Alerts are saved and cannot be sent with these settings.
    Unsendable { why: String },
    /// Usage was observed and could not be saved as an alert.
    Unraised { why: String },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GivenUp { alert, why } => {
                write!(f, "the alert that {} was not delivered in three days and is given up: {why}", summary(alert))
            }
            Self::Raised(alert) => write!(f, "{}: {} of {} USD", summary(alert), alert.usage, alert.cap),
            Self::Undelivered { alert, attempts, why } => {
                write!(
                    f,
                    "the alert that {} was not delivered (attempt {attempts}): {why}; it is saved and retried later",
                    summary(alert)
                )
            }
            Self::Unsendable { why } => write!(f, "alerts are saved and not sent: {why}"),
            Self::Unraised { why } => write!(f, "usage could not be checked for alerts: {why}"),
        }
    }
}

fn summary(alert: &Alert) -> String {
    format!("{} has used {} % of its cap", alert.name, alert.threshold)
}
