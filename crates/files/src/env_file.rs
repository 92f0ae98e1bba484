//! The user's env file, the only place where credentials are written.
//!
//! Every change reads the current file under a lock and replaces it atomically. A value that we did not write is never
//! overwritten or removed. Before money is spent, [`EnvFile::preflight`] checks that the file can hold a key, that it can
//! be replaced, and that version control will not take it.

mod diagnostic;
mod replacement;
mod staging;
mod target;
mod version_control;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{
    name::EnvVar,
    secret::{Fingerprint, Secret},
    visible::visible,
};

use replacement::Replaced;
use target::Target;
pub use version_control::VersionControl;

use crate::{
    dotenv::{DotenvError, EnvText},
    fs::{self, FileContent, FsError, Kind, Lock, Obstacle, Privacy},
    git::{self, GitError, GitStatus},
};

/// An env file, which need not exist yet.
#[derive(Debug)]
pub struct EnvFile {
    path: PathBuf,
    surroundings: Surroundings,
}

/// The folders that an env file is seen from.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The canonical folder that no link of the path may lead out of.
    pub workspace: PathBuf,
    /// The state folder, where a temporary file may be.
    pub state: PathBuf,
}

/// Why a key cannot be written to or removed from an env file. No variant holds a value.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    #[error("{variable} cannot be changed: {source}")]
    CannotHold { variable: EnvVar, source: DotenvError },
    #[error("{} is a folder", visible(path))]
    Directory { path: PathBuf },
    #[error("{to} would take {}{}", visible(path), match to {
        VersionControl::Git => " although it is in .git/info/exclude",
        _ => "",
    })]
    Exposed { path: PathBuf, to: VersionControl },
    #[error(transparent)]
    File(#[from] FsError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("a link leads out of the workspace, to {}", visible(path))]
    LeadsOut { path: PathBuf },
    #[error("another process holds {} for too long", visible(path))]
    Locked { path: PathBuf },
    #[error("{} cannot be replaced: {}", visible(path), match why {
        Obstacle::AppendOnly => "it is append-only",
        Obstacle::Immutable => "it is immutable",
        Obstacle::MountPoint => "it is mounted by itself",
        Obstacle::Refused => "the system refuses it",
    })]
    NotReplaceable { path: PathBuf, why: Obstacle },
    #[error("{} is marked read-only", visible(path))]
    ReadOnly { path: PathBuf },
    #[error("{variable} holds a value that is not ours to replace in {}", visible(path))]
    Taken { variable: EnvVar, path: PathBuf },
    #[error("{} is tracked by git, which would publish the key", visible(path))]
    Tracked { path: PathBuf },
    #[error("other programs keep changing {}", visible(path))]
    Unsteady { path: PathBuf },
}

/// The result of a preflight.
pub struct Preflight {
    text: EnvText,
    path: PathBuf,
    real_path: PathBuf,
    /// Whether the file was added to the repository's private ignore file.
    pub excluded_now: bool,
}

impl Preflight {
    /// Returns the path that was checked.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file that the path led to.
    pub fn real_path(&self) -> &Path {
        &self.real_path
    }

    /// Returns the fingerprint of the variable's value; `None` if it is missing or empty.
    ///
    /// An empty value counts as free, because templates use it as a placeholder.
    pub fn holds(&self, variable: &EnvVar) -> Option<Fingerprint> {
        occupant(&self.text, variable)
    }

    /// Writes a bare and a quoted sample into a copy of the file.
    ///
    /// This detects obstacles, such as an open quote or a name that a reader misparses, before the key costs money.
    ///
    /// # Errors
    /// [`EnvFileError::CannotHold`].
    pub fn dry_run(&self, variable: &EnvVar) -> Result<(), EnvFileError> {
        for sample in SAMPLES {
            let mut copy = EnvText::new(self.text.bytes().to_vec());
            let written = copy.set(variable, &Secret::new((*sample).to_owned()), |_| false);
            written.map_err(|source| cannot_hold(variable, source))?;
        }
        Ok(())
    }
}

/// The state of an env file.
pub struct Inspection {
    /// The file, with symbolic links resolved.
    pub path: PathBuf,
    pub kind: Kind,
    /// Whether only its owner has permissions.
    pub private: bool,
    pub git_status: Result<GitStatus, GitError>,
    /// The version control other than git that would take it.
    pub exposed_to: Option<VersionControl>,
    /// Why it cannot be replaced, where the file system reports that.
    pub obstacle: Option<Obstacle>,
    /// The temporary file of a crashed process.
    pub leftover: Option<PathBuf>,
    text: EnvText,
}

impl Inspection {
    /// Returns the fingerprints of all values of the variable; readers use the last.
    pub fn values(&self, variable: &EnvVar) -> Vec<Fingerprint> {
        self.text.values(variable).iter().map(|value| Fingerprint::of(value)).collect()
    }

    /// Returns the fingerprint of the value in use; `None` if it is missing or empty.
    pub fn holds(&self, variable: &EnvVar) -> Option<Fingerprint> {
        occupant(&self.text, variable)
    }
}

/// Whether a value that this program did not write may be overwritten. Only a person may allow it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replace {
    Foreign,
    #[default]
    OursOnly,
}

impl EnvFile {
    pub fn new(path: PathBuf, surroundings: &Surroundings) -> Self {
        Self { path, surroundings: surroundings.clone() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that a key can be written here and that version control will not take it.
    ///
    /// A file that was never replaced by this program is replaced by a copy of itself, and put back.
    pub fn preflight(&self) -> Result<Preflight, EnvFileError> {
        let real = self.real_path()?;
        match fs::kind(&real)? {
            Kind::Directory => return Err(EnvFileError::Directory { path: real }),
            Kind::File { read_only: true } => return Err(EnvFileError::ReadOnly { path: real }),
            Kind::File { read_only: false } | Kind::Absent => {}
        }
        if let Some(why) = fs::obstacle(&real) {
            return Err(EnvFileError::NotReplaceable { path: real, why });
        }
        let excluded_now = version_control::keep_out(&real)?;
        for _ in 0..ATTEMPTS {
            let target = Target::lock(self, LOCK_TIMEOUT)?;
            if target.path != real {
                break; // the checks above were about another file
            }
            staging::sweep(&target, &self.surroundings)?;
            let current = target.read()?;
            if replacement::rehearse(&target, &self.surroundings, current.as_ref())? == Replaced::Done {
                let text = text_of(current.as_ref());
                return Ok(Preflight { text, path: self.path.clone(), real_path: target.path, excluded_now });
            }
        }
        Err(EnvFileError::Unsteady { path: real })
    }

    /// Writes all credentials to their variables, or none.
    ///
    /// `checked` is the file that a preflight checked: a key goes to no other one. `recognise` returns those of the
    /// fingerprints that belong to credentials that we once delivered.
    ///
    /// # Errors
    /// [`EnvFileError::Taken`] if a variable holds a value of another origin; the file is then unchanged.
    pub fn deliver<E: From<EnvFileError>>(
        &self,
        credentials: &[(&EnvVar, &Secret)],
        checked: Option<&Path>,
        replace: Replace,
        recognise: impl Fn(&[Fingerprint]) -> Result<Vec<Fingerprint>, E>,
    ) -> Result<(), E> {
        let variables: Vec<&EnvVar> = credentials.iter().map(|(variable, _)| *variable).collect();
        self.edit(LOCK_TIMEOUT, &variables, Privacy::OwnerOnly, recognise, |text, ours, target| {
            if checked.is_some_and(|checked| checked != target) {
                return Err(EnvFileError::Unsteady { path: self.path.clone() });
            }
            for (variable, credential) in credentials {
                let foreign = occupant(text, variable).is_some_and(|fingerprint| !ours.contains(&fingerprint));
                if foreign && replace == Replace::OursOnly {
                    return Err(EnvFileError::Taken { variable: (*variable).clone(), path: target.to_owned() });
                }
                text.set(variable, credential, |value| ours.contains(&Fingerprint::of(value)))
                    .map_err(|source| cannot_hold(variable, source))?;
            }
            Ok(())
        })
    }

    /// Removes the variables whose values we wrote and keeps other values.
    ///
    /// Succeeds if the folder does not exist any more. Waits at most `within` for another writer.
    pub fn withdraw<E: From<EnvFileError>>(
        &self,
        variables: &[&EnvVar],
        recognise: impl Fn(&[Fingerprint]) -> Result<Vec<Fingerprint>, E>,
        within: Duration,
    ) -> Result<(), E> {
        if self.existing()?.is_none() {
            return Ok(());
        }
        self.edit(within, variables, Privacy::Unchanged, recognise, |text, ours, _| {
            for variable in variables {
                text.remove(variable, |value| ours.contains(&Fingerprint::of(value)))
                    .map_err(|source| cannot_hold(variable, source))?;
            }
            Ok(())
        })
    }

    /// Inspects the file without changing it; `None` if its folder does not exist.
    ///
    /// # Errors
    /// [`EnvFileError::Directory`] if the path is a folder, [`EnvFileError::File`] if it cannot be read.
    pub fn inspect(&self) -> Result<Option<Inspection>, EnvFileError> {
        let Some(path) = self.existing()? else {
            return Ok(None);
        };
        let kind = fs::kind(&path)?;
        if kind == Kind::Directory {
            return Err(EnvFileError::Directory { path });
        }
        let text = EnvText::new(fs::read(&path, MAX_FILE_SIZE)?.unwrap_or_default());
        Ok(Some(Inspection {
            kind,
            private: fs::is_private(&path)?.unwrap_or(true),
            git_status: git::status(&path),
            exposed_to: version_control::exposing(&path)?,
            obstacle: fs::obstacle(&path),
            leftover: staging::leftover(&path, &self.surroundings),
            text,
            path,
        }))
    }

    /// Removes group and other permissions.
    pub fn make_private(&self) -> Result<(), EnvFileError> {
        Ok(fs::make_private(&self.real_path()?)?)
    }

    /// Returns the real path, with links followed; `None` if a folder is missing.
    ///
    /// # Errors
    /// [`EnvFileError::LeadsOut`] for a link out of the workspace.
    pub fn existing(&self) -> Result<Option<PathBuf>, EnvFileError> {
        match self.real_path() {
            Err(EnvFileError::File(error)) if error.source.kind() == ErrorKind::NotFound => Ok(None),
            resolved => Ok(Some(resolved?)),
        }
    }

    /// Removes the temporary files that crashed processes left for this file, without waiting for a process at work.
    pub fn sweep(&self) -> Result<(), EnvFileError> {
        if let Some(real) = self.existing()?
            && staging::leftover(&real, &self.surroundings).is_some()
        {
            staging::sweep(&Target::lock(self, Duration::ZERO)?, &self.surroundings)?;
        }
        Ok(())
    }

    /// Removes every temporary file in the places that this file uses, as far as no process is at work there.
    pub fn sweep_places(&self) -> Result<(), EnvFileError> {
        if let Some(real) = self.existing()? {
            staging::sweep_all(self, &real);
        }
        self.sweep()
    }

    /// Edits the current file under its lock; an unchanged file is not rewritten.
    ///
    /// Starts over when another program changed the file between the read and the replacement.
    fn edit<E: From<EnvFileError>>(
        &self,
        within: Duration,
        variables: &[&EnvVar],
        privacy: Privacy,
        recognise: impl Fn(&[Fingerprint]) -> Result<Vec<Fingerprint>, E>,
        change: impl Fn(&mut EnvText, &[Fingerprint], &Path) -> Result<(), EnvFileError>,
    ) -> Result<(), E> {
        for _ in 0..ATTEMPTS {
            let target = Target::lock(self, within)?;
            staging::sweep(&target, &self.surroundings)?;
            let current = target.read()?;
            let mut text = text_of(current.as_ref());
            let before = text.bytes().to_vec();
            let present: Vec<Fingerprint> = variables
                .iter()
                .flat_map(|variable| text.values(variable))
                .map(|value| Fingerprint::of(&value))
                .collect();
            let ours = recognise(&present)?;
            change(&mut text, &ours, &target.path)?;
            if text.bytes() == before {
                return Ok(());
            }
            let new = text.bytes();
            if replacement::replace(&target, &self.surroundings, current.as_ref(), new, privacy)? == Replaced::Done {
                return Ok(());
            }
        }
        Err(EnvFileError::Unsteady { path: self.path.clone() }.into())
    }
}

/// Returns the text of a file that was read; empty if it is missing.
fn text_of(content: Option<&FileContent>) -> EnvText {
    EnvText::new(content.map(|content| content.bytes.clone()).unwrap_or_default())
}

fn occupant(text: &EnvText, variable: &EnvVar) -> Option<Fingerprint> {
    text.last(variable).filter(|value| !value.is_empty()).map(|value| Fingerprint::of(&value))
}

fn cannot_hold(variable: &EnvVar, source: DotenvError) -> EnvFileError {
    EnvFileError::CannotHold { variable: variable.clone(), source }
}

fn lock(target: &Path) -> Result<Lock, EnvFileError> {
    Lock::on_folder_of(target, LOCK_TIMEOUT)?.ok_or_else(|| EnvFileError::Locked { path: target.to_owned() })
}

/// A value that is written bare, and one that is written in quotes.
const SAMPLES: &[&str] = &["sample", "sam&ple"];

/// Writers hold the lock for milliseconds; a longer wait means a hung process.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_FILE_SIZE: u64 = 16 * 1024 * 1024;

/// How often a change is tried while other programs write to the file. Each try takes milliseconds.
const ATTEMPTS: usize = 100;
