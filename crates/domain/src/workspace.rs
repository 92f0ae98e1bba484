//! Workspaces: the folders that agents work in, as the ledger tells them apart.

use std::path::PathBuf;

use crate::project::{NoRandomness, random_hex};

/// The id of a registered workspace.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WorkspaceId(String);

impl WorkspaceId {
    /// Creates an id from the operating system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub fn random() -> Result<Self, NoRandomness> {
        Ok(Self(random_hex::<8>()?))
    }

    /// Returns the workspace of what belongs to no folder.
    pub fn none() -> Self {
        Self("-".to_owned())
    }

    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Tells a folder from another one that takes its path later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FolderIdentity {
    pub device: u64,
    pub inode: u64,
    /// The birth time in nanoseconds since 1970, where the file system has it.
    pub born: Option<i64>,
}

impl FolderIdentity {
    /// Tells whether both are of one folder.
    ///
    /// Device numbers may change with a restart of the machine, so they count only where there is no birth time.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_birth = match (self.born, other.born) {
            (Some(one), Some(other)) => one == other,
            _ => self.device == other.device,
        };
        same_birth && self.inode == other.inode
    }
}

/// A folder as a process finds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Canonical.
    pub path: PathBuf,
    /// `None` for a folder that does not exist.
    pub identity: Option<FolderIdentity>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_identity_ignores_the_device_where_the_birth_is_known() {
        let folder = FolderIdentity { device: 1, inode: 2, born: Some(3) };
        assert!(folder.is_same(&FolderIdentity { device: 9, ..folder }));
        for other in [FolderIdentity { inode: 9, ..folder }, FolderIdentity { born: Some(9), ..folder }] {
            assert!(!folder.is_same(&other), "{other:?}");
        }
        let unborn = FolderIdentity { born: None, ..folder };
        assert!(unborn.is_same(&folder) && !unborn.is_same(&FolderIdentity { device: 9, ..folder }));
    }
}
