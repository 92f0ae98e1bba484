//! Files that must be ours, because what they say is believed.

use std::{fs, io, path::Path};

use super::{FsError, error::failed};

/// Why a file is not believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Foreign {
    /// Another user owns it.
    Owner,
    /// It is a symbolic link.
    Link,
    /// It has several names, so another folder shares it.
    SharedName,
    /// It is a folder, a pipe, a socket or a device.
    Special,
}

impl Foreign {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "it is a symbolic link",
            Self::Owner => "it belongs to another user",
            Self::SharedName => "it has a second name (hard link)",
            Self::Special => "it is not a regular file",
        }
    }
}

/// Returns what makes a file foreign; `None` if it is absent, or a regular file of ours with one name.
///
/// The file is not opened: closing a database's file releases the locks of every connection that this process has to it.
pub fn foreign(path: &Path) -> Result<Option<Foreign>, FsError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => Ok(Some(Foreign::Link)),
        Ok(metadata) if !metadata.is_file() => Ok(Some(Foreign::Special)),
        Ok(metadata) => Ok(owner_and_names(&metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path, error)),
    }
}

#[cfg(unix)]
fn owner_and_names(metadata: &fs::Metadata) -> Option<Foreign> {
    use std::os::unix::fs::MetadataExt as _;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        Some(Foreign::Owner)
    } else if metadata.nlink() > 1 {
        Some(Foreign::SharedName)
    } else {
        None
    }
}

#[cfg(not(unix))]
fn owner_and_names(_: &fs::Metadata) -> Option<Foreign> {
    None
}
