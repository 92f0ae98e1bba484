//! A host's configuration file on the disk: read with suspicion, kept before it is changed, replaced whole.

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

/// The file that `path` means and what it holds; `None` where there is none yet.
pub fn look(path: &Path) -> Result<(PathBuf, Option<Vec<u8>>), SetupError> {
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
    match fs::read(&target, LONGEST) {
        Ok(bytes) => Ok((target, bytes)),
        Err(error) if error.source.kind() == std::io::ErrorKind::FileTooLarge => Err(refused(Refused::TooLarge)),
        Err(error) => Err(SetupError::Unreadable(error)),
    }
}

/// A file as it was.
#[derive(Debug)]
pub struct Backup {
    pub path: PathBuf,
    /// Whether git would take it at the next `git add`: what it holds may not be for everybody.
    pub exposed: bool,
}

/// What becomes of a file.
pub enum Change<'a> {
    /// It was made for us alone, and goes.
    Delete,
    /// It is ours alone, or not there yet, so there is nothing to keep.
    Write(&'a [u8]),
    WriteKeepingOld(&'a [u8]),
}

/// Changes the file, provided that it is still as it was `seen`; where the old one was kept.
pub fn change(target: &Path, seen: Option<&[u8]>, change: &Change<'_>) -> Result<Option<Backup>, SetupError> {
    if let Some(folder) = target.parent() {
        fs::create_private_folder(folder).map_err(SetupError::NotWritten)?;
    }
    let lock = Lock::on_folder_of(target, TIMEOUT).map_err(SetupError::NotWritten)?;
    let _lock = lock.ok_or_else(|| SetupError::Changed { path: target.to_owned() })?;
    let now = fs::read(target, LONGEST).map_err(SetupError::Unreadable)?;
    if now.as_deref() != seen {
        return Err(SetupError::Changed { path: target.to_owned() });
    }
    let kept = match (change, seen) {
        (Change::WriteKeepingOld(_), Some(old)) => {
            let path = keep(target, old)?;
            let exposed = matches!(git::status(&path), Ok(GitStatus::Exposed { .. }));
            Some(Backup { path, exposed })
        }
        _ => None,
    };
    match change {
        Change::Delete => fs::remove(target),
        Change::Write(new) | Change::WriteKeepingOld(new) => fs::replace(target, new, Privacy::Unchanged),
    }
    .map_err(SetupError::NotWritten)?;
    Ok(kept)
}

/// Whether an older state of the file was ever kept.
pub fn has_backup(target: &Path) -> bool {
    backup(target, 0).exists()
}

/// Keeps what the file held, beside it and for its owner alone. An older backup is never overwritten.
fn keep(target: &Path, old: &[u8]) -> Result<PathBuf, SetupError> {
    for number in 0..MOST_BACKUPS {
        let place = backup(target, number);
        // Whatever stands there that cannot be read is not ours to replace either.
        match fs::read(&place, LONGEST) {
            Ok(Some(kept)) if kept == old => return Ok(place),
            Ok(None) if !place.is_symlink() => {
                fs::replace(&place, old, Privacy::OwnerOnly).map_err(SetupError::NotWritten)?;
                return Ok(place);
            }
            Ok(_) | Err(_) => {}
        }
    }
    Err(SetupError::TooManyBackups { path: backup(target, 0) })
}

fn backup(target: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(target.file_name().unwrap_or_default());
    name.push(ENDING);
    if number > 0 {
        name.push(format!(".{number}"));
    }
    target.with_file_name(name)
}

/// Why a file is left alone.
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

const ENDING: &str = ".stripe-projects.bak";

const MOST_BACKUPS: u32 = 100;

/// Hosts keep a few kilobytes; Claude Code's own file can be some megabytes, and is not one of these.
const LONGEST: u64 = 4 * 1024 * 1024;

const TIMEOUT: Duration = Duration::from_secs(10);
