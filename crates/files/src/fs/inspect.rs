//! Metadata of files and folders.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use domain::workspace::FolderIdentity;

use super::{
    FsError,
    error::{failed, not_regular},
    private::{OWNER, mode},
};

/// What a path leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Absent,
    Directory,
    File {
        /// The owner has no write permission, which is taken as intended.
        read_only: bool,
    },
}

/// Identifies one state of a file, also when an editor replaces the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// The owner of a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    Other,
    Root,
    /// The effective user, who may be root.
    Us,
}

/// What is at a path itself, who owns it, and who may use it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ownership {
    pub is_link: bool,
    pub is_folder: bool,
    pub owner: Owner,
    /// The permissions of owner, group and others.
    pub mode: u32,
}

/// Returns the kind of what `path` leads to, through symbolic links.
///
/// # Errors
/// [`FsError`] also for a path that is neither a file nor a folder, such as a device or a pipe.
pub fn kind(path: &Path) -> Result<Kind, FsError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kind::Absent),
        Err(error) => return Err(failed("look at", path, error)),
    };
    if metadata.is_dir() {
        return Ok(Kind::Directory);
    }
    if !metadata.is_file() {
        return Err(failed("use", path, not_regular()));
    }
    Ok(Kind::File { read_only: mode(&metadata) & 0o200 == 0 })
}

/// Returns whether only the owner has permissions; `None` if the path does not exist.
pub fn is_private(path: &Path) -> Result<Option<bool>, FsError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(mode(&metadata) & 0o777 & !OWNER == 0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path, error)),
    }
}

/// Returns whether `path` leads to a file without any bytes.
pub fn is_empty(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

/// Returns the length of a file in bytes; `None` if there is none, or its metadata cannot be read.
pub fn length(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// Returns the stamp of the file; `None` if its metadata cannot be read.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode: inode(&metadata) })
}

/// Returns what tells an existing folder from another one at the same path.
pub fn folder_identity(path: &Path) -> Result<FolderIdentity, FsError> {
    let metadata = fs::metadata(path).map_err(|error| failed("look at", path, error))?;
    let born = metadata.created().ok().and_then(|born| born.duration_since(SystemTime::UNIX_EPOCH).ok());
    let born = born.and_then(|born| i64::try_from(born.as_nanos()).ok());
    Ok(FolderIdentity { device: device(&metadata), inode: inode(&metadata), born })
}

/// Returns the permissions and the owner of what is at `path` itself; `None` if there is nothing.
pub fn ownership(path: &Path) -> Result<Option<Ownership>, FsError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(Ownership {
            is_link: metadata.is_symlink(),
            is_folder: metadata.is_dir(),
            owner: match owner(&metadata) {
                owner if owner == ours() => Owner::Us,
                0 => Owner::Root,
                _ => Owner::Other,
            },
            mode: mode(&metadata) & 0o777,
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path, error)),
    }
}

/// Lists the files directly in a folder, sorted by name.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let entries = fs::read_dir(folder).map_err(|error| failed("read", folder, error))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// Lists the folders directly in a folder, without links.
pub fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let entries = fs::read_dir(folder).map_err(|error| failed("read", folder, error))?;
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries.flatten().filter(is_folder).map(|entry| entry.path()).collect())
}

#[cfg(unix)]
fn device(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(metadata)
}

#[cfg(not(unix))]
fn device(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(unix)]
fn owner(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(metadata)
}

/// There are no numbers of users on this platform: everything counts as ours.
#[cfg(not(unix))]
fn owner(_: &fs::Metadata) -> u32 {
    0
}

#[cfg(unix)]
fn ours() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn ours() -> u32 {
    0
}

/// Returns the inode number, which changes when another file is renamed into place.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}
