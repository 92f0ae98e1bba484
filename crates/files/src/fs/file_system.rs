//! Which kind of file system a folder is on.

use std::{fs::OpenOptions, io, path::Path};

use super::{FsError, error::failed, private::open_private, replace::remove};

/// Whether a file system can be shared with other hosts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileSystem {
    /// Every process that uses it runs under this kernel, as far as the kernel says.
    Local,
    /// Another host may use it too, and memory that is mapped from it is not shared with that host.
    Network,
}

impl FileSystem {
    /// Returns the kind that a magic number of `statfs(2)` stands for.
    ///
    /// The numbers are those of `linux/magic.h` and of the file systems' own sources.
    pub fn from_magic(magic: u32) -> Self {
        if NETWORK.iter().any(|(known, _)| *known == magic) { Self::Network } else { Self::Local }
    }

    /// Returns the kind of the file system that holds `path`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn of(path: &Path) -> Result<Self, FsError> {
        let found =
            rustix::fs::statfs(path).map_err(|error| failed("look at the file system of", path, error.into()))?;
        // The width and sign of the field differ between architectures; the numbers have 32 bits.
        #[allow(clippy::useless_conversion, reason = "the field is an i64 on this platform only")]
        let bytes = i64::from(found.f_type).to_le_bytes();
        let [first, second, third, fourth, ..] = bytes;
        Ok(Self::from_magic(u32::from_le_bytes([first, second, third, fourth])))
    }

    /// Returns [`FileSystem::Local`], because this platform has no such numbers.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn of(_: &Path) -> Result<Self, FsError> {
        Ok(Self::Local)
    }
}

/// Whether files on the file system of `probe` can be resized, which shared memory in a file needs.
///
/// `probe` is a file that is created and removed.
///
/// # Errors
/// [`FsError`] for a failure that says nothing about the file system, such as a full disk.
pub fn can_resize(probe: &Path) -> Result<bool, FsError> {
    remove(probe)?;
    let file = open_private(probe, OpenOptions::new().write(true).create_new(true))?;
    let resized = file.set_len(PROBE_BYTES);
    drop(file);
    remove(probe)?;
    match resized {
        Ok(()) => Ok(true),
        Err(error) if LACKING.contains(&error.kind()) => Ok(false),
        Err(error) => Err(failed("resize", probe, error)),
    }
}

/// File systems that other hosts may use at the same time.
const NETWORK: &[(u32, &str)] = &[
    (0x0000_517b, "smb"),
    (0x0000_564c, "ncp"),
    (0x0000_6969, "nfs"),
    (0x00c3_6400, "ceph"),
    (0x0102_1997, "9p"),
    (0x0116_1970, "gfs2"),
    (0x0bd0_0bd0, "lustre"),
    (0x1983_0326, "beegfs"),
    (0x2003_0528, "orangefs"),
    (0x4750_4653, "gpfs"),
    (0x5346_414f, "afs"),
    (0x6573_5546, "fuse"), // virtiofs too
    (0x6b41_4653, "kafs"),
    (0x7375_7245, "coda"),
    (0x7461_636f, "ocfs2"),
    (0x786f_4256, "vboxsf"),
    (0x7c7c_6673, "prl_fs"),
    (0xbacb_acbc, "vmhgfs"),
    (0xfe53_4d42, "smb2"),
    (0xff53_4d42, "cifs"),
];

/// How an operation fails that a file system does not have.
const LACKING: &[io::ErrorKind] =
    &[io::ErrorKind::InvalidInput, io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];

/// As many as SQLite gives a new file of shared memory at first.
const PROBE_BYTES: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_magic() {
        for (magic, name) in NETWORK {
            assert_eq!(FileSystem::from_magic(*magic), FileSystem::Network, "{name}");
        }
        for (magic, name) in [
            (0xef53, "ext4"),
            (0x5846_5342, "xfs"),
            (0x9123_683e, "btrfs"),
            (0x0102_1994, "tmpfs"),
            (0x794c_7630, "overlay"),
            (0x2fc1_2fc1, "zfs"),
            (0x0000_4d44, "vfat"),
            (0xf2f5_2010, "f2fs"),
            (0x0000_0000, "no number"),
        ] {
            assert_eq!(FileSystem::from_magic(magic), FileSystem::Local, "{name}");
        }
    }

    #[test]
    fn this_machine_resizes_files_and_leaves_no_probe() {
        let folder = std::env::temp_dir().join(format!("can-resize-{}", std::process::id()));
        super::super::create_private_folder(&folder).unwrap();
        let probe = folder.join("x-shm");
        assert!(can_resize(&probe).unwrap());
        assert!(!probe.exists());
        std::fs::remove_dir(folder).unwrap();
        assert!(FileSystem::of(Path::new("/nowhere/at/all")).is_err() || cfg!(not(target_os = "linux")));
    }
}
