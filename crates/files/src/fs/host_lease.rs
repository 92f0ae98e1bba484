//! A lock file that tells hosts apart which share a folder over a network.
//!
//! A lock that the kernel keeps is not always seen by other hosts, so the file holds a lease: the host writes its name,
//! its boot id and a process id, and writes them again while it works. Processes of one host share the lease, because
//! their locks work among themselves. Another host may take it over when it was not renewed for [`LEASE`], or at once
//! after the last process of the holder has released it.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    FsError,
    error::failed,
    private::{create_private, open_private},
    read::read,
    replace::remove,
};

/// A host since its last start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    pub name: String,
    /// Changes with each start of the host; empty where the platform has none.
    pub boot: String,
}

/// A process of a host that holds the lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    pub host: Host,
    pub process: u32,
}

/// The lease of this host on a file, shared with its other processes.
#[derive(Debug)]
pub struct HostLease {
    path: PathBuf,
    host: Host,
    /// Open, and where the file system permits it locked, for as long as this process uses the folder.
    file: File,
    renewed: Mutex<Option<Instant>>,
}

impl Host {
    /// Returns this host.
    pub fn current() -> Self {
        let boot = read(Path::new("/proc/sys/kernel/random/boot_id"), LONGEST).ok().flatten().unwrap_or_default();
        Self { name: plain(&host_name()), boot: plain(&String::from_utf8_lossy(&boot)) }
    }
}

impl HostLease {
    /// Opens the lease file. Nothing is held before [`Self::keep`].
    pub fn open(path: &Path, host: Host) -> Result<Self, FsError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
        }
        let file = open_private(path, &mut options)?;
        let _ = file.try_lock_shared(); // some file systems have no locks; then the lease is not released early
        Ok(Self { path: path.to_owned(), host, file, renewed: Mutex::default() })
    }

    /// Takes the lease or renews it; returns its holder if that is another host.
    ///
    /// Call it before each use of what the lease protects; a use must end within `LEASE` less `RENEWAL`.
    pub fn keep(&self) -> Result<Option<Holder>, FsError> {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.content()?;
        if found.is_ours(&self.host) {
            if renewed.is_none_or(|last| last.elapsed() > RENEWAL) {
                self.write()?;
                *renewed = Some(Instant::now());
            }
            return Ok(None);
        }
        if let Content::Held(holder) = found {
            if self.is_fresh()? {
                return Ok(Some(holder));
            }
            // Two hosts may take over at the same moment: the one that wrote last keeps it.
            self.write()?;
            thread::sleep(SETTLE);
            if let Content::Held(other) = self.content()?
                && other.host != self.host
            {
                return Ok(Some(other));
            }
        } else {
            self.write()?;
        }
        *renewed = Some(Instant::now());
        Ok(None)
    }

    /// Reads the file by its name, because a network file system shows other hosts' writes to those who open it anew.
    fn content(&self) -> Result<Content, FsError> {
        let bytes = read(&self.path, LONGEST)?.unwrap_or_default();
        Ok(Content::parse(&String::from_utf8_lossy(&bytes)))
    }

    fn write(&self) -> Result<(), FsError> {
        let Host { name, boot } = &self.host;
        let line = format!("{name} {boot} {}\n", std::process::id());
        let mut file = &self.file;
        file.rewind()
            .and_then(|()| file.write_all(line.as_bytes()))
            .and_then(|()| file.set_len(line.len() as u64))
            .and_then(|()| file.sync_all())
            .map_err(|error| failed("write", &self.path, error))
    }

    /// Whether the lease was renewed within [`LEASE`], by the clock of the file system.
    fn is_fresh(&self) -> Result<bool, FsError> {
        let probe = self.path.with_extension("probe");
        remove(&probe)?;
        let mut file = create_private(&probe)?;
        let now = file.write_all(b".").and_then(|()| file.metadata()).and_then(|metadata| metadata.modified());
        remove(&probe)?;
        let changed = fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        let (now, changed) = match (now, changed) {
            (Ok(now), Ok(changed)) => (now, changed),
            (Err(error), _) | (_, Err(error)) => return Err(failed("look at", &self.path, error)),
        };
        Ok(distance(now, changed) < LEASE)
    }
}

impl Drop for HostLease {
    /// Releases the lease if no other process of this host holds it.
    fn drop(&mut self) {
        let is_last = self.file.try_lock().is_ok();
        if is_last && self.content().is_ok_and(|content| content.is_ours(&self.host)) {
            let _ = self.file.set_len(0); // else it ends by itself
        }
    }
}

/// What a lease file holds.
enum Content {
    Free,
    Held(Holder),
}

impl Content {
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let (name, boot, process) = (words.next(), words.next(), words.next());
        let Some(name) = name else { return Self::Free };
        // A host without a boot id leaves that word out.
        let (boot, process) = if process.is_some() { (boot, process) } else { (None, boot) };
        let host = Host { name: plain(name), boot: plain(boot.unwrap_or_default()) };
        Self::Held(Holder { host, process: process.and_then(|word| word.parse().ok()).unwrap_or_default() })
    }

    fn is_ours(&self, host: &Host) -> bool {
        matches!(self, Self::Held(holder) if holder.host == *host)
    }
}

/// Keeps what host names and boot ids are made of, so that the text can be shown.
fn plain(text: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.chars().filter(is_plain).take(LONGEST_NAME).collect()
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|earlier| earlier.duration())
}

#[cfg(unix)]
fn host_name() -> String {
    String::from_utf8_lossy(rustix::system::uname().nodename().to_bytes()).into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    "this-host".to_owned()
}

/// How long a lease lasts that is not renewed. Longer than any transaction.
const LEASE: Duration = Duration::from_secs(60);

/// How old the holder's last renewal may be.
const RENEWAL: Duration = Duration::from_secs(10);

/// How long a host that takes over waits for another one that does the same.
const SETTLE: Duration = Duration::from_millis(100);

/// In bytes; longer files are none of ours.
const LONGEST: u64 = 1024;

/// The limit of Linux.
const LONGEST_NAME: usize = 64;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests write their files directly")]
mod tests {
    use super::*;

    #[test]
    fn lease_of_another_live_host_is_refused_and_named() {
        let folder = Folder::new("live");
        let first = folder.lease("alpha");
        assert_eq!(first.keep().unwrap(), None);
        let second = folder.lease("beta");
        let holder = second.keep().unwrap().unwrap();
        assert_eq!((holder.host, holder.process), (host("alpha"), std::process::id()));
        assert_eq!(first.keep().unwrap(), None, "the question took nothing away");
    }

    #[test]
    fn lease_is_shared_by_the_processes_of_one_host() {
        let folder = Folder::new("shared");
        let (first, second) = (folder.lease("alpha"), folder.lease("alpha"));
        assert_eq!((first.keep().unwrap(), second.keep().unwrap()), (None, None));
        drop(first);
        assert!(folder.lease("beta").keep().unwrap().is_some(), "the second still holds it");
        drop(second);
        assert_eq!(folder.lease("beta").keep().unwrap(), None, "the last one has released it");
    }

    #[test]
    fn lease_that_was_not_renewed_is_taken_over() {
        let folder = Folder::new("stale");
        let first = folder.lease("alpha");
        first.keep().unwrap();
        for (age, refused) in [(LEASE.saturating_sub(RENEWAL), true), (LEASE + RENEWAL, false)] {
            let then = SystemTime::now() - age;
            File::options().write(true).open(folder.file()).unwrap().set_modified(then).unwrap();
            assert_eq!(folder.lease("beta").keep().unwrap().is_some(), refused, "{age:?}");
        }
        assert!(first.keep().unwrap().is_some() || folder.content().starts_with("alpha"), "one host at a time");
    }

    #[test]
    fn lease_after_a_restart_belongs_to_another_boot() {
        let folder = Folder::new("boot");
        let before = folder.lease("alpha");
        before.keep().unwrap();
        let after = HostLease::open(&folder.file(), Host { boot: "other".to_owned(), ..host("alpha") }).unwrap();
        assert_eq!(after.keep().unwrap().unwrap().host, host("alpha"), "two hosts may have one name");
    }

    #[test]
    fn lease_file_of_noise_names_no_control_characters() {
        let folder = Folder::new("noise");
        fs::write(folder.file(), b"ev\x1b[2Jil\xff boot\x07 12 more words\n\n").unwrap();
        let holder = folder.lease("beta").keep().unwrap().unwrap();
        assert_eq!((holder.host.name.as_str(), holder.host.boot.as_str(), holder.process), ("ev2Jil", "boot", 12));
        fs::write(folder.file(), b" \n").unwrap();
        assert_eq!(folder.lease("beta").keep().unwrap(), None);
    }

    #[test]
    fn this_host_has_a_name_and_a_boot_id() {
        let here = Host::current();
        assert_eq!(here, Host::current());
        assert!(!here.name.is_empty() && (here.boot.len() == 36 || cfg!(not(target_os = "linux"))), "{here:?}");
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("host-lease-{name}-{}", std::process::id()));
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.join("lease")
        }

        fn content(&self) -> String {
            fs::read_to_string(self.file()).unwrap()
        }

        fn lease(&self, name: &str) -> HostLease {
            HostLease::open(&self.file(), host(name)).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn host(name: &str) -> Host {
        Host { name: name.to_owned(), boot: "4f1c".to_owned() }
    }
}
