//! The place of the temporary file that replaces an env file.
//!
//! It holds every key of the env file, so it is never under a name that version control would take: it is in a private
//! folder inside `.git`, `.jj` or `.hg`, else in the state folder. A rename from there is tried first. Where neither can
//! reach the env file, it is beside it under a name that version control is proven to ignore.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::secret::{Fingerprint, hex};

use super::{EnvFile, EnvFileError, LOCK_TIMEOUT, Surroundings, target::Target, version_control};
use crate::fs::{self, FileState, Folder, Lock};

/// A place for temporary files, while it is in use.
pub(super) struct Staging<'a> {
    target: &'a Target,
    /// `None`: beside the target.
    private: Option<Folder>,
    pub temporary: String,
    /// Keeps another process from sweeping the folder.
    _lock: Option<Lock>,
}

impl<'a> Staging<'a> {
    /// Chooses the first place from which the target can be replaced.
    ///
    /// # Errors
    /// As [`version_control::keep_out`] for a name beside the target, if no other place is left.
    pub(super) fn choose(target: &'a Target, surroundings: &Surroundings) -> Result<Self, EnvFileError> {
        let beside = beside(&target.name);
        for place in places(&target.path, surroundings) {
            // A place that cannot be used leaves the next one.
            let Ok(Some(private)) = open(&place, true) else { continue };
            let lock = Lock::shared_on_folder(&private, LOCK_TIMEOUT).ok().flatten();
            let (temporary, trial) = (temporary(&target.path), format!("{}{TRIAL}", identity(&target.path)));
            let cleared = private.remove(&temporary).and_then(|()| target.folder.remove(&beside));
            if cleared.is_ok() && private.try_rename_into(&trial, &target.folder, &beside).is_ok() {
                return Ok(Self { target, private: Some(private), temporary, _lock: lock });
            }
        }
        target.folder.remove(&beside)?;
        target.folder.try_rename_into(&format!("{beside}{TRIAL}"), &target.folder, &beside)?;
        version_control::keep_out(&target.path.with_file_name(&beside))?;
        Ok(Self { target, private: None, temporary: beside, _lock: None })
    }

    pub(super) fn folder(&self) -> &Folder {
        self.private.as_ref().unwrap_or(&self.target.folder)
    }
}

impl Drop for Staging<'_> {
    /// Removes what was not renamed: after an exchange, the old file.
    fn drop(&mut self) {
        let _ = self.folder().remove(&self.temporary); // a leftover is removed by the next call
    }
}

/// Removes the temporary files of a crashed process that belong to this env file.
pub(super) fn sweep(target: &Target, surroundings: &Surroundings) -> Result<(), EnvFileError> {
    for place in places(&target.path, surroundings) {
        if let Ok(Some(private)) = open(&place, false) {
            private.remove(&temporary(&target.path))?;
        }
    }
    Ok(target.folder.remove(&beside(&target.name))?)
}

/// Removes the temporary files of every crashed process, unless a process uses the same place now.
pub(super) fn sweep_all(env_file: &EnvFile, real: &Path) {
    for place in places(real, &env_file.surroundings) {
        let Ok(Some(private)) = open(&place, false) else { continue };
        let Ok(Some(_lock)) = Lock::on_folder(&private, "", Duration::ZERO) else { continue };
        for name in private.names().unwrap_or_default() {
            if [SUFFIX, TRIAL].iter().any(|suffix| name.ends_with(suffix)) {
                let _ = private.remove(&name); // what cannot be removed does no harm, and `doctor` shows it
            }
        }
    }
}

/// Returns the temporary file of a crashed process, if there is one.
pub(super) fn leftover(real: &Path, surroundings: &Surroundings) -> Option<PathBuf> {
    let places = places(real, surroundings);
    let inside = places.iter().map(|place| place.parent.join(place.name).join(temporary(real)));
    let beside = real.with_file_name(beside(real.file_name()?.to_str()?));
    inside.chain([beside]).find(|path| path.symlink_metadata().is_ok())
}

/// A record that this program once replaced an env file, and of the file that it left there.
///
/// The same file can be replaced again, unless it became a mount point or immutable, which the file system reports.
pub(super) struct Proof(Option<Folder>, String);

impl Proof {
    pub(super) fn of(real: &Path, surroundings: &Surroundings) -> Self {
        let place = fs::real_folder(&surroundings.state).ok().map(|parent| Place { parent, name: IN_STATE });
        let folder = place.and_then(|place| open(&place, true).ok().flatten());
        Self(folder, format!("{}.replaced", identity(real)))
    }

    pub(super) fn covers(&self, file: &FileState) -> bool {
        let Self(Some(folder), name) = self else { return false };
        let noted = folder.read(name, LONGEST_PROOF).ok().flatten();
        noted.is_some_and(|noted| noted.bytes == line(file).into_bytes())
    }

    /// Records the file. Without the record, the next preflight proves it once more.
    pub(super) fn record(&self, file: &FileState) {
        if let Self(Some(folder), name) = self
            && !self.covers(file)
            && folder.remove(name).is_ok()
            && let Ok(mut proof) = folder.create(name)
        {
            let _ = proof.write_all(line(file).as_bytes());
        }
    }
}

fn line(file: &FileState) -> String {
    let (device, inode) = file.identity();
    format!("{device} {inode}\n")
}

/// A private folder, which need not exist.
struct Place {
    parent: PathBuf,
    name: &'static str,
}

fn places(real: &Path, surroundings: &Surroundings) -> Vec<Place> {
    let inside = version_control::own_folder(real).map(|parent| Place { parent, name: INSIDE });
    let state = fs::real_folder(&surroundings.state).ok().map(|parent| Place { parent, name: IN_STATE });
    inside.into_iter().chain(state).collect()
}

fn open(place: &Place, create: bool) -> Result<Option<Folder>, fs::FsError> {
    Folder::open(&place.parent)?.open_private(place.name, create)
}

/// The name beside the env file, as the documentation gives it for container builds and programs that synchronize.
pub(super) fn beside(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

fn temporary(real: &Path) -> String {
    format!("{}{SUFFIX}", identity(real))
}

/// Identifies an env file in a folder that several of them share. Its own name can be too long.
fn identity(real: &Path) -> String {
    let digest = Fingerprint::digest_of(real.as_os_str().as_encoded_bytes());
    hex(digest.get(..16).unwrap_or_default())
}

const INSIDE: &str = "stripe-projects";

const IN_STATE: &str = "env-files";

const SUFFIX: &str = ".stripe-projects.tmp";

/// The end of the name of an empty folder, which tries a rename.
const TRIAL: &str = ".trial";

/// In bytes: two numbers.
const LONGEST_PROOF: u64 = 64;
