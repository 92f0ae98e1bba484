//! Exclusive file locks, released when their process ends.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

#[cfg(unix)]
use super::path::folder_of;
use super::{
    Folder, FsError,
    error::failed,
    private::{create_private, open_private},
};

/// An exclusive lock, held until dropped or until the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    is_new: bool,
}

impl Lock {
    /// Locks a dedicated file within `timeout`; `None` if another process holds it.
    pub fn on_file(path: &Path, timeout: Duration) -> Result<Option<Self>, FsError> {
        let deadline = Instant::now() + timeout;
        loop {
            let (file, is_new) = match create_private(path) {
                Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
                    (open_private(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?, false)
                }
                created => (created?, true),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            match Self::wait(file, path, left)? {
                // Another process removed the file while this one waited for it, and a third may lock a new one.
                Some(lock) if !lock.is_in_place() => {}
                lock => return Ok(lock.map(|lock| Self { is_new, ..lock })),
            }
        }
    }

    /// Tells whether this call created the file.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Removes the locked file. A process that waits for it locks a new one.
    ///
    /// Where files have no identity that can be compared, it stays.
    pub fn remove(&self) {
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path); // an empty file that stays is harmless
        }
    }

    #[cfg(unix)]
    fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
        let (locked, named) = (self.file.metadata(), fs::metadata(&self.path));
        matches!((&locked, &named), (Ok(locked), Ok(named)) if identity(locked) == identity(named))
    }

    #[cfg(not(unix))]
    fn is_in_place(&self) -> bool {
        true
    }

    /// Locks a dedicated file together with others that do the same, within `timeout`; `None` if another process holds it
    /// alone.
    pub fn shared_on_file(path: &Path, timeout: Duration) -> Result<Option<Self>, FsError> {
        let file = open_private(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
        Self::wait_with(file, path, timeout, File::try_lock_shared)
    }

    /// Returns the locked file as a child's input, so the child shares the lock.
    ///
    /// Both refer to one open file: the lock is held until both are closed. An empty lock file reads like `/dev/null`.
    pub fn share(&self) -> Result<Stdio, FsError> {
        self.file.try_clone().map(Stdio::from).map_err(|error| failed("share", &self.path, error))
    }

    /// Locks an open folder within `timeout`; `None` if another process holds it.
    #[cfg(unix)]
    pub fn on_folder(folder: &Folder, _: &str, timeout: Duration) -> Result<Option<Self>, FsError> {
        Self::wait(shared_handle(folder)?, folder.path(), timeout)
    }

    /// Locks a file beside `name` in a folder, because a folder cannot be opened on this platform.
    #[cfg(not(unix))]
    pub fn on_folder(folder: &Folder, name: &str, timeout: Duration) -> Result<Option<Self>, FsError> {
        Self::on_folder_of(&folder.join(name), timeout)
    }

    /// Locks an open folder together with other holders of a shared lock; `None` if another process has it alone.
    #[cfg(unix)]
    pub fn shared_on_folder(folder: &Folder, timeout: Duration) -> Result<Option<Self>, FsError> {
        Self::wait_with(shared_handle(folder)?, folder.path(), timeout, File::try_lock_shared)
    }

    /// Returns `None`, because a folder cannot be opened on this platform.
    #[cfg(not(unix))]
    pub fn shared_on_folder(_: &Folder, _: Duration) -> Result<Option<Self>, FsError> {
        Ok(None)
    }

    /// Locks the folder of `target` within `timeout`; `None` if another process holds it.
    ///
    /// No lock file stays in the user's folder, and a rename never replaces the locked file.
    #[cfg(unix)]
    pub fn on_folder_of(target: &Path, timeout: Duration) -> Result<Option<Self>, FsError> {
        let folder = folder_of(target);
        let file = File::open(folder).map_err(|error| failed("open", folder, error))?;
        Self::wait(file, folder, timeout)
    }

    /// Locks a file beside `target`, because a folder cannot be opened on this platform.
    #[cfg(not(unix))]
    pub fn on_folder_of(target: &Path, timeout: Duration) -> Result<Option<Self>, FsError> {
        Self::on_file(&target.with_file_name(".stripe-projects.lock"), timeout)
    }

    fn wait(file: File, path: &Path, timeout: Duration) -> Result<Option<Self>, FsError> {
        Self::wait_with(file, path, timeout, File::try_lock)
    }

    fn wait_with(
        file: File,
        path: &Path,
        timeout: Duration,
        try_lock: impl Fn(&File) -> Result<(), fs::TryLockError>,
    ) -> Result<Option<Self>, FsError> {
        let deadline = Instant::now() + timeout;
        let mut pause = Duration::from_micros(200);
        loop {
            match try_lock(&file) {
                Ok(()) => return Ok(Some(Self { file, path: path.to_owned(), is_new: false })),
                Err(fs::TryLockError::Error(error)) => return Err(failed("lock", path, error)),
                Err(fs::TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

/// Duplicates the handle of a folder; the lock is held until both are closed.
#[cfg(unix)]
fn shared_handle(folder: &Folder) -> Result<File, FsError> {
    folder.handle().try_clone().map_err(|error| failed("open", folder.path(), error))
}

/// Whether a process has that file as its standard input. Only Linux can tell; elsewhere it counts as a yes.
#[cfg(target_os = "linux")]
pub fn is_input_of(path: &Path, process: i32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let input = identity(Path::new(&format!("/proc/{process}/fd/0")));
    input.is_some() && input == identity(path)
}

#[cfg(not(target_os = "linux"))]
pub fn is_input_of(_: &Path, _: i32) -> bool {
    true
}
