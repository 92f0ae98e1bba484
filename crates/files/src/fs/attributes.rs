//! What a file carries beside its content: owner, group, mode, access list and label.

use std::fs::File;
#[cfg(unix)]
use std::path::Path;

use super::{FsError, Privacy};
#[cfg(unix)]
use super::{error::failed, private::OWNER};

/// Owner, group, mode and extended attributes of a file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attributes {
    #[cfg(unix)]
    owner: (u32, u32),
    #[cfg(unix)]
    mode: u32,
    /// Labels, access lists and the user's own attributes, by name.
    #[cfg(unix)]
    extended: Vec<(Vec<u8>, Vec<u8>)>,
}

#[cfg(unix)]
impl Attributes {
    /// Reads the attributes of an open file.
    pub fn of(file: &File) -> Result<Self, FsError> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = file.metadata().map_err(|error| failed("look at", Path::new("the env file"), error))?;
        let extended = names(file).into_iter().filter_map(|name| {
            let value = value(file, &name)?;
            Some((name, value))
        });
        let extended = extended.collect();
        Ok(Self { owner: (metadata.uid(), metadata.gid()), mode: metadata.mode() & 0o777, extended })
    }

    /// Gives an open file these attributes, as far as the system permits.
    ///
    /// # Errors
    /// [`FsError`] if the file would keep a mode that permits more than these attributes.
    pub fn apply(&self, file: &File, privacy: Privacy) -> Result<(), FsError> {
        use std::{
            fs::Permissions,
            os::unix::fs::{PermissionsExt as _, fchown},
        };
        let new = Self::of(file)?;
        if self.owner != new.owner && fchown(file, Some(self.owner.0), Some(self.owner.1)).is_err() {
            let _ = fchown(file, None, Some(self.owner.1)); // another owner is permitted for root only
        }
        for (name, _) in new.extended.iter().filter(|(name, _)| !self.extended.iter().any(|(ours, _)| ours == name)) {
            let _ = rustix::fs::fremovexattr(file, name.as_slice());
        }
        for attribute in self.extended.iter().filter(|attribute| !new.extended.contains(attribute)) {
            let (name, value) = attribute;
            let _ = rustix::fs::fsetxattr(file, name.as_slice(), value, rustix::fs::XattrFlags::empty());
        }
        let mode = self.mode & if privacy == Privacy::OwnerOnly { OWNER } else { 0o777 };
        // After an access list, whose mask is in the bits of the group.
        if Self::of(file)?.mode != mode {
            let permissions = Permissions::from_mode(mode);
            file.set_permissions(permissions)
                .map_err(|error| failed("set the mode of", Path::new("the env file"), error))?;
        }
        Ok(())
    }
}

#[cfg(not(unix))]
impl Attributes {
    /// Returns nothing, because this platform has no modes and owners.
    #[expect(clippy::unnecessary_wraps, reason = "another platform can fail")]
    pub fn of(_: &File) -> Result<Self, FsError> {
        Ok(Self::default())
    }

    /// Does nothing.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "another platform can fail")]
    pub fn apply(&self, _: &File, _: Privacy) -> Result<(), FsError> {
        Ok(())
    }
}

/// Lists the attributes that a replaced file has to keep; none where the file system has none.
#[cfg(unix)]
fn names(file: &File) -> Vec<Vec<u8>> {
    let mut list = vec![0; LONGEST_ATTRIBUTE];
    let length = rustix::fs::flistxattr(file, list.as_mut_slice()).unwrap_or_default();
    let list = list.get(..length).unwrap_or_default();
    let is_kept = |name: &&[u8]| KEPT.iter().any(|kept| name.starts_with(kept.as_bytes()));
    list.split(|byte| *byte == 0).filter(is_kept).map(<[u8]>::to_vec).collect()
}

#[cfg(unix)]
fn value(file: &File, name: &[u8]) -> Option<Vec<u8>> {
    let mut value = vec![0; LONGEST_ATTRIBUTE];
    let length = rustix::fs::fgetxattr(file, name, value.as_mut_slice()).ok()?;
    value.truncate(length);
    Some(value)
}

/// Prefixes of the attributes that describe access, labels, and what users attach. Signatures of the content are not kept.
#[cfg(unix)]
const KEPT: &[&str] =
    &["com.apple.", "security.SMACK64", "security.selinux", "system.nfs4_acl", "system.posix_acl_access", "user."];

/// The limit of Linux for a value, and for a list of names.
#[cfg(unix)]
const LONGEST_ATTRIBUTE: usize = 64 * 1024;
