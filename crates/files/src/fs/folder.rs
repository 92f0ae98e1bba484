//! An open folder, in which names are used without following a symbolic link.
//!
//! A path can change between a check and its use. An open folder stays the same.

#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    FsError,
    error::{failed, not_regular},
    read::take_all,
};

#[cfg(not(unix))]
use portable::state_of;
#[cfg(unix)]
use unix::state_of;

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    #[cfg(unix)]
    handle: File,
}

/// The state of a file that tells whether another process changed it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileState {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// A file as it was read.
#[derive(Debug)]
pub struct FileContent {
    pub bytes: Vec<u8>,
    pub state: FileState,
    pub file: File,
}

impl FileState {
    /// Reads the state of an open file; `path` names it in an error.
    pub fn of(file: &File, path: &Path) -> Result<Self, FsError> {
        state_of(file, path)
    }

    /// Identifies the file whatever its content is: device and inode.
    pub fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

impl Folder {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a regular file; `None` if there is no such name.
    ///
    /// # Errors
    /// [`FsError`] also for a link, a pipe, a device, and a file longer than `limit` bytes.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<FileContent>, FsError> {
        let file = match self.open_file(name) {
            Ok(file) => file,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let path = self.join(name);
        let metadata = file.metadata().map_err(|error| failed("look at", &path, error))?;
        if !metadata.is_file() {
            return Err(failed("use", &path, not_regular()));
        }
        let bytes = take_all(&file, &path, limit)?;
        // Taken after the content, so that a change between the two shows in the next comparison.
        Ok(Some(FileContent { bytes, state: state_of(&file, &path)?, file }))
    }
}

/// Makes every later write to an open file go to its end, wherever that is then.
#[cfg(unix)]
pub fn append_only(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fcntl_setfl(file, rustix::fs::OFlags::APPEND)?)
}

/// Moves to the end of an open file.
#[cfg(not(unix))]
pub fn append_only(mut file: &File) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).map(drop)
}
