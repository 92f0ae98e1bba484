//! Names in a folder by its path, on platforms without folder handles.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    time::SystemTime,
};

use super::{
    super::{FsError, error::failed},
    FileState, Folder,
};

impl Folder {
    /// Opens a folder by its canonical path.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        let real = fs::canonicalize(path).map_err(|error| failed("open", path, error))?;
        Ok(Self { path: real })
    }

    /// Opens a folder in it. `create`: creates it if it is missing.
    pub fn open_private(&self, name: &str, create: bool) -> Result<Option<Self>, FsError> {
        let path = self.join(name);
        match fs::create_dir(&path) {
            Err(error) if create && error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("create", &path, error));
            }
            _ => {}
        }
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        Ok(is_folder.then_some(Self { path }))
    }

    /// Creates a file. The name must be free.
    pub fn create(&self, name: &str) -> Result<File, FsError> {
        let path = self.join(name);
        let opened = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        opened.map_err(|error| failed("create", &path, error))
    }

    /// Opens a file to write at its end.
    pub fn open_to_append(&self, name: &str) -> Result<File, FsError> {
        let path = self.join(name);
        OpenOptions::new().append(true).open(&path).map_err(|error| failed("open", &path, error))
    }

    /// Moves a name into another folder, and replaces what has the new name there.
    #[expect(clippy::disallowed_methods, reason = "this is part of the replacement that the rule points to")]
    pub fn rename(&self, name: &str, to: &Self, new: &str) -> Result<(), FsError> {
        let new = to.join(new);
        fs::rename(self.join(name), &new).map_err(|error| failed("replace", &new, error))
    }

    /// Moves a name into another folder. `Ok(false)`: the new name is taken.
    pub fn rename_to_free(&self, name: &str, to: &Self, new: &str) -> Result<bool, FsError> {
        if to.exists(new)? {
            return Ok(false);
        }
        self.rename(name, to, new).map(|()| true)
    }

    /// Exchanges two names in one step. `Ok(false)`: the platform cannot.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "another platform can")]
    pub fn exchange(&self, _: &str, _: &Self, _: &str) -> Result<bool, FsError> {
        Ok(false)
    }

    /// Moves an empty folder from here to `name` in `to`, as a file could be moved, and removes it.
    pub fn try_rename_into(&self, trial: &str, to: &Self, name: &str) -> Result<(), FsError> {
        let _ = fs::create_dir(self.join(trial));
        let moved = self.rename(trial, to, name);
        let _ = fs::remove_dir(if moved.is_ok() { to.join(name) } else { self.join(trial) });
        moved
    }

    /// Removes a file, or an empty folder, if it exists.
    pub fn remove(&self, name: &str) -> Result<(), FsError> {
        let path = self.join(name);
        let removed = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, error)),
            _ => Ok(()),
        }
    }

    /// Tells whether the name exists, without following a link.
    pub fn exists(&self, name: &str) -> Result<bool, FsError> {
        let path = self.join(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("look at", &path, error)),
        }
    }

    /// Does nothing, because a folder cannot be flushed on this platform.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "another platform can")]
    pub fn sync(&self) -> Result<(), FsError> {
        Ok(())
    }

    /// Lists the names in it.
    pub fn names(&self) -> Result<Vec<String>, FsError> {
        let entries = fs::read_dir(&self.path).map_err(|error| failed("read", &self.path, error))?;
        Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    }

    pub(super) fn open_file(&self, name: &str) -> Result<File, FsError> {
        let path = self.join(name);
        File::open(&path).map_err(|error| failed("open", &path, error))
    }
}

pub(super) fn state_of(file: &File, path: &Path) -> Result<FileState, FsError> {
    let metadata = file.metadata().map_err(|error| failed("look at", path, error))?;
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let modified = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(modified.as_secs()).unwrap_or(i64::MAX);
    Ok(FileState {
        device: 0,
        inode: 0,
        length: metadata.len(),
        modified: (seconds, i64::from(modified.subsec_nanos())),
    })
}
