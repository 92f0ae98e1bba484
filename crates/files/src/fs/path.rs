//! Canonical paths, and the durability of folders.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{FsError, error::failed};

/// Follows symbolic links to the file that `path` means; its folder is canonical.
///
/// The file need not exist: a dangling link means the file that it points at.
///
/// # Errors
/// [`FsError`] also if the links form a cycle.
pub fn resolve(path: &Path) -> Result<PathBuf, FsError> {
    let mut current = path.to_owned();
    for _ in 0..MAX_LINKS {
        let folder =
            fs::canonicalize(folder_of(&current)).map_err(|error| failed("find the folder of", &current, error))?;
        let Some(name) = current.file_name() else {
            return Err(failed("use", path, io::ErrorKind::InvalidInput.into()));
        };
        let candidate = folder.join(name);
        match fs::read_link(&candidate) {
            Ok(next) => current = folder.join(next),
            Err(_) => return Ok(candidate),
        }
    }
    Err(failed("follow", path, io::ErrorKind::InvalidInput.into()))
}

/// Canonicalizes an existing file or folder.
pub fn real_path(path: &Path) -> Result<PathBuf, FsError> {
    fs::canonicalize(path).map_err(|error| failed("find", path, error))
}

/// Canonicalizes an existing folder.
pub fn real_folder(path: &Path) -> Result<PathBuf, FsError> {
    let real = real_path(path)?;
    if real.is_dir() { Ok(real) } else { Err(failed("enter", path, io::ErrorKind::NotADirectory.into())) }
}

/// Canonicalizes the parent directory. Returns `path` unchanged if it does not exist.
pub fn in_real_folder(path: &Path) -> PathBuf {
    match (fs::canonicalize(folder_of(path)), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Canonicalizes the nearest existing ancestor, and appends the rest. The last component is not followed.
///
/// Unlike [`in_real_folder`], several folders on the way may be missing.
pub fn in_real_ancestor(path: &Path) -> PathBuf {
    let Some(name) = path.file_name() else { return fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) };
    let folder = folder_of(path);
    match fs::canonicalize(folder) {
        Ok(folder) => folder.join(name),
        Err(_) if folder == path || folder == Path::new(".") => path.to_owned(),
        Err(_) => in_real_ancestor(folder).join(name),
    }
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Flushes a folder, because a rename survives a power loss only after that.
pub(super) fn sync_folder(folder: &Path) -> Result<(), FsError> {
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).map_err(|error| failed("flush", folder, error))?;
    }
    Ok(())
}

/// The limit of Linux.
const MAX_LINKS: usize = 40;
