//! The findings of a scan: places and masks.

use serde::Serialize;

use crate::provisioner::{LeakPlace, LeakedKey, ScanReport};

/// An issued key in a place where none belongs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LeakView {
    /// `live`: it still works. `dead`: it was revoked by a rotation or teardown.
    pub state: &'static str,
    pub project: String,
    pub project_id: String,
    pub provider: String,
    pub key_version: u32,
    /// Known prefix and last four.
    pub api_key_masked: String,
    /// `file`, `name` of a file or folder, or `history` of a repository.
    pub found_in: &'static str,
    /// The file; in a history, as the commit names it, and null where there is only a message or an object.
    pub file: Option<String>,
    /// Of the first occurrence, from 1; null in a name.
    pub line: Option<u64>,
    /// The number of occurrences.
    pub occurrences: u64,
    /// The work tree whose history it is in.
    pub repository: Option<String>,
    /// The commit that added it; null where no commit did.
    pub commit: Option<String>,
    /// Git's id of the object that holds it.
    pub object: Option<String>,
}

/// The findings of a scan, and its extent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ScanView {
    /// Live ones first.
    pub findings: Vec<LeakView>,
    pub live_count: u64,
    pub dead_count: u64,
    /// How many keys were looked for.
    pub keys_known: u64,
    pub files_read: u64,
    pub bytes_read: u64,
    pub histories_read: u64,
    pub unreadable_count: u64,
    /// Some of what could not be read.
    pub unreadable: Vec<String>,
    /// What else was left out, and why.
    pub warnings: Vec<String>,
}

impl From<&LeakedKey> for LeakView {
    fn from(leak: &LeakedKey) -> Self {
        Self {
            state: if leak.live { "live" } else { "dead" },
            project: leak.project.to_string(),
            project_id: leak.project_id.as_str().to_owned(),
            provider: leak.provider.to_string(),
            key_version: leak.key_version,
            api_key_masked: leak.mask.as_str().to_owned(),
            found_in: match leak.place {
                LeakPlace::File => "file",
                LeakPlace::History => "history",
                LeakPlace::Name => "name",
            },
            file: leak.file.clone(),
            line: leak.line,
            occurrences: leak.occurrences,
            repository: leak.repository.clone(),
            commit: leak.commit.clone(),
            object: leak.object.clone(),
        }
    }
}

impl From<&ScanReport> for ScanView {
    fn from(report: &ScanReport) -> Self {
        Self {
            findings: report.findings.iter().map(LeakView::from).collect(),
            live_count: report.live_count(),
            dead_count: report.revoked_count(),
            keys_known: report.keys_known,
            files_read: report.files_read,
            bytes_read: report.bytes_read,
            histories_read: report.histories_read,
            unreadable_count: report.unreadable_count,
            unreadable: report.unreadable.clone(),
            warnings: report.warnings.clone(),
        }
    }
}
