//! What stands between a path and its file, and who can change it besides its owner.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{FsError, failed};

/// A symbolic link on the way to `path` that leads nowhere: then there is no file, but somebody meant there to be one.
pub fn dangling_link(path: &Path) -> Option<PathBuf> {
    let is_dangling = |link: &&Path| link.is_symlink() && fs::metadata(link).is_err();
    path.ancestors().find(is_dangling).map(Path::to_owned)
}

/// Who can change a file or folder besides its owner: others, by its mode, or another user than this one, by owning it.
/// What belongs to root can be changed by root alone, who can change everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteAccess {
    /// It belongs to somebody else.
    Foreign,
    /// Its group or everybody may write it.
    Open,
    Ours,
}

/// The write access of what `path` leads to. In a folder with the sticky bit, such as `/tmp`, nobody replaces what is not his.
///
/// # Errors
/// When it cannot be looked at.
#[cfg(unix)]
pub fn write_access(path: &Path) -> Result<WriteAccess, FsError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path).map_err(|error| failed("look at", path, error))?;
    let owner = metadata.uid();
    let sticky = metadata.is_dir() && super::mode(&metadata) & 0o1000 != 0;
    Ok(if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        WriteAccess::Foreign
    } else if super::mode(&metadata) & 0o022 != 0 && !sticky {
        WriteAccess::Open
    } else {
        WriteAccess::Ours
    })
}

/// Modes and owners say nothing here.
///
/// # Errors
/// When it cannot be looked at.
#[cfg(not(unix))]
pub fn write_access(path: &Path) -> Result<WriteAccess, FsError> {
    fs::metadata(path).map(|_| WriteAccess::Ours).map_err(|error| failed("look at", path, error))
}
