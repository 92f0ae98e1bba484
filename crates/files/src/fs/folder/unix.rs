//! Names in an open folder, by its handle.

use std::{fs::File, os::unix::fs::MetadataExt as _, path::Path};

use rustix::{
    fs::{self, AtFlags, Mode, OFlags},
    io::Errno,
};

use super::{
    super::{
        FsError,
        error::{failed, not_regular},
    },
    FileState, Folder,
};

impl Folder {
    /// Opens a folder by its canonical path.
    ///
    /// # Errors
    /// [`FsError`] also if a component is a symbolic link, which a canonical path does not have.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        let refused = |error: Errno| failed("open", path, error.into());
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut handle = File::from(fs::open("/", WALK | flags, Mode::empty()).map_err(refused)?);
        let names: Vec<_> = path.components().filter(|part| part.as_os_str() != "/").collect();
        for name in &names {
            let opened = fs::openat(&handle, name.as_os_str(), WALK | flags, Mode::empty());
            handle = File::from(opened.map_err(refused)?);
        }
        // Locks and flushes need more than a handle for walking.
        let handle = fs::openat(&handle, ".", OFlags::RDONLY | flags, Mode::empty()).map_err(refused)?;
        Ok(Self { path: path.to_owned(), handle: File::from(handle) })
    }

    /// Opens a folder in it that only the effective user may use. `create`: creates it if it is missing.
    ///
    /// Returns `None` if it is missing, is no folder, belongs to another user or has another mode than 0700.
    pub fn open_private(&self, name: &str, create: bool) -> Result<Option<Self>, FsError> {
        let path = self.join(name);
        let refused = |error: Errno| failed("open", &path, error.into());
        if create {
            match fs::mkdirat(&self.handle, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(handle) => File::from(handle),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(refused(error)),
        };
        let stat = fs::fstat(&handle).map_err(refused)?;
        let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
        let is_private = Mode::from_raw_mode(stat.st_mode) & !Mode::from_bits_retain(0o7000) == Mode::RWXU;
        Ok((is_ours && is_private).then_some(Self { path, handle }))
    }

    /// Returns the handle, for a lock.
    pub(crate) fn handle(&self) -> &File {
        &self.handle
    }

    /// Creates a file for its owner only. The name must be free.
    pub fn create(&self, name: &str) -> Result<File, FsError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = fs::openat(&self.handle, name, flags, Mode::RUSR | Mode::WUSR);
        opened.map(File::from).map_err(|error| failed("create", &self.join(name), error.into()))
    }

    /// Opens a file to write at its end.
    pub fn open_to_append(&self, name: &str) -> Result<File, FsError> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = fs::openat(&self.handle, name, flags, Mode::empty());
        opened.map(File::from).map_err(|error| failed("open", &self.join(name), error.into()))
    }

    /// Creates a file without a name, which vanishes unless it is linked; `None` where that is not possible.
    #[cfg(target_os = "linux")]
    pub fn create_unnamed(&self) -> Option<File> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        fs::openat(&self.handle, ".", flags, Mode::RUSR | Mode::WUSR).ok().map(File::from)
    }

    /// Gives an unnamed file a name. `Ok(false)`: another process took the name; `None`: not possible here.
    #[cfg(target_os = "linux")]
    pub fn link_unnamed(&self, file: &File, name: &str) -> Option<bool> {
        use std::os::fd::AsRawFd as _;
        let proc = format!("/proc/self/fd/{}", file.as_raw_fd());
        match fs::linkat(fs::CWD, proc, &self.handle, name, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => Some(true),
            Err(Errno::EXIST) => Some(false),
            Err(_) => None,
        }
    }

    /// Moves a name into another folder, and replaces what has the new name there.
    pub fn rename(&self, name: &str, to: &Self, new: &str) -> Result<(), FsError> {
        let renamed = fs::renameat(&self.handle, name, &to.handle, new);
        renamed.map_err(|error| failed("replace", &to.join(new), error.into()))
    }

    /// Moves a name into another folder. `Ok(false)`: the new name is taken.
    pub fn rename_to_free(&self, name: &str, to: &Self, new: &str) -> Result<bool, FsError> {
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        match fs::renameat_with(&self.handle, name, &to.handle, new, fs::RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => return Ok(false),
            Err(error) if is_unsupported(error) => {}
            Err(error) => return Err(failed("create", &to.join(new), error.into())),
        }
        if to.exists(new)? {
            return Ok(false);
        }
        self.rename(name, to, new).map(|()| true)
    }

    /// Exchanges two names in one step. `Ok(false)`: the file system cannot.
    pub fn exchange(&self, name: &str, with: &Self, other: &str) -> Result<bool, FsError> {
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        match fs::renameat_with(&self.handle, name, &with.handle, other, fs::RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(true),
            Err(error) if is_unsupported(error) => {}
            Err(error) => return Err(failed("replace", &with.join(other), error.into())),
        }
        Ok(false)
    }

    /// Moves an empty folder from here to `name` in `to`, as a file could be moved, and removes it.
    ///
    /// A device number does not tell whether that is possible, and version control does not see an empty folder.
    pub fn try_rename_into(&self, trial: &str, to: &Self, name: &str) -> Result<(), FsError> {
        match fs::mkdirat(&self.handle, trial, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("create", &self.join(trial), error.into())),
        }
        let moved = self.rename(trial, to, name);
        let (folder, name) = if moved.is_ok() { (to, name) } else { (self, trial) };
        // An error leaves an empty folder, which the next call removes.
        let _ = fs::unlinkat(&folder.handle, name, AtFlags::REMOVEDIR);
        moved
    }

    /// Removes a file, or an empty folder, if it exists.
    pub fn remove(&self, name: &str) -> Result<(), FsError> {
        let removed = match fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => fs::unlinkat(&self.handle, name, AtFlags::REMOVEDIR),
            removed => removed,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("remove", &self.join(name), error.into())),
        }
    }

    /// Tells whether the name exists, without following a link.
    pub fn exists(&self, name: &str) -> Result<bool, FsError> {
        match fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(failed("look at", &self.join(name), error.into())),
        }
    }

    /// Flushes its names, which survive a power loss only after that.
    pub fn sync(&self) -> Result<(), FsError> {
        self.handle.sync_all().map_err(|error| failed("flush", &self.path, error))
    }

    /// Lists the names of the files in it.
    pub fn names(&self) -> Result<Vec<String>, FsError> {
        let refused = |error: Errno| failed("read", &self.path, error.into());
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.handle).map_err(refused)? {
            let name = entry.map_err(refused)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    pub(super) fn open_file(&self, name: &str) -> Result<File, FsError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = self.join(name);
        match fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(file) => Ok(File::from(file)),
            // A link, or a socket: neither is a regular file.
            Err(Errno::LOOP | Errno::NXIO) => Err(failed("use", &path, not_regular())),
            Err(error) => Err(failed("open", &path, error.into())),
        }
    }
}

pub(super) fn state_of(file: &File, path: &Path) -> Result<FileState, FsError> {
    let metadata = file.metadata().map_err(|error| failed("look at", path, error))?;
    Ok(FileState {
        device: metadata.dev(),
        inode: metadata.ino(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// Whether the file system, or this kernel, does not know the operation.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn is_unsupported(error: Errno) -> bool {
    error == Errno::INVAL || error == Errno::NOSYS || error == Errno::NOTSUP || error == Errno::OPNOTSUPP
}

/// Opens a folder to walk through, for which the permission to read it is not needed.
#[cfg(target_os = "linux")]
const WALK: OFlags = OFlags::PATH;

#[cfg(not(target_os = "linux"))]
const WALK: OFlags = OFlags::RDONLY;
