//! Bounded and non-blocking reads.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read as _},
    path::Path,
};

use super::{FsError, error::failed};

/// Reads a file; `None` if it does not exist.
///
/// # Errors
/// [`FsError`] also for a file longer than `limit` bytes, because none of our files is.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FsError> {
    read_with(OpenOptions::new().read(true), path, limit, |_| true)
}

/// As [`read`], but never waits for a pipe or a device.
///
/// # Errors
/// [`FsError`] also for what is no regular file.
pub fn read_regular(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FsError> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    read_with(options.read(true), path, limit, Metadata::is_file)
}

fn read_with(
    options: &OpenOptions,
    path: &Path,
    limit: u64,
    is_readable: impl FnOnce(&Metadata) -> bool,
) -> Result<Option<Vec<u8>>, FsError> {
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path, error)),
    };
    let metadata = file.metadata().map_err(|error| failed("look at", path, error))?;
    if !is_readable(&metadata) {
        return Err(failed("use", path, io::ErrorKind::InvalidInput.into()));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| failed("read", path, error))?;
    if bytes.len() as u64 > limit {
        return Err(failed("read all of", path, io::ErrorKind::FileTooLarge.into()));
    }
    Ok(Some(bytes))
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
