//! The tools that a server offers. Other tools are neither listed nor callable.

use std::collections::BTreeSet;

/// The tools that are offered.
#[derive(Clone, Debug)]
pub struct ToolFilter(BTreeSet<String>);

impl ToolFilter {
    pub fn everything() -> Self {
        Self(TOOLS.iter().map(|tool| (*tool).to_owned()).collect())
    }

    /// Returns the tools that change nothing.
    pub fn reading() -> Self {
        Self(BTreeSet::from(["list_projects".to_owned()]))
    }

    /// Returns these tools; `None` if one of them does not exist.
    pub fn of(tools: &[String]) -> Option<Self> {
        let all_known = tools.iter().all(|tool| TOOLS.contains(&tool.as_str()));
        all_known.then(|| Self(tools.iter().cloned().collect()))
    }

    pub fn has(&self, tool: &str) -> bool {
        self.0.contains(tool)
    }
}

/// The names of all tools.
pub const TOOLS: [&str; 4] = ["list_projects", "provision", "rotate_key", "teardown"];
