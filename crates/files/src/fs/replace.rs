//! Atomic replacement and removal of files.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

#[cfg(unix)]
use super::private::{OWNER, mode};
use super::{
    FsError,
    error::failed,
    path::{folder_of, sync_folder},
    private::create_private,
};

/// Whether a replaced file holds a secret and must be readable by its owner only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Privacy {
    /// Removes group and other permissions from an existing file.
    OwnerOnly,
    /// Keeps the mode of an existing file.
    Unchanged,
}

/// Replaces the content of `target`, atomically and durably. A new file is 0600.
///
/// Concurrent callers must hold the target's lock: they share one temporary name, so that the next call can remove what
/// a crashed process left behind.
///
/// # Errors
/// [`FsError`], and the target is unchanged. If only its folder could not be flushed, the target is replaced, but a
/// power loss may revert that.
pub fn replace(target: &Path, bytes: &[u8], privacy: Privacy) -> Result<(), FsError> {
    let temporary = sweep(target)?;
    let outcome = write_temporary(&temporary, target, bytes, privacy);
    if outcome.is_err() {
        let _ = fs::remove_file(&temporary); // the first error is the one to report
    }
    outcome?;
    sync_folder(folder_of(target))
}

/// Removes the temporary file of a crashed process beside `target`; returns its path.
pub fn sweep(target: &Path) -> Result<PathBuf, FsError> {
    let temporary = temporary(target);
    remove(&temporary)?;
    Ok(temporary)
}

/// Returns the path of the temporary file beside `target`.
pub fn temporary(target: &Path) -> PathBuf {
    let mut name = OsString::from(target.file_name().unwrap_or_default());
    name.push(TEMPORARY_SUFFIX);
    target.with_file_name(name)
}

/// Removes a file if it exists.
pub fn remove(path: &Path) -> Result<(), FsError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the replacement that the rule points to")]
fn write_temporary(temporary: &Path, target: &Path, bytes: &[u8], privacy: Privacy) -> Result<(), FsError> {
    let mut file = create_private(temporary)?;
    keep_owner_and_mode(&file, target, privacy)?;
    file.write_all(bytes).map_err(|error| failed("write", temporary, error))?;
    file.sync_all().map_err(|error| failed("flush", temporary, error))?;
    fs::rename(temporary, target).map_err(|error| failed("replace", target, error))
}

/// Copies the old file's permitted mode and, where allowed, its owner.
#[cfg(unix)]
fn keep_owner_and_mode(file: &File, target: &Path, privacy: Privacy) -> Result<(), FsError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let Ok(old) = fs::metadata(target) else {
        return Ok(());
    };
    let new = file.metadata().map_err(|error| failed("look at", target, error))?;
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        let _ = fchown(file, Some(old.uid()), Some(old.gid())); // permitted for root only
    }
    let allowed = if privacy == Privacy::OwnerOnly { OWNER } else { 0o777 };
    let permissions = fs::Permissions::from_mode(mode(&old) & allowed);
    file.set_permissions(permissions).map_err(|error| failed("set the mode of", target, error))
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &File, _: &Path, _: Privacy) -> Result<(), FsError> {
    Ok(())
}

/// Follows the env file's name, so that an ignore rule such as `.env*` covers it too.
const TEMPORARY_SUFFIX: &str = ".stripe-projects.tmp";
