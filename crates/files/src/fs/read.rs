//! Bounded and non-blocking reads.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    path::Path,
};

use super::{
    FsError,
    error::{failed, not_regular},
};

/// Reads a file; `None` if it does not exist. Symbolic links are followed, and a pipe does not block.
///
/// # Errors
/// [`FsError`] also for a file that is not regular, and for one longer than `limit` bytes, because none of ours is.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FsError> {
    match fs::metadata(path) {
        // A device is not even opened, because that can have an effect.
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => return Err(failed("use", path, not_regular())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(_) | Err(_) => {}
    }
    let file = match options().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path, error)),
    };
    let metadata = file.metadata().map_err(|error| failed("look at", path, error))?;
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(failed("use", path, not_regular()));
    }
    take_all(&file, path, limit).map(Some)
}

/// Reads a file that a user named, which may be a pipe: then it waits for the other end.
pub fn read_named(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FsError> {
    match File::open(path) {
        Ok(file) => take_all(&file, path, limit).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open", path, error)),
    }
}

/// Reads an open file to its end.
pub(super) fn take_all(file: &File, path: &Path, limit: u64) -> Result<Vec<u8>, FsError> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| failed("read", path, error))?;
    if bytes.len() as u64 > limit {
        return Err(failed("read all of", path, io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

/// Opens without waiting for the other end of a pipe.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    options.read(true);
    options
}

/// Opens an untrusted file for reading; `None` if it is not a regular file.
///
/// Symbolic links are not followed and a pipe does not block. Returns the current size in bytes with the file.
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
