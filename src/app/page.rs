//! One page of the list of projects, as it was asked for.

use serde_json::json;
use storage::ledger::Visibility;

use crate::{
    error::Error,
    provisioner::{AuditFacts, Listing, USUAL_PAGE},
};

/// A page of the list; an argument that was not given is `None`.
#[derive(Clone, Debug)]
pub struct Page {
    pub listing: Listing,
    torn_down: Option<bool>,
    limit: Option<u32>,
    has_cursor: bool,
}

impl Page {
    /// Parses the limit and the cursor of a page.
    ///
    /// # Errors
    /// [`Error::InvalidLimit`] or [`Error::InvalidCursor`].
    pub fn new(torn_down: Option<bool>, limit: Option<u32>, cursor: Option<&str>) -> Result<Self, Error> {
        let visibility = if torn_down == Some(true) { Visibility::All } else { Visibility::Live };
        let listing = Listing::new(visibility, limit.unwrap_or(USUAL_PAGE), cursor)?;
        Ok(Self { listing, torn_down, limit, has_cursor: cursor.is_some() })
    }

    pub(super) fn facts(&self) -> AuditFacts {
        let mut facts = AuditFacts::default();
        if self.has_cursor {
            facts = facts.fact("cursor", json!("given"));
        }
        if let Some(torn_down) = self.torn_down {
            facts = facts.fact("include_torn_down", json!(torn_down));
        }
        match self.limit {
            None => facts,
            Some(limit) => facts.fact("limit", json!(limit)),
        }
    }
}
