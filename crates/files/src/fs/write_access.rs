//! Write access of other users, and dangling symbolic links.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[cfg(unix)]
use super::private::mode;
use super::{FsError, error::failed};

/// Returns a dangling symbolic link on the way to `path`.
///
/// Such a link means a missing file that a user intended to exist.
pub fn dangling_link(path: &Path) -> Option<PathBuf> {
    let is_dangling = |link: &&Path| link.is_symlink() && fs::metadata(link).is_err();
    path.ancestors().find(is_dangling).map(Path::to_owned)
}

/// Who can change a file or folder. Root is left out, because root can change everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteAccess {
    /// Another user owns it.
    Foreign,
    /// Its group or all users may write to it.
    Open,
    Ours,
}

/// Returns write access write access to what `path` leads to.
///
/// A folder with the sticky bit, such as `/tmp`, is not open: users cannot replace each other's files there.
#[cfg(unix)]
pub fn write_access(path: &Path) -> Result<WriteAccess, FsError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path).map_err(|error| failed("look at", path, error))?;
    let owner = metadata.uid();
    let sticky = metadata.is_dir() && mode(&metadata) & 0o1000 != 0;
    Ok(if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        WriteAccess::Foreign
    } else if mode(&metadata) & 0o022 != 0 && !sticky {
        WriteAccess::Open
    } else {
        WriteAccess::Ours
    })
}

/// Returns [`WriteAccess::Ours`], because this platform has no modes and owners.
#[cfg(not(unix))]
pub fn write_access(path: &Path) -> Result<WriteAccess, FsError> {
    fs::metadata(path).map(|_| WriteAccess::Ours).map_err(|error| failed("look at", path, error))
}
