//! The file system, as far as this house touches it: private files, atomic replacement, locks.
//!
//! No other module says `std::fs`. What this one promises: a replaced file is either the old one or the new one,
//! whole, also after a power cut; a file that we create is for its owner alone; a lock dies with its process.

mod lock;
mod shell;
mod write_access;

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

pub use lock::Lock;
pub use shell::shell_quoted;
pub use write_access::{WriteAccess, dangling_link, write_access};

/// What could not be done, to which path, and what the operating system said.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {}: {}", path.display(), said(source))]
pub struct FsError {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

/// What the operating system said, without the path that it may have said it of.
fn said(error: &io::Error) -> String {
    let kind = error.kind().to_string();
    match error.raw_os_error() {
        // That of a failing disk, for one, has no kind of its own.
        Some(code) if kind == UNNAMED => io::Error::from_raw_os_error(code).to_string(),
        _ => kind,
    }
}

/// Whether only its owner may do anything with what `path` leads to; `None` where there is nothing.
///
/// # Errors
/// When it cannot be looked at.
pub fn is_private(path: &Path) -> Result<Option<bool>, FsError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(mode(&metadata) & 0o777 & !0o700 == 0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path, error)),
    }
}

/// Takes away what others than its owner may do with a file or folder.
///
/// # Errors
/// When it is not there or not ours.
pub fn make_private(path: &Path) -> Result<(), FsError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let old = fs::metadata(path).map_err(|error| failed("look at", path, error))?;
        let permissions = fs::Permissions::from_mode(mode(&old) & 0o700);
        fs::set_permissions(path, permissions).map_err(|error| failed("set the mode of", path, error))?;
    }
    Ok(())
}

/// The files directly in a folder, by name.
///
/// # Errors
/// When it cannot be read.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let entries = fs::read_dir(folder).map_err(|error| failed("read", folder, error))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// What a path turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Absent,
    Directory,
    File {
        /// Its owner may not write it, which somebody must have wanted.
        read_only: bool,
    },
}

/// The kind of what `path` leads to, through symbolic links.
///
/// # Errors
/// When it cannot be looked at, or is neither a file nor a folder (a device, a pipe).
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
        return Err(failed("use", path, io::ErrorKind::InvalidInput.into()));
    }
    Ok(Kind::File { read_only: mode(&metadata) & 0o200 == 0 })
}

/// What tells one state of a file from the next, also when an editor puts another file in its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    number: u64,
}

/// The stamp of the file that `path` leads to; `None` when none can be seen.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), number: number(&metadata) })
}

/// Whether a file can be seen there that has no bytes.
pub fn is_empty(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

/// The file that `path` means, its folder free of symbolic links and itself followed while it is one.
///
/// The file need not exist: a dangling link means the file it points at.
///
/// # Errors
/// When the folder does not exist or the links go round in a circle.
pub fn resolve(path: &Path) -> Result<PathBuf, FsError> {
    let mut current = path.to_owned();
    for _ in 0..MOST_LINKS {
        let folder =
            fs::canonicalize(folder_of(&current)).map_err(|error| failed("find the folder of", &current, error))?;
        let Some(name) = current.file_name() else {
            return Err(failed("use", path, io::ErrorKind::InvalidInput.into()));
        };
        let here = folder.join(name);
        match fs::read_link(&here) {
            Ok(next) => current = folder.join(next),
            Err(_) => return Ok(here),
        }
    }
    Err(failed("follow", path, io::ErrorKind::InvalidInput.into()))
}

/// A folder that exists, absolute and free of symbolic links.
///
/// # Errors
/// When there is no such folder.
pub fn real_folder(path: &Path) -> Result<PathBuf, FsError> {
    let real = fs::canonicalize(path).map_err(|error| failed("find", path, error))?;
    if real.is_dir() { Ok(real) } else { Err(failed("enter", path, io::ErrorKind::NotADirectory.into())) }
}

/// `path` with its folder free of symbolic links, so that one file has one name whichever way one comes. What is not
/// there yet stays as it was given.
pub fn in_real_folder(path: &Path) -> PathBuf {
    match (fs::canonicalize(folder_of(path)), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// The bytes of a file, or `None` when there is none.
///
/// # Errors
/// When it cannot be read, or is longer than `limit` bytes, which no honest file of ours is.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FsError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path, error)),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| failed("read", path, error))?;
    if bytes.len() as u64 > limit {
        return Err(failed("read all of", path, io::ErrorKind::FileTooLarge.into()));
    }
    Ok(Some(bytes))
}

/// Opens a file for reading whoever put it there: a link is not followed, nobody is waited for at a pipe. `None`: it is
/// no regular file. The size is that of this moment, in bytes.
///
/// # Errors
/// When it cannot be opened.
pub fn open_regular(path: &Path) -> Result<Option<(File, u64)>, FsError> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    let file = options.read(true).open(path).map_err(|error| failed("open", path, error))?;
    let metadata = file.metadata().map_err(|error| failed("look at", path, error))?;
    Ok(metadata.is_file().then_some((file, metadata.len())))
}

/// A file or folder that exists, absolute and free of symbolic links.
///
/// # Errors
/// When there is nothing.
pub fn real_path(path: &Path) -> Result<PathBuf, FsError> {
    fs::canonicalize(path).map_err(|error| failed("find", path, error))
}

/// Whether a replaced file carries a secret, and so must be for its owner alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Privacy {
    /// Take group and other bits away from an existing file.
    OwnerOnly,
    /// Leave an existing file's mode as it is.
    Unchanged,
}

/// Puts `bytes` in the place of `target`, atomically and durably. A new file is 0600.
///
/// Two callers on one target must hold its lock: they share one temporary name, which is what lets the next call
/// sweep away what a dead process left behind.
///
/// # Errors
/// When any step fails; the target is then what it was. Where its folder alone could not be flushed, it is new already,
/// and a power cut may take that back.
pub fn replace(target: &Path, bytes: &[u8], privacy: Privacy) -> Result<(), FsError> {
    let temporary = sweep(target)?;
    let outcome = write_beside(&temporary, target, bytes, privacy);
    if outcome.is_err() {
        let _ = fs::remove_file(&temporary); // the first error is the one to report
    }
    outcome?;
    sync_folder(folder_of(target))
}

/// Proves that [`replace`] could work on `target`, by doing the part that leaves nothing behind.
///
/// # Errors
/// When the folder cannot take a new file.
pub fn probe(target: &Path) -> Result<(), FsError> {
    let temporary = sweep(target)?;
    create_private(&temporary)?;
    fs::remove_file(&temporary).map_err(|error| failed("remove", &temporary, error))
}

/// Removes the temporary file that a dead process may have left beside `target`; returns its path.
///
/// # Errors
/// When it exists and cannot be removed.
pub fn sweep(target: &Path) -> Result<PathBuf, FsError> {
    let temporary = temporary(target);
    remove(&temporary)?;
    Ok(temporary)
}

/// Where the temporary file beside `target` is, while there is one.
pub fn temporary(target: &Path) -> PathBuf {
    let mut name = OsString::from(target.file_name().unwrap_or_default());
    name.push(TEMPORARY_ENDING);
    target.with_file_name(name)
}

/// Removes a file, if there is one.
///
/// # Errors
/// When it is there and stays.
pub fn remove(path: &Path) -> Result<(), FsError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Creates a folder for its owner alone, and its parents; an existing one stays as it is. What was made is still there
/// after a power cut, and so is what is then made durable inside it.
///
/// # Errors
/// When it can be neither found nor made.
pub fn create_private_folder(path: &Path) -> Result<(), FsError> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()).count();
    builder.recursive(true).create(path).map_err(|error| failed("create", path, error))?;
    path.ancestors().take(missing).try_for_each(|made| sync_folder(folder_of(made)))
}

/// Creates an empty file for its owner alone; an existing one stays as it is, and is not even opened: whoever closes a
/// database's file takes the locks of every connection away that his process has to it.
///
/// # Errors
/// When it can be neither found nor made.
pub fn create_private_file(path: &Path) -> Result<(), FsError> {
    match create_private(path) {
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the replacement that the rule points to")]
fn write_beside(temporary: &Path, target: &Path, bytes: &[u8], privacy: Privacy) -> Result<(), FsError> {
    let mut file = create_private(temporary)?;
    keep_owner_and_mode(&file, target, privacy)?;
    file.write_all(bytes).map_err(|error| failed("write", temporary, error))?;
    file.sync_all().map_err(|error| failed("flush", temporary, error))?;
    fs::rename(temporary, target).map_err(|error| failed("replace", target, error))
}

/// Gives the new file the old one's mode, less what a secret forbids, and its owner where we are allowed to.
#[cfg(unix)]
fn keep_owner_and_mode(file: &File, target: &Path, privacy: Privacy) -> Result<(), FsError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let Ok(old) = fs::metadata(target) else {
        return Ok(());
    };
    let new = file.metadata().map_err(|error| failed("look at", target, error))?;
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        let _ = fchown(file, Some(old.uid()), Some(old.gid())); // only root may; anybody else keeps his own
    }
    let allowed = if privacy == Privacy::OwnerOnly { 0o700 } else { 0o777 };
    let permissions = fs::Permissions::from_mode(mode(&old) & allowed);
    file.set_permissions(permissions).map_err(|error| failed("set the mode of", target, error))
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &File, _: &Path, _: Privacy) -> Result<(), FsError> {
    Ok(())
}

fn create_private(path: &Path) -> Result<File, FsError> {
    open_private(path, OpenOptions::new().write(true).create_new(true))
}

fn open_private(path: &Path, options: &mut OpenOptions) -> Result<File, FsError> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path).map_err(|error| failed("create", path, error))
}

/// A rename survives a power cut only once its folder has been flushed.
fn sync_folder(folder: &Path) -> Result<(), FsError> {
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).map_err(|error| failed("flush", folder, error))?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions())
}

#[cfg(not(unix))]
fn mode(metadata: &fs::Metadata) -> u32 {
    if metadata.permissions().readonly() { 0o400 } else { 0o600 }
}

/// The file's own number, which a file that is renamed into its place does not share.
#[cfg(unix)]
fn number(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn number(_: &fs::Metadata) -> u64 {
    0
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> FsError {
    FsError { action, path: path.to_owned(), source }
}

/// How the standard library shows a kind that it has no name for.
const UNNAMED: &str = "uncategorized error";

/// Follows the env file's name, so that an ignore rule such as `.env*` covers it too.
const TEMPORARY_ENDING: &str = ".stripe-projects.tmp";

/// As many as Linux follows.
const MOST_LINKS: usize = 40;
