//! An alert about a budget.

use crate::{
    clock::Timestamp,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
    project::ProjectId,
};

/// A threshold of a cap that usage has reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alert {
    /// Its place in the order in which alerts were raised.
    pub row: i64,
    /// `evt_…`
    pub id: String,
    pub project_id: ProjectId,
    pub name: ProjectName,
    pub provider: ProviderKey,
    pub cap: Cents,
    /// In percent of the cap.
    pub threshold: u8,
    /// The usage when it was raised.
    pub usage: MicroUsd,
    pub created_at: Timestamp,
}
