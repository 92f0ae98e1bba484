//! A host's configuration file: checked before it is read, backed up before it is changed, replaced atomically.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::SetupError;
use crate::{
    fs::{self, Kind, Lock, Privacy},
    git::{self, GitStatus},
};

/// Resolves links and reads the file; its content is `None` if it does not exist.
pub fn read(path: &Path) -> Result<(PathBuf, Option<Vec<u8>>), SetupError> {
    let refused = |why: Refused| why.of(path);
    match fs::kind(path) {
        Ok(Kind::Absent) if path.is_symlink() => return Err(refused(Refused::Dangling)),
        Ok(Kind::Absent) => return Ok((path.to_owned(), None)),
        Ok(Kind::Directory) => return Err(refused(Refused::Folder)),
        Ok(Kind::File { read_only: true }) => return Err(refused(Refused::ReadOnly)),
        Ok(Kind::File { read_only: false }) => {}
        Err(error) => return Err(SetupError::Unreadable(error)),
    }
    let target = fs::resolve(path).map_err(SetupError::Unreadable)?;
    match fs::read(&target, MAX_BYTES) {
        Ok(bytes) => Ok((target, bytes)),
        Err(error) if error.source.kind() == std::io::ErrorKind::FileTooLarge => Err(refused(Refused::TooLarge)),
        Err(error) => Err(SetupError::Unreadable(error)),
    }
}

/// The copy of a file as it was before a change.
#[derive(Debug)]
pub struct Backup {
    pub path: PathBuf,
    /// Whether the next `git add` would take it: it may contain secrets.
    pub exposed: bool,
}

/// A change of a file.
pub enum Change<'a> {
    /// Deletes a file that was created for our entry only.
    Delete,
    /// Replaces a file that is absent or has our entry only, so there is nothing to back up.
    Write(&'a [u8]),
    /// Replaces a file after a backup.
    WriteWithBackup(&'a [u8]),
}

/// Changes the file if its content is still the `observed` one, and returns the backup if one was made.
pub fn change(target: &Path, observed: Option<&[u8]>, change: &Change<'_>) -> Result<Option<Backup>, SetupError> {
    if let Some(folder) = target.parent() {
        fs::create_private_folder(folder).map_err(SetupError::NotWritten)?;
    }
    let lock = Lock::on_folder_of(target, TIMEOUT).map_err(SetupError::NotWritten)?;
    let _lock = lock.ok_or_else(|| SetupError::Changed { path: target.to_owned() })?;
    let now = fs::read(target, MAX_BYTES).map_err(SetupError::Unreadable)?;
    if now.as_deref() != observed {
        return Err(SetupError::Changed { path: target.to_owned() });
    }
    let backup = match (change, observed) {
        (Change::WriteWithBackup(_), Some(old)) => {
            let path = back_up(target, old)?;
            let exposed = matches!(git::status(&path), Ok(GitStatus::Exposed { .. }));
            Some(Backup { path, exposed })
        }
        _ => None,
    };
    match change {
        Change::Delete => fs::remove(target),
        Change::Write(new) | Change::WriteWithBackup(new) => fs::replace(target, new, Privacy::Unchanged),
    }
    .map_err(SetupError::NotWritten)?;
    Ok(backup)
}

/// Returns whether the file was ever backed up.
pub fn has_backup(target: &Path) -> bool {
    backup_path(target, 0).exists()
}

/// Writes a backup beside the file, readable by its owner only. An older backup is never overwritten.
fn back_up(target: &Path, old: &[u8]) -> Result<PathBuf, SetupError> {
    for number in 0..MAX_BACKUPS {
        let path = backup_path(target, number);
        // A file that cannot be read is not replaced either.
        match fs::read(&path, MAX_BYTES) {
            Ok(Some(backup)) if backup == old => return Ok(path),
            Ok(None) if !path.is_symlink() => {
                fs::replace(&path, old, Privacy::OwnerOnly).map_err(SetupError::NotWritten)?;
                return Ok(path);
            }
            Ok(_) | Err(_) => {}
        }
    }
    Err(SetupError::TooManyBackups { path: backup_path(target, 0) })
}

fn backup_path(target: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(target.file_name().unwrap_or_default());
    name.push(SUFFIX);
    if number > 0 {
        name.push(format!(".{number}"));
    }
    target.with_file_name(name)
}

/// Why a file is not edited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    Dangling,
    Folder,
    ReadOnly,
    TooLarge,
}

impl Refused {
    fn of(self, path: &Path) -> SetupError {
        SetupError::Refused { why: self, path: path.to_owned() }
    }
}

const SUFFIX: &str = ".stripe-projects.bak";

const MAX_BACKUPS: u32 = 100;

/// These files have a few kilobytes. Claude Code's own state file can have megabytes, but is not edited.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

const TIMEOUT: Duration = Duration::from_secs(10);
