//! Changes that clients are notified of.

use domain::name::ProjectName;

/// A change that a client may want to read.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    Project(ProjectName),
    Registry,
}
