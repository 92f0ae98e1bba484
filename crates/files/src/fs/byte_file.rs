//! A file of single bytes that are read and set in place, and space that is kept free.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::{
    FsError,
    error::failed,
    private::{create_private, open_private},
};

/// A file with one byte for each index. Setting a byte takes no lock, and no space once its block is allocated.
#[derive(Clone, Debug)]
pub struct ByteFile {
    path: PathBuf,
}

impl ByteFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the byte at `index`; zero where the file has none.
    pub fn get(&self, index: u64) -> Result<u8, FsError> {
        let Some(mut file) = self.open()? else {
            return Ok(0);
        };
        let mut byte = [0];
        let read = file.seek(SeekFrom::Start(index)).and_then(|_| file.read(&mut byte));
        read.map_err(|error| failed("read", &self.path, error))?;
        Ok(byte[0])
    }

    /// Returns every byte, in the order of the indices.
    pub fn all(&self) -> Result<Vec<u8>, FsError> {
        let mut bytes = Vec::new();
        if let Some(mut file) = self.open()? {
            file.read_to_end(&mut bytes).map_err(|error| failed("read", &self.path, error))?;
        }
        Ok(bytes)
    }

    /// Sets the byte at `index`. Every process sees it on return; [`Self::sync`] makes it survive a power loss.
    pub fn set(&self, index: u64, byte: u8) -> Result<(), FsError> {
        let file = open_private(&self.path, OpenOptions::new().write(true).create(true).truncate(false))?;
        write_at(&file, index, &[byte]).map_err(|error| failed("write", &self.path, error))
    }

    /// Sets the byte at `index` to zero, and allocates its block by writing it.
    ///
    /// A new block is on the disk when this returns, and no byte that was there before changes but that one.
    pub fn allocate(&self, index: u64) -> Result<(), FsError> {
        if self.get(index)? != 0 {
            self.set(index, 0)?;
        }
        let has = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        let needed = (index / BLOCK).saturating_add(1).saturating_mul(BLOCK);
        if has >= needed {
            return Ok(());
        }
        // Appended, so that it never overwrites what another process sets meanwhile.
        let mut file = open_private(&self.path, OpenOptions::new().append(true).create(true))?;
        let missing = usize::try_from(needed - has).unwrap_or(usize::MAX);
        let written = file.write_all(&vec![0; missing]).and_then(|()| file.sync_all());
        written.map_err(|error| failed("write", &self.path, error))
    }

    /// Flushes the file to the disk.
    pub fn sync(&self) -> Result<(), FsError> {
        match self.open()? {
            Some(file) => file.sync_data().map_err(|error| failed("flush", &self.path, error)),
            None => Ok(()),
        }
    }

    fn open(&self) -> Result<Option<File>, FsError> {
        match OpenOptions::new().read(true).open(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("open", &self.path, error)),
        }
    }
}

/// Writes the first bytes of a file in place, without replacing or shortening it.
pub fn write_in_place(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let file = open_private(path, OpenOptions::new().write(true).create(true).truncate(false))?;
    write_at(&file, 0, bytes).map_err(|error| failed("write", path, error))
}

#[cfg(unix)]
fn write_at(file: &File, index: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, index)
}

#[cfg(not(unix))]
fn write_at(mut file: &File, index: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(index)).and_then(|_| file.write_all(bytes))
}

/// Keeps `bytes` of disk space in a file that may be removed when there is no other; does nothing if it exists.
///
/// The content does not compress, so that a file system cannot store it in less.
pub fn reserve_space(path: &Path, bytes: usize) -> Result<(), FsError> {
    if path.exists() {
        return Ok(());
    }
    let mut file = create_private(path)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = Vec::with_capacity(bytes.saturating_add(8));
    while content.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    let written = file.write_all(&content).and_then(|()| file.sync_data());
    written.map_err(|error| {
        let _ = fs::remove_file(path); // a part of it is no reserve
        failed("write", path, error)
    })
}

/// Returns how many bytes this user can still write to the file system of `path`; `None` if that is not known.
#[cfg(unix)]
pub fn free_space(path: &Path) -> Option<u64> {
    let status = rustix::fs::statvfs(path).ok()?;
    Some(status.f_bavail.saturating_mul(status.f_frsize))
}

#[cfg(not(unix))]
pub fn free_space(_: &Path) -> Option<u64> {
    None
}

/// In bytes: at least a block of any usual file system.
const BLOCK: u64 = 4096;
