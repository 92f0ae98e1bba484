//! What keeps a file from being replaced, although its folder is writable.

use std::path::Path;

/// Why a file cannot be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Obstacle {
    AppendOnly,
    Immutable,
    /// Mounted by itself, as a container does with one file.
    MountPoint,
    /// The system refused to replace it.
    Refused,
}

/// Returns the obstacle that the file system reports for an existing file or its folder.
///
/// `None` is no proof, because some file systems report nothing.
#[cfg(target_os = "linux")]
pub fn obstacle(file: &Path) -> Option<Obstacle> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let attributes = |path: &Path| {
        let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()).ok()?;
        Some(found.stx_attributes & found.stx_attributes_mask)
    };
    let has = |path: &Path, attribute| attributes(path).is_some_and(|found| found.contains(attribute));
    let folder = file.parent()?;
    if has(file, StatxAttributes::MOUNT_ROOT) {
        Some(Obstacle::MountPoint)
    } else if has(file, StatxAttributes::IMMUTABLE) || has(folder, StatxAttributes::IMMUTABLE) {
        Some(Obstacle::Immutable)
    } else if has(file, StatxAttributes::APPEND) || has(folder, StatxAttributes::APPEND) {
        Some(Obstacle::AppendOnly)
    } else {
        None
    }
}

/// Returns `None`, because this platform does not report obstacles.
#[cfg(not(target_os = "linux"))]
pub fn obstacle(_: &Path) -> Option<Obstacle> {
    None
}
