//! Files and folders that only their owner may access.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

use super::{
    FsError,
    error::failed,
    path::{folder_of, sync_folder},
};

/// Removes group and other permissions.
pub fn make_private(path: &Path) -> Result<(), FsError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let old = fs::metadata(path).map_err(|error| failed("look at", path, error))?;
        let permissions = fs::Permissions::from_mode(mode(&old) & OWNER);
        fs::set_permissions(path, permissions).map_err(|error| failed("set the mode of", path, error))?;
    }
    Ok(())
}

/// Creates a folder and its missing parents for their owner only.
///
/// An existing folder keeps its mode. The new folders survive a power loss, and so does what is synced inside them.
pub fn create_private_folder(path: &Path) -> Result<(), FsError> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, OWNER);
    let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()).count();
    builder.recursive(true).create(path).map_err(|error| failed("create", path, error))?;
    path.ancestors().take(missing).try_for_each(|created| sync_folder(folder_of(created)))
}

/// Creates an empty file for its owner only, unless it exists.
///
/// An existing file is not even opened: closing a database's file releases the locks of every connection that this
/// process has to it.
pub fn create_private_file(path: &Path) -> Result<(), FsError> {
    match create_private(path) {
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

pub(super) fn create_private(path: &Path) -> Result<File, FsError> {
    open_private(path, OpenOptions::new().write(true).create_new(true))
}

pub(super) fn open_private(path: &Path, options: &mut OpenOptions) -> Result<File, FsError> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path).map_err(|error| failed("create", path, error))
}

#[cfg(unix)]
pub(super) fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions())
}

#[cfg(not(unix))]
pub(super) fn mode(metadata: &fs::Metadata) -> u32 {
    if metadata.permissions().readonly() { 0o400 } else { 0o600 }
}

/// The permissions of the owner.
pub(super) const OWNER: u32 = 0o700;
